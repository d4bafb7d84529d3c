"""Which events show in their customer's score at once.

A score is sent when its band or stage changes. The figures beside it (visits, spend, last
activity) change with every event, and a score for each would cost several times what folding does.
So the first events of each second are told of at once, and whoever was left out is told of at the
next quarter of an hour. History is not told of at all until the partition's time is live: what
counts then is how the customer stands at its end.

It depends on the log alone, so that every replay sends the same scores.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.features import Millis
from shared.domain.policy import SLOT_MS

Mask = NDArray[np.bool_]

#: A partition whose time is further behind what is appended to it takes in history.
LIVE_MS: Final = 3_600_000
#: Events of a second of one partition that are told of at once.
AT_ONCE: Final = 250


def is_live(now: Millis, appended: Millis) -> Mask:
    """Tell at which events (n,) the partition's time ``now`` is about the broker's."""
    live: Mask = appended - now <= LIVE_MS
    return live


def told_at_once(now: Millis, appended: Millis, before: int, already: int) -> tuple[Mask, int]:
    """Tell which events are told of at once.

    Parameters
    ----------
    now, appended
        (n,) the partition's time after each of n > 0 events, and when the broker got each.
    before
        The partition's time before them.
    already
        How many events the second of ``before`` has had.

    Returns
    -------
    The events (n,), and how many the last one's second has had.

    """
    second = now // 1000
    rank = np.arange(len(now)) - np.searchsorted(second, second)
    rank[second == before // 1000] += already
    return is_live(now, appended) & (rank < AT_ONCE), int(rank[-1]) + 1


def marks(now: Millis, appended: Millis, before: int) -> Mask:
    """Tell at which events (n,) a live partition passes a quarter of an hour."""
    passed: Mask = np.diff(now // SLOT_MS, prepend=before // SLOT_MS) > 0
    return passed & is_live(now, appended)
