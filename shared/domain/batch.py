"""Records of ``customer-events`` turned into columns, and what could not be read into dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.domain.customer import micros
from shared.domain.errors import InvalidEventError
from shared.domain.events import (
    DECODE_ERRORS,
    Account,
    Contact,
    Cost,
    CustomerEvent,
    Event,
    ModelActivated,
    Purchase,
    Tick,
    Usage,
    decode_event,
    decode_record,
    epoch_ms,
    split,
)
from shared.domain.identity import event_identity
from shared.domain.outputs import DeadLetter

#: One event of a customer, as the fold sees it.
EVENT: Final = np.dtype(
    [
        ("at", "<i8"),  # the event's own time, epoch milliseconds
        ("amount", "<i8"),  # micros; revenue of usage and purchases
        ("margin", "<i8"),  # micros
        ("cost", "<i8"),  # micros
        ("identity", "<u8"),  # for deduplication
        ("active", "?"),  # whether it is activity: use or purchase by the customer
    ]
)
Events = NDArray[np.void]


class Record(NamedTuple):
    """A record as it was read: ``timestamp`` is the broker's append time in milliseconds."""

    offset: int
    timestamp: int
    value: bytes | None


class Item(NamedTuple):
    """One good event and where it was found: record number within the batch, place within it."""

    record: int
    index: int
    at: int
    event: Event


@dataclass
class Batch:
    """Some records of one partition, decoded.

    Attributes
    ----------
    records
        The records, in the order of their offsets.
    items
        All events that can be processed, in log order.
    letters
        What cannot, and why.
    seen
        Events found, good and bad (a record that is no JSON at all counts as one).

    """

    partition: int
    records: list[Record]
    items: list[Item] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    seen: int = 0

    def versions(self) -> set[int]:
        """Return the model versions that this batch activates."""
        return {i.event.data.version for i in self.items if isinstance(i.event, ModelActivated)}


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
    for number, record in enumerate(records):
        for index, found in _events(record):
            batch.seen += 1
            _sort_out(batch, number, index, found, tolerance)
    return batch


def _events(record: Record) -> Iterator[tuple[int | None, Event | InvalidEventError]]:
    value = record.value or b""
    try:
        yield from enumerate(decode_record(value))
    except DECODE_ERRORS:
        yield from _each_event(value)


def _each_event(value: bytes) -> Iterator[tuple[int | None, Event | InvalidEventError]]:
    """Read a record that has something bad in it, one event at a time."""
    try:
        parts = split(value) if value[:1] == b"[" else None
    except DECODE_ERRORS:
        parts = None
    if parts is None:
        yield None, _event_or_error(value)
        return
    for index, raw in enumerate(parts):
        yield index, _event_or_error(bytes(raw))


def _event_or_error(raw: bytes) -> Event | InvalidEventError:
    try:
        return decode_event(raw)
    except InvalidEventError as error:
        return error


def _sort_out(
    batch: Batch, number: int, index: int | None, found: Event | InvalidEventError, tolerance: int
) -> None:
    """Put an event with the good ones, or with the dead letters."""
    record = batch.records[number]
    if isinstance(found, InvalidEventError):
        batch.letters.append(_letter(batch.partition, record, index, found))
        return
    at = epoch_ms(found.time)
    if at > record.timestamp + tolerance:
        ahead = (at - record.timestamp) / 1000
        error = InvalidEventError(
            "time",
            f"{ahead:.0f} s ahead of its arrival",
            "Set the clock of the producer; then replay this dead letter",
        )
        batch.letters.append(_letter(batch.partition, record, index, error))
        return
    batch.items.append(Item(number, index or 0, at, found))


def raw_event(record: Record, index: int | None) -> bytes:
    """Return the original bytes of one event of a record, or of the whole record."""
    value = record.value or b""
    if index is None or value[:1] != b"[":
        return value
    return bytes(split(value)[index])


def _letter(
    partition: int, record: Record, index: int | None, error: InvalidEventError
) -> DeadLetter:
    return DeadLetter(
        value=raw_event(record, index),
        error=type(error).__name__,
        field=error.field,
        reason=error.reason,
        remedy=error.remedy,
        partition=partition,
        offset=record.offset,
        index=index,
    )


def columns(items: list[Item], default_margin: float) -> Events:
    """Return the fold's view of customer events, (n,) of `EVENT`."""
    return np.array([_row(item, default_margin) for item in items], EVENT)


_Row = tuple[int, int, int, int, int, bool]


def _row(item: Item, default_margin: float) -> _Row:
    event = item.event
    identity = event_identity(event.source, event.id)
    revenue, margin, cost, active = _EFFECTS[type(event)](event, default_margin)
    return item.at, micros(revenue), micros(margin), micros(cost), identity, active


_Effect = tuple[float, float, float, bool]


def _usage(event: Usage, default_margin: float) -> _Effect:
    data = event.data
    return data.amount, data.amount * default_margin, 0.0, data.initiated_by == "customer"


def _purchase(event: Purchase, default_margin: float) -> _Effect:
    data = event.data
    ratio = default_margin if data.margin is None else data.margin
    bought = data.amount >= 0 and data.initiated_by == "customer"
    return data.amount, data.amount * ratio, 0.0, bought


def _account(event: Account, _: float) -> _Effect:
    return 0.0, 0.0, event.data.acquisition_cost or 0.0, False


def _contact(_event: Contact, _: float) -> _Effect:
    return 0.0, 0.0, 0.0, False


def _cost(event: Cost, _: float) -> _Effect:
    return 0.0, 0.0, event.data.amount, False


_EFFECTS: Final[dict[type, Callable[..., _Effect]]] = {
    Usage: _usage,
    Purchase: _purchase,
    Account: _account,
    Contact: _contact,
    Cost: _cost,
}


def is_customer_event(event: Event) -> bool:
    """Tell events about a customer from ticks and control events."""
    return not isinstance(event, Tick | ModelActivated)


__all__ = [
    "EVENT",
    "Batch",
    "CustomerEvent",
    "Events",
    "Item",
    "Record",
    "columns",
    "is_customer_event",
    "raw_event",
    "read_batch",
]
