"""How scores, and time, change where the customers of a partition stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from shared.domain.campaign_decisions import decide
from shared.domain.campaign_decisions import enrolled as enrols
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch, Rules
from shared.domain.campaigns import (
    Arming,
    Campaign,
    crosses,
    disarmed,
    enrolled,
    rearmed,
    released,
)
from shared.domain.checks import Crossing, expected_gain
from shared.domain.outputs import Cause, Score
from shared.domain.seen import Seen
from shared.domain.standings import Enrolment, Standings
from shared.domain.units import achieved, unit_of

#: Why a customer is looked at when time alone made it due: as at any review.
_BY_TIME: Final[Cause] = "review"


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
    latest
        Returns the last score of a customer that the batch does not have.

    """

    def __init__(
        self,
        standings: Standings,
        batch: Batch,
        rules: Rules,
        now: int,
        latest: Callable[[str], Score] | None = None,
    ) -> None:
        self._standings = standings
        self._batch = batch
        self._rules = rules
        self._now = now
        self._latest = latest
        standings.wait_for(rules.campaigns)

    def take(self, score: Score, raw: str) -> None:
        """Take in a score; ``raw`` is the JSON that it came in."""
        before = self._standings.seen.get(score.customer)
        if before is not None and before.covers(score):
            return
        self.pass_time(score.at)  # first: what ends or falls due before this score does not see it
        self._look(score)
        self._batch.profiles[score.customer] = score, raw

    def pass_time(self, at: int) -> None:
        """Move the partition's time: measure the units whose window ends, and do what is due."""
        self._batch.at = at
        for unit in self._standings.ended(at):
            seen = self._standings.seen[unit.customer]
            self._batch.outcomes[unit.customer, unit.campaign] = achieved(unit, seen)
        for due_at, customer in self._standings.due(at):
            score = replace(self._profile(customer), at=due_at, cause=_BY_TIME)
            for deferred in self._standings.opening(customer, due_at):
                self._decide_again(deferred, score)
            self._look(score)

    def release(self, enrolment: Enrolment) -> None:
        """Take back an enrolment that expired before its trigger left, and all that it used up."""
        customer, campaign, at = enrolment
        before = self._standings.arming(customer, campaign)
        self._stand(customer, campaign, before, released(before, at))
        self._standings.forget(customer, at)
        if before.first_at == at:
            self._standings.units.pop((customer, campaign), None)
            self._batch.released.append(enrolment)

    def _profile(self, customer: str) -> Score:
        if customer in self._batch.profiles:
            return self._batch.profiles[customer][0]
        assert self._latest is not None  # noqa: S101  # who waits for time can read customers
        return self._latest(customer)

    def _look(self, score: Score) -> None:
        """Let each campaign look at a customer, and remember what the customer was like."""
        before, seen = self._standings.seen.get(score.customer), Seen.of(score)
        claimed_by = None
        for campaign in self._crossed(score, before, seen):
            arming = self._standings.arming(score.customer, campaign.name)
            risk = None if before is None else before.risk
            decision = decide(self._crossing(campaign, score, arming, risk, claimed_by))
            self._batch.decisions.append(decision)
            after = disarmed(arming, decision.at if enrols(decision) else None)
            self._conclude(decision, campaign, score, arming, after)
            if decision.outcome == "deferred":
                self._standings.defer(decision)
            if enrols(decision) or decision.outcome == "deferred":
                claimed_by = claimed_by or campaign.name
        self._standings.remember(score.customer, seen)

    def _crossed(self, score: Score, before: Seen | None, seen: Seen) -> list[Campaign]:
        """Return the campaigns that the score makes due, the one that has precedence first."""
        customer, due = score.customer, []
        for campaign in self._rules.campaigns:
            trigger = campaign.trigger
            if trigger.holds(seen):
                arming = self._standings.arming(customer, campaign.name)
                if crosses(trigger, arming, before, seen, score.cause):
                    due.append(campaign)
            if customer in self._standings.armings:  # who has no entry is armed
                arming = self._standings.arming(customer, campaign.name)
                self._stand(customer, campaign.name, arming, rearmed(trigger, arming, seen))
        if len(due) > 1:  # stable: by the order of the file where nothing else tells
            due.sort(key=lambda each: (-each.priority, -(expected_gain(each, score) or 0.0)))
        return due

    def _decide_again(self, deferred: Decision, score: Score) -> None:
        """Decide about a deferred crossing, now that the quiet hours are over."""
        campaign = self._rules.named(deferred.campaign)
        if campaign is None:  # it was taken out of the file
            self._batch.revised.append(replace(deferred, outcome="suppressed", opens_at=None))
            return
        arming = self._standings.arming(score.customer, campaign.name)
        crossing = replace(
            self._crossing(campaign, score, arming, deferred.before, None),
            arming=replace(arming, number=deferred.number),
            crossed_at=deferred.crossed_at or deferred.at,
            still_holds=campaign.trigger.holds(Seen.of(score)),
        )
        decision = decide(crossing)
        self._batch.revised.append(decision)
        after = enrolled(arming, decision.at) if enrols(decision) else arming
        self._conclude(decision, campaign, score, arming, after)
        if decision.outcome == "deferred":
            self._standings.defer(decision)

    def _crossing(
        self,
        campaign: Campaign,
        score: Score,
        arming: Arming,
        before: float | None,
        claimed_by: str | None,
    ) -> Crossing:
        return Crossing(
            campaign=campaign,
            score=score,
            arming=arming,
            before=before,
            now=self._now,
            salt=self._rules.salt,
            rails=self._rules.rails,
            history=self._standings.history(score.customer),
            claimed_by=claimed_by,
        )

    def _conclude(
        self, decision: Decision, campaign: Campaign, score: Score, before: Arming, after: Arming
    ) -> None:
        """Keep what follows from a decision: where the customer stands, and the unit it makes."""
        self._stand(decision.customer, decision.campaign, before, after)
        if not enrols(decision):
            return
        self._standings.enrol(decision.customer, decision.at)
        if before.first_at is None:
            unit = unit_of(decision, campaign, score)
            self._standings.watch(unit)
            self._batch.units[unit.customer, unit.campaign] = unit

    def _stand(self, customer: str, campaign: str, before: Arming, after: Arming) -> None:
        """Keep where a customer stands with a campaign, unless nothing changed."""
        if after is before:
            return
        self._standings.armings.setdefault(customer, {})[campaign] = after
        self._batch.armings[customer, campaign] = after
