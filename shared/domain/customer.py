"""A customer's state: a fixed row of a NumPy structured array; a profile and a ledger where known.

Rows are gathered by index, computed on as a copy and scattered back; the bytes of a row are the
changelog's value, and behind them come those of the profile and of the ledger. Money is in micro
units (1e-6 of the reporting currency), so that sums are exact in any order.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.domain.features import ACTIVITY_FIELDS, MICROS, PACKED_FIELDS
from shared.domain.identity import hash64s
from shared.domain.ledger import Ledger
from shared.domain.outputs import Profile
from shared.domain.risk_history import RISKS, UNKNOWN

Rows = NDArray[np.void]
Indices = NDArray[np.intp]

#: Event ids remembered per customer: a repeat within the last so many counts once.
DEDUP_WINDOW: Final = 16
#: Label snapshots that can wait for their horizon at once.
PENDING: Final = 4

#: A label snapshot: what the model saw, what it said, and whether the customer came back since.
SNAPSHOT: Final = np.dtype(
    [
        ("at", "<i8"),
        *PACKED_FIELDS,
        ("predicted", "<f8"),
        ("challenger", "<f4"),  # what its model's said, 0 if it had none
        ("model", "<u4"),
        ("active", "u1"),  # labels.IN_...: whether, and how soon, the customer came back
        ("closed", "u1"),  # the same for an account closed
        ("stepped", "u1"),  # whether the step's label has left
    ]
)

ROW: Final = np.dtype(
    [
        ("hash", "<u8"),  # of the customer id: phase of reviews and snapshots, order of emission
        *ACTIVITY_FIELDS,
        ("events", "<u4"),  # events of any kind, each counted once
        ("purchases", "<u4"),  # by the customer, without refunds
        ("revenue", "<i8"),  # micros, refunds subtracted
        ("margin", "<i8"),  # micros
        ("cost", "<i8"),  # micros
        ("stage", "u1"),  # index into lifecycle.STAGES
        ("closed", "u1"),  # 0 open, else a lifecycle.CLOSED_... code
        ("market", "u1"),  # whose thresholds hold: `LifecycleThresholds.code`
        ("risks", "u1", (RISKS,)),  # the risk every second day, see risk_history
        ("stage_since", "<i8"),
        ("review", "<i4"),  # slot of the next review
        ("band", "i1"),  # last emitted risk in steps of .05, -1 before the first score
        ("emitted_stage", "u1"),
        ("untold", "u1"),  # whether something happened since the last score was emitted
        ("seen_next", "u1"),  # ring index into `seen`
        ("pending", "u1"),  # snapshots in use
        ("segment", "u1"),  # of the last emitted score, see `shared.domain.segments`
        ("seen", "<u8", (DEDUP_WINDOW,)),
        # Last, so that unused snapshots need not be written.
        ("snapshots", SNAPSHOT, (PENDING,)),
    ]
)

_FORMAT: Final = 10
_HEADER: Final = struct.Struct("<BHI")  # format, length of the row, and of the profile behind it
_BASE: Final = ROW.itemsize - PENDING * SNAPSHOT.itemsize
#: Size of a row, and the header of its value, by the number of snapshots in it.
_SIZES: Final = [_BASE + used * SNAPSHOT.itemsize for used in range(PENDING + 1)]
#: Without a profile.
_HEADERS: Final = [_HEADER.pack(_FORMAT, size, 0) for size in _SIZES]
#: What a row of each size leaves empty.
_PADDING: Final = {size: bytes(ROW.itemsize - size) for size in _SIZES}

_encode_profile = msgspec.msgpack.Encoder().encode
_decode_profile = msgspec.msgpack.Decoder(Profile).decode
_encode_ledger = msgspec.msgpack.Encoder().encode
_decode_ledger = msgspec.msgpack.Decoder(Ledger).decode

NO_PROFILE: Final = Profile()
#: A review that no partition reaches.
NEVER: Final = int(np.iinfo(np.int32).max)


#: What helps against states of another format.
REBUILD: Final = (
    "Run the version that wrote them, or build them anew from customer-events "
    "(docs/operations.md, States look wrong)"
)


class StateFormatError(ValueError):
    """A stored state of another format. It is never read as if it were of this one."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}. {REBUILD}")
        self.reason = reason


class CustomerTable:
    """All customers of one partition.

    Attributes
    ----------
    rows
        (capacity,) structured array of `ROW`; the first ``len(table)`` are in use.
    ids
        Customer id of each row.
    profiles
        Row number to profile, for the customers that have one.
    ledgers
        Row number to packed ledger, likewise.

    """

    def __init__(self, capacity: int = 1024) -> None:
        self.rows: Rows = np.zeros(capacity, ROW)
        self.ids: list[str] = []
        self.profiles: dict[int, Profile] = {}
        self.ledgers: dict[int, bytes] = {}
        self._index: dict[str, int] = {}
        self._bytes = self.rows.data.cast("B")

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, customer: str) -> bool:
        return customer in self._index

    def find(self, customer: str) -> int | None:
        """Return the row of a customer, or None."""
        return self._index.get(customer)

    def find_all(self, customers: list[str | None]) -> Indices:
        """Return the row of each customer (n,), -1 where there is none."""
        get = self._index.get
        return np.array([get(customer, -1) for customer in customers], np.intp)  # type: ignore[arg-type]

    def add(self, customers: list[str]) -> Indices:
        """Add distinct customers that are not in the table, and return their rows (n,)."""
        first, end = len(self.ids), len(self.ids) + len(customers)
        if end > len(self.rows):
            self._grow(max(2 * len(self.rows), end))
        self._index.update(zip(customers, range(first, end), strict=True))
        self.ids += customers
        self.rows["hash"][first:end] = hash64s(customers)
        self.rows["band"][first:end] = -1
        self.rows["risks"][first:end] = UNKNOWN
        return np.arange(first, end)

    def remove(self, customer: str) -> int | None:
        """Forget a customer; return the row to which the last one moved, if one had to.

        So the rows in use stay one block. What is left of the last row is never due.
        """
        index = self._index.pop(customer, None)
        if index is None:
            return None
        last = len(self.ids) - 1
        moved = self.ids.pop()
        for kept in (self.profiles, self.ledgers):
            _move(kept, last, index)
        self.rows[index] = self.rows[last]
        self.rows[last] = np.zeros((), ROW)
        self.rows["review"][last] = NEVER
        if index == last:
            return None
        self.ids[index], self._index[moved] = moved, index
        return index

    def profile(self, index: int) -> Profile:
        """Return what is known about a customer beyond behaviour."""
        return self.profiles.get(index, NO_PROFILE)

    def ledger(self, index: int) -> Ledger | None:
        """Return a copy of a customer's ledger, None where nothing was ever noted."""
        packed = self.ledgers.get(index)
        return None if packed is None else _decode_ledger(packed)

    def note(self, index: int, found: Ledger) -> None:
        """Keep a customer's ledger as it is now.

        It is packed at once: containers that live for as long as a batch would have the garbage
        collector look at everything, again and again, which costs ten times what packing does.
        """
        self.ledgers[index] = _encode_ledger(found)

    def encode(self, indices: Indices) -> list[tuple[bytes, bytes]]:
        """Return changelog records (key, value) of the given rows."""
        rows = self.rows[indices]
        data, numbers = rows.tobytes(), indices.tolist()
        starts = range(0, len(data), ROW.itemsize)
        values = [
            _HEADERS[used] + data[start : start + _SIZES[used]]
            for used, start in zip(rows["pending"].tolist(), starts, strict=True)
        ]
        profiles, ledgers = self.profiles, self.ledgers
        for at, index in enumerate(numbers):
            if index in profiles:
                values[at] = self._with_profile(index, values[at])
            elif index in ledgers:
                values[at] += ledgers[index]
        ids = self.ids
        return list(zip([ids[index].encode() for index in numbers], values, strict=True))

    def _with_profile(self, index: int, value: bytes) -> bytes:
        """Put the profile behind the row, and then the ledger."""
        profile = _encode_profile(self.profiles[index])
        header = _HEADER.pack(_FORMAT, len(value) - _HEADER.size, len(profile))
        return b"".join((header, value[_HEADER.size :], profile, self.ledgers.get(index, b"")))

    def restore(self, key: bytes, value: bytes) -> None:
        """Put back what `encode` returned; the last value of a key wins.

        Raises
        ------
        StateFormatError
            The value was written by another version of this format.

        """
        size, profile = _lengths(value)
        customer = key.decode()
        index = self._index.get(customer)
        if index is None:
            index = self._place(customer)
        start, end = index * ROW.itemsize, _HEADER.size + size
        self._bytes[start : start + size] = value[_HEADER.size : end]
        self._bytes[start + size : start + ROW.itemsize] = _PADDING[size]
        if profile:
            self.profiles[index] = _decode_profile(value[end : end + profile])
        if len(value) > end + profile:
            self.ledgers[index] = value[end + profile :]

    def _place(self, customer: str) -> int:
        """Return an empty row for a customer who is not in the table."""
        index = len(self.ids)
        if index == len(self.rows):
            self._grow(2 * index)
        self._index[customer] = index
        self.ids.append(customer)
        return index

    def _grow(self, capacity: int) -> None:
        rows = np.zeros(capacity, ROW)
        rows[: len(self.rows)] = self.rows
        self.rows, self._bytes = rows, rows.data.cast("B")


def _move(kept: dict[int, Any], last: int, index: int) -> None:
    """Give a row what the last one had, and nothing else."""
    kept.pop(index, None)
    if last in kept:
        kept[index] = kept.pop(last)


def _lengths(value: bytes) -> tuple[int, int]:
    """Return the lengths of a value's row and profile, if it is of this format."""
    form = value[0]
    if form != _FORMAT:
        raise StateFormatError(f"state of format {form}, expected format {_FORMAT}")
    _, size, profile = _HEADER.unpack_from(value)
    if size not in _PADDING:
        raise StateFormatError(f"state of {size} bytes, which no row of format {_FORMAT} has")
    return size, profile


def micros(amounts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return money (n,) in micro units, rounded half to even."""
    return np.rint(amounts * MICROS).astype(np.int64)


def describe(table: CustomerTable, index: int) -> dict[str, Any]:
    """Return a row as plain values, for people and for comparing two states."""
    row = table.rows[index]
    plain = {name: row[name].tolist() for name in ROW.names or () if name != "snapshots"}
    used = row["snapshots"][: row["pending"]]
    plain["snapshots"] = [
        {name: snapshot[name].tolist() for name in SNAPSHOT.names or ()} for snapshot in used
    ]
    plain["profile"] = msgspec.to_builtins(table.profile(index))
    plain["ledger"] = msgspec.to_builtins(table.ledger(index))
    return plain
