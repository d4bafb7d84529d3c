"""What a deployment may set and every scorer must agree on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from shared.domain.hazard import Steps
from shared.domain.thresholds import LifecycleThresholds

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS

#: Reviews happen on marks this far apart, so that many customers are reviewed at once.
SLOT_MS: Final = 15 * MINUTE_MS
SLOTS_A_DAY: Final = DAY_MS // SLOT_MS


@dataclass(frozen=True)
class Policy:
    """Horizons, cadences, value, and thresholds. Times in milliseconds unless the name says days.

    Attributes
    ----------
    horizon_ms
        Churn horizon H: no activity in (t, t + H].
    cadence_days
        Days between two label snapshots of a customer.
    grace_ms
        Added to the horizon before a snapshot is labelled, for events that come late.
    future_tolerance_ms
        How far an event's own time may lie ahead of the broker's append time.
    default_margin
        Margin ratio of a purchase that names none.
    thresholds
        Where one stage of the lifecycle ends and another begins.
    value_days, discount_rate
        Over how long a customer's future margin is counted, and what a year takes off it.
    erasure_key
        Makes the names under which erased customers are remembered.

    """

    horizon_ms: int = 28 * DAY_MS
    cadence_days: int = 14
    grace_ms: int = DAY_MS
    future_tolerance_ms: int = 5 * MINUTE_MS
    default_margin: float = 1.0
    # Not part of the hash, by which what follows from horizons and cadences is remembered.
    thresholds: LifecycleThresholds = field(default=LifecycleThresholds(), hash=False)
    value_days: int = 365
    discount_rate: float = 0.1
    erasure_key: bytes = field(default=b"", repr=False)

    @property
    def horizon_days(self) -> float:
        """H in days."""
        return self.horizon_ms / DAY_MS

    @property
    def step_ms(self) -> int:
        """The first step of the horizon, whose label the churn model learns."""
        return round(Steps.of(self.horizon_days).length * DAY_MS)
