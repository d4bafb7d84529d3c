"""Which versions of a model may go, and which are needed for ever by whoever replays the log.

States are rebuilt by replaying ``customer-events`` from where it begins now, to the same bits; so
each version must stay that the log still names, by an activation or by a pin. A version is
published just before the log names it, and is published again whenever somebody pins it, and daily
while it is pinned. So what was last published before the log begins is named nowhere in it, but
for one: the newest of those, which a state that stands at the log's beginning still serves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from shared.domain.policy import DAY_MS

#: Stay however short the log is: what a person may want to go back to.
KEPT: Final = 30
#: A pinned version is published again when it was not for so long.
RENEWED_AFTER_MS: Final = DAY_MS
#: How far the clocks of those who publish and of the broker may differ, and a pinned version's
#: time lie behind.
MARGIN_MS: Final = 2 * DAY_MS


def outdated(published: Mapping[int, int], beginning: int, pinned: Collection[int]) -> list[int]:
    """Return the versions that may go, the oldest first.

    Parameters
    ----------
    published
        When each version was last published, epoch milliseconds.
    beginning
        Append time of the oldest record that any partition of the log still holds.
    pinned
        What is served because a person said so.

    """
    before = {version for version, at in published.items() if at < beginning - MARGIN_MS}
    newest = sorted(published)[-KEPT:]
    return sorted(before - {max(before, default=0)} - set(newest) - set(pinned))


def renewable(published: Mapping[int, int], now: int, pinned: Collection[int]) -> list[int]:
    """Return the pinned versions that are to be published again by now."""
    found = (version for version in pinned if version in published)
    return sorted(each for each in found if published[each] < now - RENEWED_AFTER_MS)
