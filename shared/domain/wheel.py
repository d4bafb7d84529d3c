"""A timer wheel: who is to be looked at again, by quarter of an hour.

A row's own ``review`` field is the truth; the wheel only finds candidates fast. An entry that no
longer agrees with its row is dropped when it comes up.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from shared.domain.customer import CustomerTable


class Wheel:
    """Row numbers by the slot of their review."""

    def __init__(self) -> None:
        self._slots: dict[int, array[int]] = {}
        self._first: int | None = None

    @classmethod
    def of(cls, table: CustomerTable) -> Wheel:
        """Build the wheel of a restored table from its rows."""
        wheel = cls()
        wheel.add(np.arange(len(table)), table.rows["review"][: len(table)])
        return wheel

    def add(self, indices: NDArray[np.intp], slots: NDArray[np.int32]) -> None:
        """Enter rows under their slots; both (n,)."""
        for index, slot in zip(indices.tolist(), slots.tolist(), strict=True):
            found = self._slots.get(slot)
            if found is None:
                found = self._slots[slot] = array("L")
            found.append(index)
        if len(slots):
            least = int(slots.min())
            self._first = least if self._first is None else min(self._first, least)

    def due(self, slot: int) -> bool:
        """Tell whether anyone may be due at ``slot`` or before."""
        return self._first is not None and self._first <= slot

    def take(self, slot: int, table: CustomerTable) -> NDArray[np.intp]:
        """Remove and return the rows that are due at ``slot`` or before, each once."""
        ready = [key for key in self._slots if key <= slot]
        taken = np.concatenate(
            [np.empty(0, np.intp), *(np.array(self._slots.pop(key), np.intp) for key in ready)]
        )
        self._first = min(self._slots, default=None)
        found = np.unique(taken)
        still_due: NDArray[np.intp] = found[table.rows["review"][found] <= slot]
        return still_due
