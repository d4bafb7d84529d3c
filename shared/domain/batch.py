"""Records of ``customer-events`` turned into columns; what cannot be read becomes dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.domain.customer import micros
from shared.domain.errors import InvalidEventError
from shared.domain.events import (
    DECODE_ERRORS,
    Account,
    BoundariesSet,
    Contact,
    Cost,
    Erasure,
    Event,
    ModelActivated,
    ModelPinned,
    Purchase,
    ThresholdsSet,
    Tick,
    Usage,
    decode_event,
    decode_record,
    is_array,
    split,
)
from shared.domain.features import service_bit
from shared.domain.identity import event_identities
from shared.domain.ledger import RECHARGE
from shared.domain.outputs import DeadLetter, Identity

#: One event of a customer, as the fold sees it.
EVENT: Final = np.dtype(
    [
        ("at", "<i8"),  # the event's own time, epoch milliseconds
        ("amount", "<i8"),  # micros; revenue of usage and purchases
        ("margin", "<i8"),  # micros
        ("cost", "<i8"),  # micros
        ("identity", "<u8"),  # for deduplication
        ("service", "<u4"),  # bit of the service used
        ("quantity", "<f8"),  # how much of it
        ("bought", "?"),  # whether it is a purchase by the customer
        ("active", "?"),  # whether it is activity: use or purchase by the customer
        ("told", "?"),  # whether it is passed on to readers of scores: account and contact
        ("noted", "?"),  # whether something of it belongs into the ledger
    ]
)
Events = NDArray[np.void]
Numbers = NDArray[np.int64]
#: Events are counted from 0 within a batch; what could not be read has no number.
Found = tuple[int | None, bytes, Event | InvalidEventError]

_bit = lru_cache(1024)(service_bit)


class Record(NamedTuple):
    """A record as it was read.

    Attributes
    ----------
    timestamp
        The broker's append time in milliseconds.
    moved_from
        Where another partition's scorer found it, when it was one of ours on the wrong partition.
    headers
        What else its producer says; nothing here depends on it.

    """

    offset: int
    timestamp: int
    value: bytes | None
    moved_from: Identity | None = None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class Batch:
    """Some records of one partition, decoded.

    Attributes
    ----------
    records
        The records, in the order of their offsets.
    events
        All events that can be processed, in log order.
    at
        (n,) their own times in epoch milliseconds.
    record
        (n,) the number of each event's record within the batch.
    index
        The place of each event within its record; None where the record is one event.
    letters
        What cannot be processed, and why.
    seen
        Events found, good and bad (a record that is no JSON at all counts as one).

    """

    partition: int
    records: list[Record]
    events: list[Event] = field(default_factory=list)
    at: Numbers = field(default_factory=lambda: np.empty(0, np.int64))
    record: Numbers = field(default_factory=lambda: np.empty(0, np.int64))
    index: list[int | None] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    seen: int = 0
    _split: dict[int, list[msgspec.Raw]] = field(default_factory=dict)

    def versions(self, newest: int) -> set[int]:
        """Return the model versions that this batch may bring into use.

        Parameters
        ----------
        newest
            The newest that was activated before: what is no longer pinned gives way to it.

        """
        controls = (ModelActivated, ModelPinned)
        told = {one.data.version for one in self.events if isinstance(one, controls)}
        return {newest if version is None else version for version in told}

    def appended(self) -> Numbers:
        """Return the append time (n,) of each event's record."""
        return np.array([record.timestamp for record in self.records], np.int64)[self.record]

    def place(self, number: int) -> Identity:
        """Return where an event stands: its record's offset, and its place within the record."""
        offset = self.records[self.record[number]].offset
        return Identity(self.partition, offset, self.index[number] or 0)

    def leave_out(self, records: list[int]) -> int:
        """Forget the events of some records, by number; return how many they were."""
        gone = np.isin(self.record, records)
        _keep(self, ~gone)
        return int(np.count_nonzero(gone))

    def original(self, number: int) -> bytes:
        """Return the bytes of an event as they came."""
        record, index = int(self.record[number]), self.index[number]
        value = self.records[record].value or b""
        if index is None:
            return value
        if record not in self._split:
            self._split = {record: split(value)}
        return bytes(self._split[record][index])


def read_batch(partition: int, records: list[Record], tolerance: int) -> Batch:
    """Decode records.

    Parameters
    ----------
    partition
        Where the records come from.
    records
        In the order of their offsets.
    tolerance
        How far (milliseconds) an event may lie ahead of its append time.

    """
    batch = Batch(partition, records)
    numbers: list[int] = []
    for number, record in enumerate(records):
        before = len(batch.events)
        _read(batch, record)
        numbers += [number] * (len(batch.events) - before)
    batch.record = np.array(numbers, np.int64)
    batch.at = _times(batch.events)
    batch.seen = len(batch.events) + len(batch.letters)
    _refuse_impossible_times(batch, tolerance)
    return batch


def _read(batch: Batch, record: Record) -> None:
    value = record.value or b""
    try:
        events = decode_record(value)
    except DECODE_ERRORS:
        _salvage(batch, record, value)
        return
    batch.events += events
    batch.index += range(len(events)) if is_array(value) else [None]


def _salvage(batch: Batch, record: Record, value: bytes) -> None:
    """Read a record that has something bad in it, one event at a time."""
    for index, raw, found in _each_event(value):
        if isinstance(found, InvalidEventError):
            batch.letters.append(_letter(batch.partition, record, index, raw, found))
        else:
            batch.events.append(found)
            batch.index.append(index)


def _each_event(value: bytes) -> Iterator[Found]:
    if not is_array(value):
        yield None, value, _event_or_error(value)
        return
    try:
        parts = split(value)
    except InvalidEventError as error:
        yield None, value, error
        return
    for index, part in enumerate(parts):
        raw = bytes(part)
        yield index, raw, _event_or_error(raw)


def _event_or_error(raw: bytes) -> Event | InvalidEventError:
    try:
        return decode_event(raw)
    except InvalidEventError as error:
        return error


def _times(events: list[Event]) -> Numbers:
    """Return the events' own times (n,), as `epoch_ms` does for one."""
    seconds = np.array([event.time.timestamp() for event in events], np.float64)
    return np.rint(seconds * 1000).astype(np.int64)


def _refuse_impossible_times(batch: Batch, tolerance: int) -> None:
    """Make dead letters of events from the future, and of those before 1970.

    A future event must not move time; 0 stands for "never" in a customer's state.
    """
    ahead = batch.at - batch.appended()
    bad = (ahead > tolerance) | (batch.at <= 0)
    if not bad.any():
        return
    for number in np.flatnonzero(bad).tolist():
        record = batch.records[batch.record[number]]
        error = _impossible(int(batch.at[number]), int(ahead[number]))
        raw, index = batch.original(number), batch.index[number]
        batch.letters.append(_letter(batch.partition, record, index, raw, error))
    batch.letters.sort(key=lambda one: (one.offset, one.index or 0))
    _keep(batch, ~bad)


def _impossible(at: int, ahead: int) -> InvalidEventError:
    if at <= 0:
        remedy = "Correct the time and send the event again under another id"
        return InvalidEventError("time", "not after 1970-01-01T00:00:00Z", remedy)
    remedy = "Set the clock of the producer; then replay this dead letter"
    return InvalidEventError("time", f"{ahead / 1000:.0f} s ahead of its arrival", remedy)


def _keep(batch: Batch, good: NDArray[np.bool_]) -> None:
    numbers = np.flatnonzero(good).tolist()
    batch.events = [batch.events[number] for number in numbers]
    batch.index = [batch.index[number] for number in numbers]
    batch.at, batch.record = batch.at[good], batch.record[good]


def _letter(
    partition: int, record: Record, index: int | None, raw: bytes, error: InvalidEventError
) -> DeadLetter:
    return DeadLetter(
        value=raw,
        error=type(error).__name__,
        field=error.field,
        reason=error.reason,
        remedy=error.remedy,
        partition=partition,
        offset=record.offset,
        index=index,
    )


def columns(events: list[Event], at: Numbers, default_margin: float) -> Events:
    """Return the fold's view of events, (n,) of `EVENT`; ticks and control events have no effect.

    Parameters
    ----------
    events
        In any order.
    at
        (n,) their times.
    default_margin
        Margin ratio of a purchase that names none, and of usage.

    """
    found = np.zeros(len(events), EVENT)
    found["at"] = at
    found["identity"] = event_identities((event.source, event.id) for event in events)
    kinds = np.array([_KINDS[type(event)] for event in events], np.uint8)
    for kind in np.flatnonzero(np.bincount(kinds)).tolist():
        which = np.flatnonzero(kinds == kind)
        some = found[which]
        _EFFECTS[kind](some, [events[number].data for number in which.tolist()], default_margin)
        found[which] = some
    return found


def _usage(found: Events, data: list[Any], default_margin: float) -> None:
    amount = np.array([one.amount for one in data])
    found["amount"], found["margin"] = micros(amount), micros(amount * default_margin)
    found["active"] = [one.initiated_by == "customer" for one in data]
    found["service"] = [_bit(one.service) for one in data]
    found["quantity"] = [one.quantity for one in data]
    found["noted"] = True


def _purchase(found: Events, data: list[Any], default_margin: float) -> None:
    amount = np.array([one.amount for one in data])
    ratio = np.array([default_margin if one.margin is None else one.margin for one in data])
    found["amount"], found["margin"] = micros(amount), micros(amount * ratio)
    found["active"] = [one.amount >= 0 and one.initiated_by == "customer" for one in data]
    found["bought"] = found["active"]
    found["noted"] = [one.product is not None or one.category == RECHARGE for one in data]


def _account(found: Events, data: list[Any], _: float) -> None:
    found["cost"] = micros(np.array([one.acquisition_cost or 0.0 for one in data]))
    found["told"] = found["noted"] = True


def _contact(found: Events, _data: list[Any], _: float) -> None:
    found["told"] = found["noted"] = True


def _cost(found: Events, data: list[Any], _: float) -> None:
    found["cost"] = micros(np.array([one.amount for one in data]))
    found["noted"] = True


def _control(_found: Events, _data: list[Any], _: float) -> None:
    """Do nothing: time and the model are the partition's."""


_BY_KIND: Final[dict[type[Event], Callable[[Events, list[Any], float], None]]] = {
    Usage: _usage,
    Purchase: _purchase,
    Account: _account,
    Contact: _contact,
    Cost: _cost,
    Tick: _control,
    ModelActivated: _control,
    ModelPinned: _control,
    ThresholdsSet: _control,
    BoundariesSet: _control,
    Erasure: _control,
}
_KINDS: Final = {kind: code for code, kind in enumerate(_BY_KIND)}
_EFFECTS: Final = list(_BY_KIND.values())
