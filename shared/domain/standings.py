"""Where the customers of a partition stand with the campaigns, as SQL has it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec import Struct

from shared.domain.base_book import Booked
from shared.domain.campaign_outputs import Decision
from shared.domain.campaigns import UNTOUCHED, Arming, Campaign
from shared.domain.checks import History
from shared.domain.leads import Lead
from shared.domain.named_segments import Membership
from shared.domain.seen import Seen
from shared.domain.triggers import DAY_MS, Timed
from shared.domain.units import Unit
from shared.domain.uptake import Held

#: The longest time that a cap looks back.
LOOK_BACK_MS: Final = 7 * DAY_MS


class Enrolment(NamedTuple):
    """Who was enrolled in what, and when (the partition's time)."""

    customer: str
    campaign: str
    at: int

    @classmethod
    def of(cls, decision: Decision) -> Enrolment:
        """Return the enrolment that a decision made, and that ends when the decision expires."""
        return cls(decision.customer, decision.campaign, decision.at)


class Sweep(Struct, frozen=True):
    """A look at all customers of a partition, a few with each batch.

    Attributes
    ----------
    definitions, day
        By which segments, and on which day of the partition's time; another of either begins one.
    after
        Up to which customer it got, in the order of ids; ``None`` when all were looked at.

    """

    definitions: str = ""
    day: int = -1
    after: str | None = None


@dataclass
class Standings:
    """The customers of a partition: when last seen, and where they stand with each campaign.

    Attributes
    ----------
    armings
        By customer and campaign; who has no entry is armed, and was never decided about.
    units
        Those whose window has not ended, by (customer, campaign).
    enrolments
        Of the last week or more, ascending, by customer.
    deferred
        Decisions that wait for the end of quiet hours, by (customer, campaign).
    booked
        What was booked of each customer to the base over time.
    held
        Which products each customer holds, of those who hold any.
    leads
        How customers came to pay, of those who were heard of before.
    at
        The partition's time when they were read: what time alone made due until then was looked
        at, though ``seen`` does not know, which is of the last scores.
    memberships
        In segments by conditions, by customer and segment.
    swept
        Up to where time alone was looked at for those.
    clock
        The partition's time now.

    """

    seen: dict[str, Seen] = field(default_factory=dict)
    armings: dict[str, dict[str, Arming]] = field(default_factory=dict)
    units: dict[tuple[str, str], Unit] = field(default_factory=dict)
    enrolments: dict[str, tuple[int, ...]] = field(default_factory=dict)
    deferred: dict[tuple[str, str], Decision] = field(default_factory=dict)
    at: int = field(default=0, compare=False)
    memberships: dict[str, dict[str, Membership]] = field(default_factory=dict)
    swept: Sweep = field(default=Sweep(), compare=False)
    clock: int = field(default=0, compare=False)
    booked: dict[str, Booked] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    leads: dict[str, Lead] = field(default_factory=dict)
    _ends: list[tuple[int, str, str]] = field(default_factory=list, init=False, compare=False)
    _due: list[tuple[int, str]] = field(default_factory=list, init=False, compare=False)
    _campaigns: Sequence[Campaign] | None = field(default=None, init=False, compare=False)
    _timed: list[Campaign] = field(default_factory=list, init=False, compare=False)

    def __post_init__(self) -> None:
        """Order the windows by their end."""
        self._ends = [(each.ends_at, *key) for key, each in self.units.items()]
        heapq.heapify(self._ends)
        self.clock = max(self.clock, self.at)

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

    def wait_for(self, campaigns: Sequence[Campaign]) -> None:
        """Know when time alone makes campaigns due; does nothing for the same ones again."""
        if campaigns is self._campaigns:
            return
        self._campaigns = campaigns
        self._timed = [each for each in campaigns if isinstance(each.trigger, Timed)]
        dues = ((at, who) for who, seen in self.seen.items() for at in self._dues(seen))
        self._due = [each for each in dues if each[0] > self.at]
        self._due += [(each.opens_at or each.at, each.customer) for each in self.deferred.values()]
        heapq.heapify(self._due)

    def remember(self, customer: str, seen: Seen) -> None:
        """Keep what a customer was like, and when to look again though nothing happens."""
        self.seen[customer] = seen
        for at in self._dues(seen):
            heapq.heappush(self._due, (at, customer))

    def due(self, at: int) -> Iterator[tuple[int, str]]:
        """Yield who is to be looked at by a time, and when; the earliest first."""
        while self._due and self._due[0][0] <= at:
            due_at, customer = heapq.heappop(self._due)
            seen = self.seen[customer]
            opens = any(each.opens_at == due_at for each in self._deferred_of(customer))
            if opens or due_at in self._dues(seen):  # else the customer moved meanwhile
                yield due_at, customer

    def defer(self, decision: Decision) -> None:
        """Wait with a decision until the customer's quiet hours end."""
        assert decision.opens_at is not None  # noqa: S101  # that is what it is deferred for
        self.deferred[decision.customer, decision.campaign] = decision
        heapq.heappush(self._due, (decision.opens_at, decision.customer))

    def waits(self, customer: str, campaign: str) -> bool:
        """Tell whether a decision about a customer is deferred."""
        return (customer, campaign) in self.deferred

    def opening(self, customer: str, at: int) -> list[Decision]:
        """Return, and forget, a customer's decisions that waited until a time."""
        waited = [each for each in self._deferred_of(customer) if (each.opens_at or 0) <= at]
        for each in waited:
            del self.deferred[customer, each.campaign]
        return waited

    def enrol(self, customer: str, at: int) -> None:
        """Remember that a customer was enrolled, for as long as caps look back."""
        recent = (each for each in self.enrolments.get(customer, ()) if at - each < LOOK_BACK_MS)
        self.enrolments[customer] = (*recent, at)

    def forget(self, customer: str, at: int) -> None:
        """Take an enrolment back."""
        times = list(self.enrolments.get(customer, ()))
        if at in times:
            times.remove(at)
            self.enrolments[customer] = tuple(times)

    def remove(self, customer: str) -> None:
        """Know nothing of a customer any more."""
        self.seen.pop(customer, None)
        self.booked.pop(customer, None)
        self.held.pop(customer, None)
        self.leads.pop(customer, None)
        self.armings.pop(customer, None)
        self.memberships.pop(customer, None)
        self.enrolments.pop(customer, None)
        for kept in (self.units, self.deferred):
            for key in [key for key in kept if key[0] == customer]:
                del kept[key]
        self._ends = [each for each in self._ends if each[1] != customer]
        self._due = [each for each in self._due if each[1] != customer]
        heapq.heapify(self._ends)
        heapq.heapify(self._due)

    def history(self, customer: str) -> History:
        """Return the enrolments of a customer that caps count."""
        standings = self.armings.get(customer)
        if standings is None:
            return History()
        in_all = sum(each.enrolments for each in standings.values())  # ALL has none of its own
        return History(self.enrolments.get(customer, ()), in_all)

    def _deferred_of(self, customer: str) -> list[Decision]:
        if not self.deferred:
            return []
        mine = (self.deferred.get((customer, name)) for name in self.armings.get(customer, ()))
        return [each for each in mine if each is not None]

    def _dues(self, seen: Seen) -> list[int]:
        if not self._timed:
            return []
        ahead = (each.trigger.next_due(seen) for each in self._timed)
        return [at for at in ahead if at is not None and at > seen.at]
