"""Up to where a partition's state stands, and what became of all events up to there."""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain.event_data import ModelPinData
from shared.domain.outputs import Identity
from shared.domain.rfm import Boundaries
from shared.domain.thresholds import LifecycleThresholds


class Counts(Struct):
    """What became of the events of a partition, since the beginning of its log.

    ``accepted = applied + duplicates + dead_letters + misplaced + controls + erased``; late events
    are among the applied, and the erased are those of customers who were erased before.
    """

    accepted: int = 0
    applied: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    misplaced: int = 0
    controls: int = 0
    erased: int = 0
    late: int = 0
    snapshots_skipped: int = 0


class Serving(Struct, frozen=True):
    """Which model is to be served.

    Attributes
    ----------
    newest
        The newest version that the trainer activated.
    pinned, pinned_at
        The version that a person wants served instead, if any, and when that was said.

    """

    newest: int = 0
    pinned: int | None = None
    pinned_at: int = 0

    @property
    def version(self) -> int:
        """The version that is to be served."""
        return self.newest if self.pinned is None else self.pinned

    def activated(self, version: int) -> Serving:
        """Return this once the trainer has activated a version, in whatever order."""
        return replace(self, newest=max(version, self.newest))

    def told(self, pin: ModelPinData) -> Serving:
        """Return this once a person has said something; what was said before counts no more."""
        return Serving(self.newest, pin.version, pin.at) if pin.at > self.pinned_at else self


class Position(Struct, frozen=True):
    """Up to where a partition's state stands: kept in the changelog with the states themselves.

    Attributes
    ----------
    offset
        The next offset to read.
    now
        The partition's time.
    model
        Version of the model in use.
    busy
        How many events the second of ``now`` has had.
    moved
        The last event that each other partition moved here. They come in the order in which that
        partition found them, so what is not behind the last one is there already: its log was
        read again from the beginning.
    serving
        Which model is to be served; `model` differs where that one was not to be had.
    thresholds
        Those of the lifecycle that are in force.
    erased
        How many customers the partition knows as erased.
    boundaries
        Those of quintiles that are in force.
    sweeping
        Whether some customers may still be in the segment of former boundaries.

    """

    offset: int = 0
    now: int = 0
    model: int = 0
    counts: Counts = field(default_factory=Counts)
    busy: int = 0
    moved: dict[int, Identity] = {}  # msgspec copies it
    serving: Serving = Serving()
    thresholds: LifecycleThresholds = LifecycleThresholds()
    erased: int = 0
    boundaries: Boundaries = Boundaries()
    sweeping: bool = False
