"""A customer's records in Kafka: a stretch of the past first, then what arrives, as it arrives.

Logs are not indexed by customer, so a look back goes through the partition of the customer, a
bounded stretch at a time; a page says how far it has looked, and can look further.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from services.campaigner.console.questions.moves import Logs
from services.campaigner.console.questions.words import name_of, told
from shared.adapters.event_log import customer_partition
from shared.adapters.sql.console_queries import BANDS
from shared.domain.errors import InvalidEventError, TenureError
from shared.domain.events import DECODE_ERRORS, epoch_ms, is_array, split
from shared.domain.outputs import Score, Transition
from shared.topics import CUSTOMER_EVENTS, LIFECYCLE_TRANSITIONS, SCORE_HISTORY

#: Records of a partition in one stretch; of events, one record may hold hundreds.
_STRETCH: Final = {
    CUSTOMER_EVENTS.name: 4_000,
    SCORE_HISTORY.name: 20_000,
    LIFECYCLE_TRANSITIONS.name: 20_000,
}
_AT_ONCE: Final = 20_000
#: What a page keeps of each kind.
_MOST: Final = 500

Kind = Literal["event", "score", "stage", "decision", "outcome"]
Stretch = tuple[Any, int, int]


class Entry(Struct, frozen=True, order=True):
    """Something that happened: when (epoch ms), what kind of thing, and in words."""

    at: int
    kind: Kind
    title: str
    detail: str = ""


class Told(Struct, frozen=True):
    """An event as far as it is shown; nothing of it is checked here."""

    id: str
    source: str
    type: str
    time: datetime
    subject: str | None = None
    data: dict[str, Any] = {}


@dataclass
class Past:
    """What the logs hold of a customer.

    Attributes
    ----------
    entries
        In the order of their time.
    risks
        (epoch ms, risk), likewise.
    since
        When the earliest record was written that was looked at, epoch ms; ``None`` before.
    complete
        Whether Kafka keeps nothing earlier.
    problem
        Why the logs could not be read, and what to do.

    """

    entries: list[Entry] = field(default_factory=list)
    risks: list[tuple[int, float]] = field(default_factory=list)
    since: int | None = None
    complete: bool = False
    problem: str | None = None


class Trail:
    """Follows one customer; one thread at a time.

    Parameters
    ----------
    logs
        Kafka.
    customer
        The customer's id.

    """

    def __init__(self, logs: Logs, customer: str) -> None:
        self._logs = logs
        self._customer = customer
        self._key = customer.encode()
        self._needle = msgspec.json.encode(customer)
        self._next: dict[Any, int] = {}
        self._first: dict[Any, int] = {}
        self._entries: set[Entry] = set()
        self._scores: dict[int, Score] = {}
        self._since: int | None = None
        self._complete = False

    def look(self) -> Past:
        """Return what is known, with all that has arrived since the last look."""
        try:
            if not self._next:
                self._begin()
            found, self._next = self._logs.read(self._next, most=_AT_ONCE)
            self._take(found)
        except TenureError as error:
            return self._past(str(error))
        return self._past(None)

    def look_back(self) -> Past:
        """Go through one more stretch of the past."""
        try:
            bounds = self._logs.bounds(list(self._first))
            for place, (low, _) in bounds.items():
                self._first[place] = self._go_through(place, low)
            self._complete = all(self._first[each] <= low for each, (low, _) in bounds.items())
        except TenureError as error:
            return self._past(str(error))
        return self._past(None)

    def _begin(self) -> None:
        places = []
        for topic in _STRETCH:
            partitions = self._logs.partitions(topic)
            places.append(partitions[customer_partition(self._customer, len(partitions))])
        bounds = self._logs.bounds(places)
        self._first = {
            place: max(low, high - stretch)
            for (place, (low, high)), stretch in zip(bounds.items(), _STRETCH.values(), strict=True)
        }
        self._complete = all(self._first[each] <= low for each, (low, _) in bounds.items())
        self._next = dict(self._first)

    def _go_through(self, place: Any, low: int) -> int:  # noqa: ANN401  # kafka-python's
        """Read one stretch that ends where we began; return where it begins."""
        end = self._first[place]
        start = max(low, end - min(_STRETCH.values()))
        at = start
        while at < end:
            found, after = self._logs.read({place: at}, most=end - at)
            self._take(each for each in found if each.offset < end)
            if after[place] <= at:
                break  # it is slow: the rest is looked at by nobody, and `start` says so
            at = after[place]
        return start

    def _take(self, records: Iterable[Any]) -> None:
        for record in records:
            self._since = (
                record.timestamp if self._since is None else min(self._since, record.timestamp)
            )
            if record.topic.endswith(CUSTOMER_EVENTS.name):
                self._take_events(record.value or b"")
            elif record.key == self._key and record.value:
                self._take_output(record)

    def _take_events(self, value: bytes) -> None:
        # Most records are of others: decoded only where the id is, or may be in disguise.
        if self._needle not in value and b"\\" not in value:
            return
        try:
            for raw in split(value) if is_array(value) else [msgspec.Raw(value)]:
                if (event := _event(raw)) is not None and event.subject == self._customer:
                    self._entries.add(_of_event(event))
        except InvalidEventError:
            return  # a dead letter: it has a page of its own

    def _take_output(self, record: Any) -> None:  # noqa: ANN401
        try:
            if record.topic.endswith(SCORE_HISTORY.name):
                score = msgspec.json.decode(record.value, type=Score)
                self._scores[score.at] = score
            else:
                move = msgspec.json.decode(record.value, type=Transition)
                self._entries.add(_of_move(move))
        except DECODE_ERRORS:
            return

    def _past(self, problem: str | None) -> Past:
        scores = [self._scores[at] for at in sorted(self._scores)]
        told = map(_of_score, _that_differ(scores))
        entries = sorted({*self._entries, *told})[-_MOST:]
        risks = [(each.at, each.risk) for each in scores[-_MOST:]]
        return Past(entries, risks, self._since, self._complete, problem)


def _that_differ(scores: Iterable[Score]) -> Iterator[Score]:
    """Yield those that say something else than the one before: another stage, or band of risk."""
    before: tuple[str, int] | None = None
    for each in scores:
        said = each.stage, int(each.risk * BANDS)
        if said != before:
            yield each
        before = said


def _event(raw: msgspec.Raw) -> Told | None:
    try:
        return msgspec.json.decode(raw, type=Told)
    except DECODE_ERRORS:
        return None


def _of_event(event: Told) -> Entry:
    return Entry(
        epoch_ms(event.time),
        "event",
        told(event.type, event.data),
        f"{event.source}, id {event.id}",
    )


def _of_score(score: Score) -> Entry:
    why = "; ".join(each.text for each in score.reasons)
    return Entry(score.at, "score", f"risk {score.risk:.0%}, {name_of(score.stage)}", why)


def _of_move(move: Transition) -> Entry:
    return Entry(move.at, "stage", f"{name_of(move.before)} → {name_of(move.after)}", move.reason)
