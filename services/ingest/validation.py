"""Is every event of a request good? All bad ones are found, not only the first.

A batch that is good is decoded in one step. In one that is not, each event is looked at on its
own, so that the sender can mend all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from services.ingest.refusal import Problem, RefusedError
from shared.domain.errors import InvalidEventError
from shared.domain.events import (
    DECODE_ERRORS,
    CustomerEvent,
    decode_customer_event,
    decode_customer_events,
    split,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: How deep an event may nest. Far deeper, and the depth of the reader's own stack would decide
#: whether the scorer can read what was accepted here.
MAX_NESTING: Final = 64
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)

_one_value = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True)
class Accepted:
    """Good events, and the bytes that each of them came in."""

    events: list[CustomerEvent]
    raws: list[bytes | msgspec.Raw]


class Validator:
    """Checks requests.

    Parameters
    ----------
    currency
        The reporting currency; amounts in another are refused.
    future_tolerance_s
        How far ahead of ``now`` an event's time may be.
    max_event_bytes
        Returns the largest size of an event.
    now
        Returns the time, in UTC.

    """

    def __init__(
        self,
        *,
        currency: str,
        future_tolerance_s: float,
        max_event_bytes: Callable[[], int],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._currency = currency
        self._tolerance = timedelta(seconds=future_tolerance_s)
        self._max_event_bytes = max_event_bytes
        self._now = now

    def batch(self, body: bytes) -> Accepted:
        """Check a JSON array of events; it may be empty, as CloudEvents allows.

        Raises
        ------
        RefusedError
            ``unreadable`` when the body is no JSON, ``invalid`` when any event is bad.

        """
        _require_utf8(body)
        raws = _elements(body)
        try:
            events = decode_customer_events(body)
        except DECODE_ERRORS:
            raise _invalid(_each_bad(raws), len(raws)) from None
        return self._in_context(Accepted(events, list(raws)), body)

    def single(self, body: bytes) -> Accepted:
        """Check one event; raises as `batch` does."""
        _require_utf8(body)
        try:
            _one_value.decode(body)
        except DECODE_ERRORS as error:
            raise unreadable(error) from None
        try:
            event = decode_customer_event(body)
        except InvalidEventError as error:
            raise _invalid([Problem.of(0, error)], 1) from None
        return self._in_context(Accepted([event], [body]), body)

    def check_time(self, time: datetime) -> InvalidEventError | None:
        """Return what is wrong with an event time, if anything."""
        if time < _EPOCH:
            return InvalidEventError("time", "before 1970", "Send when it happened")
        if time > self._now() + self._tolerance:
            return InvalidEventError(
                "time",
                f"more than {self._tolerance.total_seconds():g} s in the future",
                "Send when it happened, and check the sender's clock and time zone",
            )
        return None

    def _in_context(self, accepted: Accepted, body: bytes) -> Accepted:
        problems = [*self._mistimed(accepted), *self._foreign(accepted)]
        problems += [*self._too_large(accepted, body), *_too_deep(accepted, body)]
        if problems:
            problems.sort(key=lambda problem: problem.index)
            raise _invalid(problems, len(accepted.events))
        return accepted

    def _mistimed(self, accepted: Accepted) -> Iterator[Problem]:
        latest = self._now() + self._tolerance
        for index, event in enumerate(accepted.events):
            if not _EPOCH <= event.time <= latest and (error := self.check_time(event.time)):
                yield Problem.of(index, error)

    def _foreign(self, accepted: Accepted) -> Iterator[Problem]:
        ours = self._currency
        for index, event in enumerate(accepted.events):
            currency = getattr(event.data, "currency", None)
            if currency is not None and currency != ours:
                reason = f"{currency}, but amounts are in {ours} here"
                yield Problem(index, "data.currency", reason, f"Convert the amount to {ours}")

    def _too_large(self, accepted: Accepted, body: bytes) -> Iterator[Problem]:
        limit = self._max_event_bytes()
        if len(body) <= limit:
            return
        for index, raw in enumerate(accepted.raws):
            if len(raw) > limit:
                reason = f"{len(raw)} bytes, but the log takes {limit}"
                yield Problem(index, "$", reason, "Leave out what is not needed")


def _too_deep(accepted: Accepted, body: bytes) -> Iterator[Problem]:
    # An event has at least two braces; so few more in the whole body cannot nest too deep.
    if body.count(b"{") + body.count(b"[") <= 2 * len(accepted.raws) + MAX_NESTING - 2:
        return
    for index, raw in enumerate(accepted.raws):
        if nesting(bytes(raw)) > MAX_NESTING:
            reason = f"nested deeper than {MAX_NESTING} levels"
            yield Problem(index, "$", reason, "Flatten the extension attributes")


def nesting(raw: bytes) -> int:
    """Return how deep a JSON text nests; quick where it has few brackets at all."""
    if (opened := raw.count(b"{") + raw.count(b"[")) <= MAX_NESTING:
        return opened
    depth = deepest = 0
    for byte in _STRINGS.sub(b"", raw):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _require_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(
            "unreadable", f"Byte {error.start} is not UTF-8. Send UTF-8 JSON."
        ) from None


def _elements(body: bytes) -> list[msgspec.Raw]:
    try:
        return split(body)
    except msgspec.ValidationError:
        wrong = Problem(0, "$", "no JSON array", "Send an array, also for one event")
        raise _invalid([wrong], 0) from None
    except DECODE_ERRORS as error:
        raise unreadable(error) from None


def _each_bad(raws: list[msgspec.Raw]) -> list[Problem]:
    problems = []
    for index, raw in enumerate(raws):
        try:
            decode_customer_event(bytes(raw))
        except InvalidEventError as error:
            problems.append(Problem.of(index, error))
    return problems


def unreadable(error: Exception) -> RefusedError:
    """Return the refusal of a body that is no JSON."""
    why = "nested too deep" if isinstance(error, RecursionError) else str(error)
    return RefusedError("unreadable", f"The body is no JSON: {why}. Send UTF-8 JSON (RFC 8259).")


def _invalid(problems: list[Problem], events: int) -> RefusedError:
    bad = len({problem.index for problem in problems})
    detail = f"{bad} of {events} events are bad, and none was accepted. Mend them as `errors` says."
    return RefusedError("invalid", detail, events=events, problems=problems)
