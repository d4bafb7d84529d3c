"""Control events: what every partition is told, by people (and why) or by the campaigner."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from shared.domain.event_data import ModelPinData, ThresholdsData
from shared.domain.events import BoundariesSet, ModelPinned, ThresholdsSet
from shared.domain.rfm import Boundaries
from shared.domain.thresholds import LifecycleThresholds

#: A partition whose history is being replayed is behind the clock; its time must stay there. It is
#: within the first quarter of an hour: nobody takes that for a time of customers' events.
MOVES_NOTHING: Final = datetime(1970, 1, 1, second=1, tzinfo=UTC)


def pin_event(version: int | None, at: int, by: str, reason: str, source: str) -> bytes:
    """Return what pins a version of the model, or with None ends that.

    Parameters
    ----------
    version
        0 is the stated heuristic.
    at
        Epoch milliseconds; of several pins the latest holds.
    by, reason, source
        Who said so, why, and where.

    """
    return msgspec.json.encode(
        ModelPinned(
            specversion="1.0",
            id=f"pin/{at}",
            source=source,
            time=MOVES_NOTHING,
            data=ModelPinData(at, version, by, reason),
        )
    )


def thresholds_event(thresholds: LifecycleThresholds, by: str, reason: str, source: str) -> bytes:
    """Return what sets the thresholds of the lifecycle; their version says when."""
    return msgspec.json.encode(
        ThresholdsSet(
            specversion="1.0",
            id=f"thresholds/{thresholds.version}",
            source=source,
            time=MOVES_NOTHING,
            data=ThresholdsData(
                thresholds.version, thresholds.default, thresholds.markets, by=by, reason=reason
            ),
        )
    )


def boundaries_event(found: Boundaries, source: str) -> bytes:
    """Return what sets the boundaries of quintiles; their version says when they were found."""
    return msgspec.json.encode(
        BoundariesSet(
            specversion="1.0",
            id=f"boundaries/{found.version}",
            source=source,
            time=MOVES_NOTHING,
            data=found,
        )
    )
