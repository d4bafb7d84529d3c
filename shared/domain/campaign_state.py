"""How a score changes what the campaigner knows of a partition's customers.

`Standings` mirror what SQL holds; a `Batch` is what one transaction adds to both: decisions,
read model, armings, units with their outcomes, and the position in the log, all or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.domain.campaign_decisions import Crossing, decide, enrolled
from shared.domain.campaign_outputs import Decision
from shared.domain.campaigns import (
    Arming,
    Campaign,
    crosses,
    disarmed,
    rearmed,
    released,
)
from shared.domain.errors import TenureError
from shared.domain.outputs import DeadLetter, Score
from shared.domain.standings import Enrolment, Standings
from shared.domain.units import Achieved, Seen, Unit, achieved, unit_of


class LostPartitionError(TenureError):
    """Another campaigner owns the partition now; nothing of the transaction was written."""


class Lease(NamedTuple):
    """The right to write for a partition: whoever claims it next gets a higher epoch."""

    partition: int
    epoch: int


@dataclass
class Batch:
    """What one partition's records add.

    Attributes
    ----------
    lease
        The right to add it.
    start, end
        First offset of it, and the next one to read after it.
    at
        The partition's time; ``None`` while no clock or score told it.
    profiles
        Last score of each customer, and the JSON that it came in.
    armings
        (customer, campaign) and where they stand now.
    units, outcomes
        First enrolments, and what came of those whose window has ended, by (customer, campaign).
    released
        Enrolments that came to nothing, and with them their units.
    letters
        Records that could not be read.

    """

    lease: Lease
    start: int
    end: int
    at: int | None = None
    profiles: dict[str, tuple[Score, str]] = field(default_factory=dict)
    armings: dict[tuple[str, str], Arming] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    units: dict[tuple[str, str], Unit] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], Achieved] = field(default_factory=dict)
    released: list[Enrolment] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)


class Claimed(NamedTuple):
    """A lease, and where its partition stands: next offset to read, and its time if known."""

    lease: Lease
    next_offset: int
    at: int | None


class Waiting(NamedTuple):
    """A row of the outbox: a decision to publish, or a dead letter (JSON)."""

    seq: int
    partition: int
    created_at: int
    decision: Decision | None
    letter: str | None


class Settled(NamedTuple):
    """A row of the outbox that Kafka has; ``expired`` when its trigger could not leave in time."""

    row: Waiting
    expired: Decision | None = None


class Rules(NamedTuple):
    """What decides: campaigns in the order of their file, and the salt of the control groups."""

    campaigns: Sequence[Campaign]
    salt: str


class Fold:
    """Takes scores into a partition's standings, and notes in a batch what that changed.

    When the batch cannot be written, the standings must be dropped with it.

    Parameters
    ----------
    standings, batch
        Both are changed in place.
    rules
        What decides.
    now
        Wall clock, epoch milliseconds.

    """

    def __init__(self, standings: Standings, batch: Batch, rules: Rules, now: int) -> None:
        self._standings = standings
        self._batch = batch
        self._rules = rules
        self._now = now

    def take(self, score: Score, raw: str) -> None:
        """Take in a score; ``raw`` is the JSON that it came in."""
        before = self._standings.seen.get(score.customer)
        if before is not None and before.covers(score):
            return
        self.pass_time(score.at)  # first: the windows that end before this score do not see it
        self._weigh(score, None if before is None else before.risk)
        self._standings.seen[score.customer] = Seen.of(score)
        self._batch.profiles[score.customer] = score, raw

    def pass_time(self, at: int) -> None:
        """Move the partition's time, and measure what came of the units whose window ends."""
        self._batch.at = at
        for unit in self._standings.ended(at):
            seen = self._standings.seen[unit.customer]
            self._batch.outcomes[unit.customer, unit.campaign] = achieved(unit, seen)

    def release(self, enrolment: Enrolment) -> None:
        """Take back an enrolment that expired before its trigger left: cool-down and unit."""
        customer, campaign, at = enrolment
        before = self._standings.arming(customer, campaign)
        self._stand(customer, campaign, before, released(before, at))
        if before.first_at == at:
            self._standings.units.pop((customer, campaign), None)
            self._batch.released.append(enrolment)

    def _weigh(self, score: Score, before: float | None) -> None:
        """Let each campaign look at a score; ``before`` is the risk at the last one."""
        customer, risk = score.customer, score.risk
        for campaign in self._rules.campaigns:
            if risk >= campaign.trigger.threshold:
                arming = self._standings.arming(customer, campaign.name)
                if crosses(campaign.trigger, arming, before, score):
                    self._decide(Crossing(campaign, score, arming, before, self._now))
            elif customer in self._standings.armings:  # who has no entry is armed
                arming = self._standings.arming(customer, campaign.name)
                self._stand(
                    customer, campaign.name, arming, rearmed(campaign.trigger, arming, risk)
                )

    def _decide(self, crossing: Crossing) -> None:
        decision = decide(crossing, self._rules.salt)
        self._batch.decisions.append(decision)
        after = disarmed(crossing.arming, decision.at if enrolled(decision) else None)
        self._stand(decision.customer, decision.campaign, crossing.arming, after)
        if crossing.arming.first_at is None and enrolled(decision):
            self._enrol(unit_of(decision, crossing.campaign, crossing.score))

    def _enrol(self, unit: Unit) -> None:
        """Begin to watch a unit of the experiment: a customer's first enrolment."""
        self._standings.watch(unit)
        self._batch.units[unit.customer, unit.campaign] = unit

    def _stand(self, customer: str, campaign: str, before: Arming, after: Arming) -> None:
        """Keep where a customer stands with a campaign, unless nothing changed."""
        if after is before:
            return
        self._standings.armings.setdefault(customer, {})[campaign] = after
        self._batch.armings[customer, campaign] = after
