"""Keeps the boundaries of quintiles fresh: found in SQL once a day, told to every scorer.

The campaigner that owns the first partition does it. Should two do it for a while, or one be killed
between telling and remembering, several versions are in the log, of which every scorer takes the
highest: whichever that is, all agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from services.campaigner.sparingly import Sparingly
from shared.adapters.sql.segment_store import Kept
from shared.domain.campaign_state import Lease
from shared.domain.features import DAY_MS
from shared.domain.rfm import Boundaries, Ranked, boundaries

log = structlog.get_logger(__name__)

#: Whose owner does it.
_FIRST: Final = 0


class Base(Protocol):
    """The read model; `shared.adapters.sql.segment_store` says what each operation returns."""

    def now(self) -> int:
        """Return the time of the base."""

    def known(self) -> int:
        """Return how many customers there are."""

    def newest(self) -> Kept | None:
        """Return what was told last."""

    def ranked(self) -> list[Ranked]:
        """Return what quintiles ask of every customer."""

    def keep(self, found: Boundaries, known: int) -> None:
        """Remember what was told."""


class Quintiles(Sparingly):
    """Tells scorers of boundaries when a day is over, or the base has doubled.

    Parameters
    ----------
    base
        The database.
    leases
        Returns the partitions that are owned now.
    tell
        Appends boundaries to the log of every partition.
    monotonic
        Seconds that only go forward.

    """

    def __init__(
        self,
        base: Base,
        leases: Callable[[], list[Lease]],
        tell: Callable[[Boundaries], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            "boundaries of quintiles could not be found or told, trying again", monotonic
        )
        self._base = base
        self._leases = leases
        self._tell = tell

    def _renew(self) -> bool:
        if not self._is_mine():
            return False
        now, known = self._base.now(), self._base.known()
        if not self._is_due(now, known):
            return False
        found = boundaries(self._base.ranked(), now)
        if found is None:
            return False
        self._tell(found)
        self._base.keep(found, known)
        log.info("boundaries of quintiles told", version=found.version, customers=found.customers)
        return True

    def _is_mine(self) -> bool:
        return any(each.partition == _FIRST for each in self._leases())

    def _is_due(self, now: int, known: int) -> bool:
        last = self._base.newest()
        if last is None:
            return now > 0
        version = last.boundaries.version
        grown = now > version and known >= 2 * last.known
        return now // DAY_MS > version // DAY_MS or grown
