"""Keeps what customers take up next: learned from the read model once a day, asked at any time.

Each campaigner learns for itself, from what SQL holds at that moment: so one that starts anew
says the same as one that has run, once both have seen the same day begin.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Final, NamedTuple, Protocol

import structlog

from shared.domain.dealings import Dealings
from shared.domain.policy import DAY_MS
from shared.domain.uptake import Held, NextProduct, Uptake, learned

log = structlog.get_logger(__name__)

_LOOK_S: Final = 5.0
#: It may take a twentieth of a core: history is replayed by the day in seconds.
_SHARE: Final = 20.0


class Holdings(Protocol):
    """The read model; `shared.adapters.sql.product_store` says what each operation returns."""

    def holders(self) -> int:
        """Return how many customers hold anything."""

    def held(self) -> list[Held]:
        """Return what customers hold."""

    def of(self, customer: str) -> Held:
        """Return what a customer holds."""


class _Known(NamedTuple):
    """What was learned, as of when (epoch ms), and of how many who hold anything."""

    uptake: Uptake
    at: int
    holders: int


class NextProducts:
    """Suggests products to customers who do not hold them.

    Parameters
    ----------
    base
        The database.
    now
        Returns the time of the base, epoch milliseconds.
    monotonic
        Seconds that only go forward.

    """

    def __init__(
        self,
        base: Holdings,
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base = base
        self._now = now
        self._monotonic = monotonic
        self._known: _Known | None = None
        self._rest_until = 0.0

    @property
    def learned_at(self) -> int:
        """The base's time (epoch ms) as of which it was learned; 0 before."""
        return 0 if self._known is None else self._known.at

    def run(self, stop: Event) -> None:
        """Look every few seconds until ``stop`` is set."""
        while not stop.wait(_LOOK_S):
            try:
                self.look()
            except Exception:  # what is known already is said on
                log.exception("the next products could not be learned, trying again")

    def look(self) -> bool:
        """Learn anew when a day is over or the holders have doubled; return whether it did."""
        started = self._monotonic()
        if started < self._rest_until:
            return False
        try:
            return self._renew()
        finally:
            ended = self._monotonic()
            self._rest_until = ended + _SHARE * (ended - started)

    def of(self, customer: str, dealings: Dealings, most: int) -> tuple[Held, list[NextProduct]]:
        """Return what a customer holds, and is likely to take up next, the likeliest first.

        Parameters
        ----------
        customer, dealings
            Who, with the products bought last.
        most
            How many at the most.

        """
        held, known = self._base.of(customer), self._known
        if known is None:
            return held, []
        return held, known.uptake.next_of(dealings.products, held, known.at, most)

    def _renew(self) -> bool:
        now, holders = self._now(), self._base.holders()
        if not holders or not self._is_due(now, holders):
            return False
        held = self._base.held()
        self._known = _Known(learned(held, now), now, holders)
        log.info("next products learned", customers=len(held))
        return True

    def _is_due(self, now: int, holders: int) -> bool:
        known = self._known
        if known is None:
            return True
        return now // DAY_MS > known.at // DAY_MS or holders >= 2 * known.holders
