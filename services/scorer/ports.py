"""What the scorer needs of the outside world; bootstrap chooses who provides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from shared.domain.batch import Record
from shared.domain.customer import CustomerTable
from shared.domain.emission import Effects
from shared.domain.erasure import Erased
from shared.domain.errors import TenureError
from shared.domain.position import Position
from shared.domain.scoring import Served


class OwnershipLostError(TenureError):
    """Another worker owns the partition now; this one must forget it."""


@dataclass(frozen=True)
class Restored:
    """A partition's state as it was last made durable, who was erased, and what reading took."""

    table: CustomerTable
    position: Position
    records: int
    seconds: float
    erased: Sequence[Erased] = ()


class PartitionStore(Protocol):
    """The durable state of one partition, owned by one writer at a time."""

    async def restore(self) -> Restored:
        """Shut out every former owner, then read the state."""

    async def commit(self, effects: Sequence[Effects], position: Position) -> None:
        """Make states, outputs and position durable, all or nothing.

        Raises
        ------
        OwnershipLostError
            Another worker owns the partition now.

        """

    async def close(self) -> None:
        """Let go of the partition."""


class StateStore(Protocol):
    """Opens partitions."""

    async def open(self, partition: int) -> PartitionStore:
        """Return the store of a partition."""


class Bounds(NamedTuple):
    """The first offset that a partition of the log still holds, and the next to be written."""

    first: int
    end: int


class SourceLog(Protocol):
    """``customer-events`` itself, beside the stream that delivers it."""

    async def bounds(self, partition: int) -> Bounds:
        """Return where a partition begins and ends now."""

    async def read(self, partition: int, first: int, end: int) -> list[Record]:
        """Return the first committed records with offsets in [first, end), in order.

        As many as come at once; none only when there are none. A record at ``end`` must have been
        delivered: up to there nothing is still under way.
        """


class Models(Protocol):
    """Where models come from."""

    async def get(self, version: int) -> Served | None:
        """Return a model, or None when there is no version of that number that can be trusted."""

    async def at_most(self, version: int) -> Served | None:
        """Return the newest model up to a version that can be trusted, or None."""


class Ticks(Protocol):
    """Moves the time of silent partitions."""

    async def tick(self, partition: int, now_ms: int) -> None:
        """Append a tick to the partition's log."""
