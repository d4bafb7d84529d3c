"""What one flush of a partition writes: topics, partitions, keys and bytes. No I/O.

Every record stays below what its topic takes (`shared.topics`): one that does not could never be
written, and the partition would stand still for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Final, NamedTuple, TypeVar

import msgspec

from shared import topics
from shared.adapters.tracing import TRACEPARENT
from shared.domain.customer import CustomerTable
from shared.domain.emission import Effects
from shared.domain.erasure import Erased
from shared.domain.outputs import (
    Clock,
    DeadLetter,
    Example,
    Identity,
    Score,
    Training,
    Watermark,
)
from shared.domain.position import Position

#: Key of the record that says up to where the states stand; no customer id has a control character.
POSITION_KEY: Final = b"\0position"
#: Header of an event that another partition moved to its own: partition, offset and index there.
_MOVED_FROM: Final = "tenure-moved-from"
_PLACE: Final = re.compile(rb"(\d{1,18})/(\d{1,18})/(\d{1,18})")
_CLOCK_KEY: Final = "\0clock/{}"
_MODEL: Final = b"churn"
#: An example takes about 600 bytes, a record of a topic 1 MiB by default.
_EXAMPLES_A_RECORD: Final = 500
#: What a dead letter's header may say of it: reasons quote what they complain about.
_HEADER_CHARACTERS: Final = 1_000

_encode = msgspec.json.Encoder().encode
decode_erased: Final = msgspec.json.Decoder(Erased).decode
_decode_position = msgspec.json.Decoder(Position).decode
_T = TypeVar("_T")


class Entry(NamedTuple):
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


#: Makes an entry of a triple, in a fifth of the time that calling the class takes.
_entry = partial(tuple.__new__, Entry)


class Write(NamedTuple):
    """Records for one partition of one topic, in order."""

    topic: topics.Topic
    partition: int
    entries: list[Entry]


class StateReader:
    """Puts a partition's state together again from what was written to its changelog."""

    def __init__(self) -> None:
        self.table = CustomerTable()
        self.position = Position()
        self.records = 0

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the changelog in, in the order of the log."""
        self.records += 1
        if key is None:
            return
        if value is None:
            self.table.remove(key.decode())
        elif key == POSITION_KEY:
            self.position = _decode_position(value)
        else:
            self.table.restore(key, value)


def writes(
    partition: int, events_topic: str, effects: Sequence[Effects], position: Position
) -> Iterator[Write]:
    """Yield everything that a flush makes durable.

    Parameters
    ----------
    partition
        Of the state.
    events_topic
        This deployment's name of ``customer-events``, which dead letters tell.
    effects, position
        What was folded, and up to where.

    """
    yield Write(topics.CUSTOMER_STATE, partition, _states(effects, position))
    scores = [_score(score, one.traces) for one in effects for score in one.scores]
    scores += _clock(partition, [one.clock for one in effects if one.clock])
    yield Write(topics.SCORE_HISTORY, partition, scores)
    # Behind all that was told of them before: an erased customer is not told of again.
    gone = [Entry(customer.encode(), None, []) for one in effects for customer in one.forgotten]
    yield Write(topics.CUSTOMER_SCORES, partition, scores + gone)
    yield Write(topics.ERASURES, 0, [_erasure(each) for one in effects for each in one.erasures])
    moves = [_keyed(move.customer, move) for one in effects for move in one.transitions]
    yield Write(topics.LIFECYCLE_TRANSITIONS, partition, moves)
    yield Write(topics.TRAINING_EXAMPLES, 0, list(_training(partition, effects, position.now)))
    letters = [_dead_letter(events_topic, letter) for one in effects for letter in one.letters]
    yield Write(topics.DEAD_LETTER, 0, letters)
    yield from _misplaced(effects)


def _states(effects: Sequence[Effects], position: Position) -> list[Entry]:
    """Return the last state of each customer (the others would be compacted away).

    The position goes with the states, last, so that whoever reads it has read the others.
    """
    last: dict[bytes, bytes | None] = {}
    for one in effects:
        last.update(one.states)
    last[POSITION_KEY] = _encode(position)
    no_headers: list[tuple[str, bytes]] = []
    return list(map(_entry, zip(last, last.values(), repeat(no_headers), strict=False)))


def _keyed(customer: str, output: object) -> Entry:
    return Entry(customer.encode(), _encode(output), [])


def _score(score: Score, traces: Mapping[Identity, str]) -> Entry:
    trace = traces.get(score.origin) if traces else None
    headers = [] if trace is None else [(TRACEPARENT, trace.encode())]
    return Entry(score.customer.encode(), _encode(score), headers)


def _clock(partition: int, clocks: list[Clock]) -> list[Entry]:
    key = _CLOCK_KEY.format(partition).encode()
    return [Entry(key, _encode(clock), []) for clock in clocks[-1:]]


def _training(partition: int, effects: Sequence[Effects], now: int) -> Iterator[Entry]:
    """Yield training records; a watermark alone is worth one when time has passed a mark."""
    examples = [example for one in effects for example in one.examples]
    if not examples and any(one.clock for one in effects):
        yield _training_record(Watermark(partition, now), [])
    for some, rest in _chunks(examples, _EXAMPLES_A_RECORD):
        # What follows may be labelled at the same time as what goes before.
        promised = min((one.labelled_at for one in rest), default=now + 1) - 1
        yield _training_record(Watermark(partition, promised), some)


def _training_record(watermark: Watermark, examples: list[Example]) -> Entry:
    return Entry(_MODEL, _encode(Training(watermark, examples)), [])


def _chunks(items: list[_T], size: int) -> Iterator[tuple[list[_T], list[_T]]]:
    """Yield each chunk with all that comes after it."""
    for start in range(0, len(items), size):
        yield items[start : start + size], items[start + size :]


def moved_from(headers: Iterable[tuple[str, bytes]]) -> Identity | None:
    """Return where a record was found that another partition moved here; None for all others."""
    for name, value in headers or ():
        if name == _MOVED_FROM and (place := _PLACE.fullmatch(value)):
            return Identity(*map(int, place.groups()))
    return None


def _erasure(erased: Erased) -> Entry:
    # The name stands in a header, too, so that the topic can be read back as decisions are.
    return Entry(erased.name.encode(), _encode(erased), [("ce_id", erased.name.encode())])


def _misplaced(effects: Sequence[Effects]) -> list[Write]:
    """Return the events that go to where their customers are, in order."""
    found: dict[int, list[Entry]] = {}
    for target, raw, origin in (misplaced for one in effects for misplaced in one.misplaced):
        header = f"{origin.partition}/{origin.offset}/{origin.ordinal}".encode()
        found.setdefault(target, []).append(Entry(None, raw, [(_MOVED_FROM, header)]))
    return [Write(topics.CUSTOMER_EVENTS, target, entries) for target, entries in found.items()]


def _dead_letter(events_topic: str, letter: DeadLetter) -> Entry:
    facts = {
        "error": letter.error,
        "field": letter.field,
        "reason": letter.reason,
        "remedy": letter.remedy,
        "topic": events_topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "index": "" if letter.index is None else letter.index,
    }
    value = letter.value[: topics.LARGEST_EVENTS_BYTES]
    if len(value) < len(letter.value):  # compressed, it came through
        facts["truncated"] = f"from {len(letter.value)} bytes"
    headers = [(name, _clipped(fact)) for name, fact in facts.items()]
    return Entry(letter.key(events_topic).encode(), value, headers)


def _clipped(fact: object) -> bytes:
    return str(fact)[:_HEADER_CHARACTERS].encode(errors="replace")
