"""The scorer's ports in memory, for tests and for trying things out; fencing included."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from services.scorer.ports import Bounds, OwnershipLostError, Restored
from services.scorer.records import Entry, StateReader, decode_erased, writes
from shared import topics
from shared.domain.batch import Record
from shared.domain.emission import Effects
from shared.domain.position import Position
from shared.domain.scoring import Served

#: Records that come at once.
_PAGE: Final = 100


class MemoryStateStore:
    """What Kafka would keep: changelog and outputs, by topic and partition.

    Attributes
    ----------
    logs
        Committed records by name of the topic and partition, in order.

    """

    def __init__(self) -> None:
        self.logs: dict[tuple[str, int], list[Entry]] = defaultdict(list)
        self._owners: dict[int, MemoryPartitionStore] = {}

    async def open(self, partition: int) -> MemoryPartitionStore:
        """Return the store of a partition; nothing is read or fenced yet."""
        return MemoryPartitionStore(self, partition)

    def own(self, partition: int, owner: MemoryPartitionStore) -> None:
        """Shut out every former owner of a partition."""
        self._owners[partition] = owner

    def disown(self, partition: int, owner: MemoryPartitionStore) -> None:
        """Forget an owner, unless another came after it."""
        if self.is_owner(partition, owner):
            del self._owners[partition]

    def is_owner(self, partition: int, store: MemoryPartitionStore) -> bool:
        """Tell whether nobody came after this owner."""
        return self._owners.get(partition) is store


class MemoryPartitionStore:
    """One partition's states and outputs."""

    def __init__(self, store: MemoryStateStore, partition: int) -> None:
        self._store = store
        self._partition = partition

    async def restore(self) -> Restored:
        """Fence former owners, then read the changelog."""
        started = time.monotonic()
        self._store.own(self._partition, self)
        state = StateReader()
        for key, value, _ in self._store.logs[topics.CUSTOMER_STATE.name, self._partition]:
            state.take(key, value)
        seconds = time.monotonic() - started
        told = self._store.logs[topics.ERASURES.name, 0]
        erased = [decode_erased(each.value or b"") for each in told]
        return Restored(state.table, state.position, state.records, seconds, erased)

    async def commit(self, effects: Sequence[Effects], position: Position) -> None:
        """Write everything at once, or nothing."""
        written = list(writes(self._partition, topics.CUSTOMER_EVENTS.name, effects, position))
        await asyncio.sleep(0)  # as if it took time: a cancellation here leaves nothing
        if not self._store.is_owner(self._partition, self):
            raise OwnershipLostError(f"partition {self._partition} has another owner")
        for topic, partition, entries in written:
            self._store.logs[topic.name, partition] += entries

    async def close(self) -> None:
        """Let go of the partition."""
        self._store.disown(self._partition, self)


class MemorySourceLog:
    """What ``customer-events`` would hold.

    Attributes
    ----------
    records
        Committed records by partition, in the order of their offsets.
    ends
        Next offset to be written, where it is not the one after the last record.
    reads
        How often somebody read.

    """

    def __init__(self) -> None:
        self.records: dict[int, list[Record]] = defaultdict(list)
        self.ends: dict[int, int] = {}
        self.reads = 0

    async def bounds(self, partition: int) -> Bounds:
        """Return where a partition begins and ends."""
        held = self.records[partition]
        end = self.ends.get(partition, held[-1].offset + 1 if held else 0)
        return Bounds(held[0].offset if held else end, end)

    async def read(self, partition: int, first: int, end: int) -> list[Record]:
        """Return the first records of a place."""
        self.reads += 1
        return [one for one in self.records[partition] if first <= one.offset < end][:_PAGE]


class MemoryModels:
    """Models by version.

    Attributes
    ----------
    served
        What can be trusted.

    """

    def __init__(self, *served: Served) -> None:
        self.served = {one.version: one for one in served}

    async def get(self, version: int) -> Served | None:
        """Return a model, or None when there is none of that version."""
        return self.served.get(version)

    async def at_most(self, version: int) -> Served | None:
        """Return the newest model up to a version, or None."""
        known = [number for number in self.served if number <= version]
        return self.served[max(known)] if known else None


class MemoryTicks:
    """Ticks that nobody reads: (partition, time in epoch milliseconds)."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int]] = []

    async def tick(self, partition: int, now_ms: int) -> None:
        """Remember a tick."""
        self.sent.append((partition, now_ms))
