"""What the campaigner knows of a partition's customers, and how a score changes it.

`Standings` mirror what SQL holds; a `Batch` is what one transaction adds to both: decisions,
read model, armings and the position in the log, all or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import Struct

from shared.domain.campaign_decisions import Crossing, decide, enrolled
from shared.domain.campaign_outputs import Decision
from shared.domain.campaigns import (
    UNTOUCHED,
    Arming,
    Campaign,
    crosses,
    disarmed,
    rearmed,
    released,
)
from shared.domain.errors import TenureError
from shared.domain.outputs import DeadLetter, Identity, Score, Stage


class LostPartitionError(TenureError):
    """Another campaigner owns the partition now; nothing of the transaction was written."""


class Lease(NamedTuple):
    """The right to write for a partition: whoever claims it next gets a higher epoch."""

    partition: int
    epoch: int


class Seen(Struct, frozen=True):
    """What a customer was like when last seen.

    ``at`` and ``origin`` tell a score that is sent again from one that is new.
    """

    risk: float
    stage: Stage
    at: int
    origin: Identity

    def covers(self, score: Score) -> bool:
        """Tell whether a score was seen before, as when the scorer was rebuilt from its log."""
        last = self.origin
        return (
            score.at <= self.at
            and score.origin.partition == last.partition
            and (score.origin.offset, score.origin.ordinal) <= (last.offset, last.ordinal)
        )


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

    A campaign that has not decided about a customer has no entry in ``armings``.
    """

    seen: dict[str, Seen] = field(default_factory=dict)
    armings: dict[str, dict[str, Arming]] = field(default_factory=dict)

    def arming(self, customer: str, campaign: str) -> Arming:
        """Return where a customer stands with a campaign."""
        return self.armings.get(customer, {}).get(campaign, UNTOUCHED)


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
        self._weigh(score, None if before is None else before.risk)
        seen = Seen(score.risk, score.stage, score.at, score.origin)
        self._standings.seen[score.customer] = seen
        self._batch.profiles[score.customer] = score, raw
        self._batch.at = score.at

    def release(self, enrolment: Enrolment) -> None:
        """Take back the cool-down of an enrolment that expired before its trigger left."""
        before = self._standings.arming(enrolment.customer, enrolment.campaign)
        after = released(before, enrolment.at)
        self._stand(enrolment.customer, enrolment.campaign, before, after)

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

    def _stand(self, customer: str, campaign: str, before: Arming, after: Arming) -> None:
        """Keep where a customer stands with a campaign, unless nothing changed."""
        if after is before:
            return
        self._standings.armings.setdefault(customer, {})[campaign] = after
        self._batch.armings[customer, campaign] = after
