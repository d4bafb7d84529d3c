"""How scores, and time, change where the customers of a partition stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from shared.domain.base_book import add, book
from shared.domain.budgets import MINUTE_MS, Purse
from shared.domain.campaign_decisions import as_told, decide, offered, withdrawn
from shared.domain.campaign_decisions import enrolled as enrols
from shared.domain.campaign_outputs import Decision, Told
from shared.domain.campaign_state import Batch, Rules
from shared.domain.campaigns import (
    UNTOUCHED,
    Arming,
    Campaign,
    crosses,
    disarmed,
    enrolled,
    rearmed,
    released,
)
from shared.domain.checks import Crossing, expected_gain
from shared.domain.controls import ALL
from shared.domain.leads import follow
from shared.domain.offers import UNKNOWN, Learned, Tally
from shared.domain.outputs import Cause, Score
from shared.domain.seen import Seen
from shared.domain.segment_fold import SegmentFold
from shared.domain.standings import Enrolment, Standings
from shared.domain.units import Unit, achieved, tally_of, unit_of, unit_of_all
from shared.domain.uptake import hold

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
    purse
        What contacts are paid from; what they take is noted in the batch.
    told
        What became of decisions, by id, that the database may have forgotten.
    learned
        Returns what is known of a campaign's offers; asked once a batch.

    """

    def __init__(
        self,
        standings: Standings,
        batch: Batch,
        rules: Rules,
        now: int,
        latest: Callable[[str], Score] | None = None,
        *,
        purse: Purse | None = None,
        told: Mapping[str, Told] | None = None,
        learned: Callable[[str], Learned] = lambda _: UNKNOWN,
    ) -> None:
        self._standings = standings
        self._batch = batch
        self._rules = rules
        self._now = now
        self._latest = latest
        self._purse = purse or Purse()
        batch.spent = self._purse.spent
        self._told = told or {}
        self._learned = learned
        self._known: dict[str, Learned] = {}
        #: Takes the same scores into memberships of segments.
        self.segments = SegmentFold(standings, batch, rules)
        standings.wait_for(rules.campaigns)

    def take(self, score: Score, raw: str) -> None:
        """Take in a score; ``raw`` is the JSON that it came in."""
        before = self._standings.seen.get(score.customer)
        if before is not None and before.covers(score):
            return
        self.pass_time(score.at)  # first: what ends or falls due before this score does not see it
        self._book(before, score)
        self._look(score)
        self.segments.take(score)
        self._batch.profiles[score.customer] = score, raw

    def pass_time(self, at: int) -> None:
        """Move the partition's time: measure the units whose window ends, and do what is due."""
        self._batch.at = self._standings.clock = at
        for unit in self._standings.ended(at):
            self._measure(unit)
        for due_at, customer in self._standings.due(at):
            score = replace(self._profile(customer), at=due_at, cause=_BY_TIME)
            for deferred in self._standings.opening(customer, due_at):
                self._decide_again(deferred, score)
            self._look(score)

    def erase(self, customer: str) -> None:
        """Forget a customer, who was taken out of the log."""
        self._standings.remove(customer)
        self._batch.erased.append(customer)

    def release(self, enrolment: Enrolment) -> None:
        """Take back an enrolment that expired before its trigger left, and all that it used up."""
        customer, campaign, at = enrolment
        self._standings.forget(customer, at)
        for each in (campaign, ALL):
            before = self._standings.arming(customer, each)
            if before is UNTOUCHED:
                continue
            self._stand(customer, each, before, released(before, at))
            if before.first_at == at:
                self._standings.units.pop((customer, each), None)
                self._batch.released.append(Enrolment(customer, each, at))

    def _book(self, before: Seen | None, score: Score) -> None:
        """Book what a score adds to the base over time; note what is held, and leads that paid."""
        customer = score.customer
        booked, changes = book(self._standings.booked.get(customer), before, score)
        self._standings.booked[customer] = self._batch.booked[customer] = booked
        add(self._batch.base, changes)
        held = hold(self._standings.held.get(customer), score.dealings)
        if held:
            self._standings.held[customer] = self._batch.held[customer] = held
        lead = self._standings.leads.get(customer)
        lead = follow(lead, score, known=before is not None)
        if lead is not None:
            self._standings.leads[customer] = self._batch.leads[customer] = lead

    def _measure(self, unit: Unit) -> None:
        """Measure a unit whose window ended, and learn from it what its offer is worth."""
        found = achieved(unit, self._standings.seen[unit.customer])
        self._batch.outcomes[unit.customer, unit.campaign] = found
        if unit.offer and unit.arm == "treatment":
            key = unit.campaign, unit.context, unit.offer
            self._batch.tallies[key] = self._batch.tallies.get(key, Tally()).plus(tally_of(found))

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
            decision = self._decide(self._crossing(campaign, score, arming, risk, claimed_by))
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
        known = customer in self._standings.armings  # who has no entry is armed with all of them
        for campaign in self._rules.campaigns:
            trigger = campaign.trigger
            holds = trigger.holds(seen)
            if known or (holds and trigger.occasion(seen) is not None):
                self._rearm(campaign, customer, before, seen)
            if holds:
                arming = self._standings.arming(customer, campaign.name)
                if crosses(trigger, arming, before, seen, score.cause):
                    due.append(campaign)
        if len(due) > 1:  # stable: by the order of the file where nothing else tells
            due.sort(key=lambda each: (-each.priority, -(expected_gain(each, score) or 0.0)))
        return due

    def _rearm(self, campaign: Campaign, customer: str, before: Seen | None, seen: Seen) -> None:
        """Arm a customer anew, unless a decision waits: then all that happens belongs to it."""
        arming = self._standings.arming(customer, campaign.name)
        after = rearmed(campaign.trigger, arming, before, seen)
        if after is not arming and not self._standings.waits(customer, campaign.name):
            self._stand(customer, campaign.name, arming, after)

    def _decide_again(self, deferred: Decision, score: Score) -> None:
        """Decide about a deferred crossing, now that the quiet hours are over."""
        campaign = self._rules.named(deferred.campaign)
        if campaign is None:  # it was taken out of the file
            self._batch.revised.append(withdrawn(deferred))
            return
        arming = self._standings.arming(score.customer, campaign.name)
        crossing = replace(
            self._crossing(campaign, score, arming, deferred.before, None),
            arming=replace(arming, number=deferred.number),
            crossed_at=deferred.crossed_at or deferred.at,
            deadline=deferred.expires_at,
            still_holds=campaign.trigger.holds(Seen.of(score)),
        )
        decision = self._decide(crossing)
        self._batch.revised.append(decision)
        after = enrolled(arming, decision.at) if enrols(decision) else arming
        self._conclude(decision, campaign, score, arming, after)
        if decision.outcome == "deferred":
            self._standings.defer(decision)

    def _decide(self, crossing: Crossing) -> Decision:
        """Decide, and choose the offer where that enrols the customer."""
        decision = self._weigh(crossing)
        if crossing.campaign.offers is None or not enrols(decision):
            return decision
        return offered(decision, crossing, self._knows(crossing.campaign.name))

    def _knows(self, campaign: str) -> Learned:
        if campaign not in self._known:
            self._known[campaign] = self._learned(campaign)
        return self._known[campaign]

    def _weigh(self, crossing: Crossing) -> Decision:
        """Decide, and pay for the contact where that makes one."""
        told = self._told and self._told.get(crossing.id)
        if told and told.concerns(crossing.score.at):
            return self._recall(crossing, told)
        if self._now > crossing.expires_at or crossing.opens_at is not None:
            return decide(crossing)  # the past, and who has to wait, take nothing of what there is
        campaign, rails = crossing.campaign, self._rules.rails
        costs, room = rails.costs(campaign, crossing.score.at), rails.room(campaign, self._now)
        if not (costs or room):
            return decide(crossing)
        short_of = self._purse.short(costs)
        full_until = self._next_minute(crossing.score.at) if self._purse.short(room) else None
        decision = decide(replace(crossing, short_of=short_of, full_until=full_until))
        if decision.outcome != "fired":
            return decision
        return replace(decision, charges=self._purse.spend([*costs, *room]))

    def _recall(self, crossing: Crossing, told: Told) -> Decision:
        """Decide as was told before, and pay for a contact that was made then."""
        decision = as_told(decide(crossing), told)
        costs = self._rules.rails.costs(crossing.campaign, crossing.score.at)
        if decision.outcome != "fired" or not costs:
            return decision
        self._purse.short(costs)
        return replace(decision, charges=self._purse.spend(costs))

    def _next_minute(self, at: int) -> int:
        """Return the partition's time when the wall clock's minute will be over.

        Behind the batch's time: however far that jumps, one look in it is enough.
        """
        return max(at, self._batch.at or at) + MINUTE_MS - self._now % MINUTE_MS

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
            controls=self._rules.controls,
        )

    def _conclude(
        self, decision: Decision, campaign: Campaign, score: Score, before: Arming, after: Arming
    ) -> None:
        """Keep what follows from a decision: where the customer stands, and the unit it makes."""
        self._stand(decision.customer, decision.campaign, before, after)
        if not enrols(decision):
            return
        self._standings.enrol(decision.customer, decision.at)
        if before.first_at is None and not decision.left_alone:
            self._watch(unit_of(decision, campaign, score))
        if self._rules.rails.control > 0 and not campaign.transactional:
            self._enrol_in_all(decision, score)

    def _enrol_in_all(self, decision: Decision, score: Score) -> None:
        """Make a customer's first enrolment a unit of all campaigns together."""
        before = self._standings.arming(decision.customer, ALL)
        if before.first_at is None:
            first = replace(before, first_at=decision.at, enrolled_at=decision.at)
            self._stand(decision.customer, ALL, before, first)
            self._watch(unit_of_all(decision, self._rules.rails, score))

    def _watch(self, unit: Unit) -> None:
        self._standings.watch(unit)
        self._batch.units[unit.customer, unit.campaign] = unit

    def _stand(self, customer: str, campaign: str, before: Arming, after: Arming) -> None:
        """Keep where a customer stands with a campaign, unless nothing changed."""
        if after is before:
            return
        self._standings.armings.setdefault(customer, {})[campaign] = after
        self._batch.armings[customer, campaign] = after
