"""Where the customers of a partition stand with the campaigns, as SQL has it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.domain.campaign_outputs import Decision
from shared.domain.campaigns import UNTOUCHED, Arming
from shared.domain.units import Seen, Unit


class Enrolment(NamedTuple):
    """Who was enrolled in what, and when (the partition's time)."""

    customer: str
    campaign: str
    at: int

    @classmethod
    def of(cls, decision: Decision) -> Enrolment:
        """Return the enrolment that a decision made, and that ends when the decision expires."""
        return cls(decision.customer, decision.campaign, decision.at)


@dataclass
class Standings:
    """The customers of a partition: when last seen, and where they stand with each campaign.

    A campaign that has not decided about a customer has no entry in ``armings``; ``units`` are
    those whose window has not ended, by (customer, campaign).
    """

    seen: dict[str, Seen] = field(default_factory=dict)
    armings: dict[str, dict[str, Arming]] = field(default_factory=dict)
    units: dict[tuple[str, str], Unit] = field(default_factory=dict)
    _ends: list[tuple[int, str, str]] = field(default_factory=list, init=False, compare=False)

    def __post_init__(self) -> None:
        """Order the windows by their end."""
        self._ends = [(each.ends_at, *key) for key, each in self.units.items()]
        heapq.heapify(self._ends)

    def arming(self, customer: str, campaign: str) -> Arming:
        """Return where a customer stands with a campaign."""
        return self.armings.get(customer, {}).get(campaign, UNTOUCHED)

    def watch(self, unit: Unit) -> None:
        """Wait for the end of a unit's window."""
        key = unit.customer, unit.campaign
        self.units[key] = unit
        heapq.heappush(self._ends, (unit.ends_at, *key))

    def ended(self, at: int) -> Iterator[Unit]:
        """Forget, and yield, the units whose windows end before a time."""
        while self._ends and self._ends[0][0] < at:
            ends_at, *key = heapq.heappop(self._ends)
            unit = self.units.get((key[0], key[1]))
            if unit is not None and unit.ends_at == ends_at:  # else it was taken back
                del self.units[key[0], key[1]]
                yield unit
