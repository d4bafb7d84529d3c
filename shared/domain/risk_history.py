"""A customer's risk as it was: sixteen bytes of a row, one for every second day of the last month.

They are written at reviews, which everybody has daily, so silence is in them too.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.features import DAY_MS, Floats, Millis, Rows

#: Risks that a row keeps, and how many days lie between two.
RISKS: Final = 16
EVERY_DAYS: Final = 2
#: In place of a risk: the customer was not known yet.
UNKNOWN: Final = 255
_STEPS: Final = 254


def remember(rows: Rows, now: Millis, risk: Floats) -> None:
    """Keep the risks (n,) of reviews at ``now`` (n,), in place; the last review of a day counts."""
    day = now // DAY_MS
    due = np.flatnonzero(day % EVERY_DAYS == 0)
    rows["risks"][due, _place(day[due])] = np.rint(risk[due] * _STEPS).astype(np.uint8)


def risk_before(rows: Rows, now: Millis, days: int) -> list[float | None]:
    """Return the risks (n,) of so many days before ``now`` (n,), or of a day more.

    At most thirty days: what is older may be overwritten. None where it was not known.
    """
    kept = rows["risks"][np.arange(len(rows)), _place(now // DAY_MS - days)]
    return [None if one == UNKNOWN else one / _STEPS for one in kept.tolist()]


def _place(day: Millis) -> NDArray[np.int64]:
    place: NDArray[np.int64] = day // EVERY_DAYS % RISKS
    return place
