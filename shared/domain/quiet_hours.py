"""Quiet hours: when a customer is not to be contacted, by the clock on the customer's wall."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

#: Quiet hours begin and end on these, and so do all changes of time zones' offsets.
QUARTER_MS: Final = 15 * 60_000
_DAY_MINUTES: Final = 24 * 60
#: Quarters of two days: longer than any quiet hours, with an hour more on the day clocks go back.
_MOST_QUARTERS: Final = 2 * 96


class QuietHours(Struct, frozen=True):
    """From ``start`` until ``end``, minutes after midnight, over midnight where start > end."""

    start: int
    end: int

    def is_quiet(self, at: int, zone: str) -> bool:
        """Tell whether a moment (epoch ms) is quiet where the customer lives."""
        local = datetime.fromtimestamp(at / 1000, UTC).astimezone(_zone(zone))
        minute = local.hour * 60 + local.minute
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def opening(self, at: int, zone: str) -> int | None:
        """Return when quiet hours end that a moment is in; ``None`` outside of them.

        Looked for quarter by quarter, so that a night in which the clocks change is as long as it
        is.
        """
        if not self.is_quiet(at, zone):
            return None
        return _next(self, at // QUARTER_MS, zone, quiet=False)

    def closing(self, at: int, zone: str) -> int:
        """Return when the next quiet hours begin after a moment outside of them."""
        return _next(self, at // QUARTER_MS, zone, quiet=True)


@lru_cache(maxsize=100_000)
def _next(hours: QuietHours, quarter: int, zone: str, *, quiet: bool) -> int:
    """Return the first quarter of an hour after one, that is quiet or is not."""
    for later in range(quarter + 1, quarter + _MOST_QUARTERS):
        if hours.is_quiet(later * QUARTER_MS, zone) is quiet:
            return later * QUARTER_MS
    raise AssertionError  # hours that never change are refused with the file


@lru_cache(maxsize=1_000)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def known_zone(name: str | None) -> bool:
    """Tell whether a time zone has a name that the world knows."""
    if name is None:
        return False
    try:
        _zone(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
