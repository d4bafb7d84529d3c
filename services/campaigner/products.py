"""Keeps what customers take up next: learned from the read model once a day, asked at any time.

Each campaigner learns for itself, from what SQL holds at that moment: so one that starts anew
says the same as one that has run, once both have seen the same day begin.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import structlog

from services.campaigner.sparingly import Sparingly
from shared.domain.dealings import Dealings
from shared.domain.policy import DAY_MS
from shared.domain.uptake import Held, NextProduct, Uptake, learned

log = structlog.get_logger(__name__)


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


class NextProducts(Sparingly):
    """Suggests products to customers who do not hold them, as learned when a day is over.

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
        super().__init__("the next products could not be learned, trying again", monotonic)
        self._base = base
        self._now = now
        self._known: _Known | None = None

    @property
    def learned_at(self) -> int:
        """The base's time (epoch ms) as of which it was learned; 0 before."""
        return 0 if self._known is None else self._known.at

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
