"""When customers are looked at again: a timer wheel by quarter of an hour.

A row's own ``review`` field is the truth; the wheel only finds candidates fast. An entry that no
longer agrees with its row is dropped when it comes up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.domain.customer import CustomerTable, Indices, Rows
from shared.domain.features import Millis
from shared.domain.lifecycle import next_deadline
from shared.domain.policy import SLOT_MS, SLOTS_A_DAY, Policy

Slots = NDArray[np.int32]


def phase(rows: Rows) -> Millis:
    """Return the quarter of an hour (n,) of the day at which each customer is reviewed."""
    return (rows["hash"] % np.uint64(SLOTS_A_DAY)).astype(np.int64)


def next_daily(rows: Rows, now: Millis) -> Millis:
    """Return each customer's daily mark (n,) after ``now``."""
    slot = now // SLOT_MS
    mark: Millis = slot + (phase(rows) - slot - 1) % SLOTS_A_DAY + 1
    return mark


def next_review(rows: Rows, now: Millis, policy: Policy) -> Slots:
    """Return each customer's daily mark after ``now`` (n,), or where a stage may end, if sooner."""
    daily = next_daily(rows, now)
    end = -(-next_deadline(rows, now, policy) // SLOT_MS)
    soonest: Slots = np.minimum(daily, end).astype(np.int32)
    return soonest


class Wheel:
    """Row numbers by the slot of their review."""

    def __init__(self) -> None:
        self._slots: dict[int, list[Indices]] = {}
        self._first: int | None = None

    @classmethod
    def of(cls, table: CustomerTable) -> Wheel:
        """Build the wheel of a restored table from its rows."""
        wheel = cls()
        wheel.add(np.arange(len(table)), table.rows["review"][: len(table)])
        return wheel

    def add(self, indices: Indices, slots: Slots) -> None:
        """Enter rows under their slots; both (n,)."""
        if not len(slots):
            return
        order = np.argsort(slots, kind="stable")
        found, start = np.unique(slots[order], return_index=True)
        parts = np.split(indices[order], start[1:])
        for slot, part in zip(found.tolist(), parts, strict=True):
            self._slots.setdefault(slot, []).append(part)
        least = int(found[0])
        self._first = least if self._first is None else min(self._first, least)

    def due(self, slot: int) -> bool:
        """Tell whether anyone may be due at ``slot`` or before."""
        return self._first is not None and self._first <= slot

    def take(self, slot: int, table: CustomerTable) -> Indices:
        """Remove and return the rows that are due at ``slot`` or before, each once."""
        ready = [key for key in self._slots if key <= slot]
        taken = [part for key in ready for part in self._slots.pop(key)]
        self._first = min(self._slots, default=None)
        found = np.unique(np.concatenate([np.empty(0, np.intp), *taken]))
        still_due: Indices = found[table.rows["review"][found] <= slot]
        return still_due
