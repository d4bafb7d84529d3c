"""The past once more, under other rules: what would have been decided, by the same code.

Up to the beginning, what was decided is taken as it was (`_Past`): it puts each customer where
they stood. From there on the rules decide (`_Tried`), with what live decisions had and the score
history cannot tell (`_as_recorded`): the wall clock at which they were made, what people had
stopped or not approved, which budget was short or channel full, and which of them expired before
they left. So unchanged rules come to the decisions that were made, id for id.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from shared.domain.budgets import Due, Purse
from shared.domain.campaign_decisions import decide, expired, offered
from shared.domain.campaign_decisions import enrolled as enrols
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.campaigns import Arming, Campaign, disarmed, enrolled
from shared.domain.checks import Crossing
from shared.domain.controls import ALL, Controls, Hold
from shared.domain.offers import Learned, Library, known_at
from shared.domain.outputs import Clock, Identity, Score
from shared.domain.seen import Seen
from shared.domain.standings import Enrolment, Standings

_RAW: Final = ""  # nothing of a simulation is stored, so nobody needs a score's JSON

#: A decision by (campaign, customer, arming number), which is what its id is made of.
Key = tuple[str, str, int]


class Told(NamedTuple):
    """A record of the score history, and when it was written (wall clock, epoch milliseconds)."""

    written_at: int
    message: Score | Clock


class Made(NamedTuple):
    """A decision as it was made; ``settled_at`` is when its outcome was final, if it is."""

    decision: Decision
    settled_at: int | None


#: What was used up of allowances, by (scope, period); millionths.
Used = Counter[tuple[str, str]]


def simulate(
    history: Iterable[Told],
    made: Iterable[Made],
    rules: Rules,
    period: tuple[int, int],
    used: Used | None = None,
    *,
    library: Library | None = None,
) -> list[Decision]:
    """Return what the rules would have decided about a partition's customers in a period.

    Parameters
    ----------
    history
        The partition's scores and clocks in the order of the log, from long before ``since``: what
        a customer was like is known from the first score on.
    made
        All decisions about the partition's customers.
    rules
        Those that are tried.
    period
        [since, until), the partition's time, epoch milliseconds.
    used
        What is used up of budgets and rates already; what the simulation uses is added.
    library
        What was known of offers when; a decision on record names the version that it read.

    """
    recorded, (since, until) = list(made), period
    standings, batch = Standings(), Batch(Lease(0, 0), 0, 0)
    past = _Past(standings, batch, rules, recorded, since)
    used = Counter() if used is None else used
    tried = _Tried(standings, batch, rules, recorded, used=used, library=library or {})
    begun = False
    for written_at, message in history:
        if message.at >= since and not begun:
            begun = True
            past.end()
        if message.at >= until:
            tried.go_on(written_at, until - 1)
            break
        if begun:
            tried.take_in(written_at, message)
        else:
            past.take_in(message)
    final = {each.id: each for each in (*batch.decisions, *batch.revised)}
    return [each for each in final.values() if since <= each.at < until]


def used_before(made: Iterable[Made], since: int) -> Used:
    """Return what decisions before a time used up."""
    charges = (one for each, _ in made if _crossed_at(each) < since for one in each.charges)
    used: Used = Counter()
    for one in charges:
        used[one.scope, one.period] += one.amount
    return used


class _Past(Fold):
    """Follows the history, and takes decisions from the record."""

    def __init__(
        self,
        standings: Standings,
        batch: Batch,
        rules: Rules,
        made: Iterable[Made],
        since: int,
    ) -> None:
        super().__init__(standings, batch, rules, since)
        self._since = since
        self._to_come = _before(made, since)
        self._finals: dict[tuple[str, str], Decision] = {}

    def take_in(self, message: Score | Clock) -> None:
        """Take a message of the time before."""
        if isinstance(message, Score):
            self.take(message, _RAW)
        else:
            self.pass_time(message.at)

    def end(self) -> None:
        """Come to where the simulation begins."""
        self.pass_time(self._since - 1)
        for customer in list(self._to_come):
            self._impose(customer, self._since)

    def _look(self, score: Score) -> None:
        before, seen = self._standings.seen.get(score.customer), Seen.of(score)
        self._impose(score.customer, score.at - 1)  # from before the history begins
        for campaign in self._rules.campaigns:
            self._rearm(campaign, score.customer, before, seen)
        self._impose(score.customer, score.at, score.origin)
        self._standings.remember(score.customer, seen)

    def _impose(self, customer: str, at: int, origin: Identity | None = None) -> None:
        """Let be decided what was decided about a customer up to a time.

        Of that time itself only what came of a score up to ``origin``: several may be of one time.
        """
        waiting = self._to_come.get(customer, [])
        while waiting and _crossed_at(waiting[0]) <= at:
            later = origin is not None and waiting[0].origin > origin
            if later and _crossed_at(waiting[0]) == at:
                break
            self._cross(waiting.pop(0), at)

    def _cross(self, decision: Decision, at: int) -> None:
        """Disarm a customer as a decision did, which may still wait at a time."""
        customer, name = decision.customer, decision.campaign
        before = self._standings.arming(customer, name)
        after = disarmed(replace(before, number=decision.number), None)
        self._stand(customer, name, before, after)
        until = _waited_until(decision)
        if until is not None and until > at and customer in self._standings.seen:
            waiting = replace(decision, outcome="deferred", arm=None, opens_at=until)
            self._standings.defer(waiting)
            self._finals[customer, name] = decision
        else:
            self._come_to(decision)

    def _decide_again(self, deferred: Decision, score: Score) -> None:
        del score
        self._come_to(self._finals.pop((deferred.customer, deferred.campaign)))

    def _come_to(self, decision: Decision) -> None:
        if enrols(decision):
            before = self._standings.arming(decision.customer, decision.campaign)
            after = enrolled(before, decision.at)
            self._stand(decision.customer, decision.campaign, before, after)
            self._standings.enrol(decision.customer, decision.at)


class _Tried(Fold):
    """Decides by the rules that are tried, at the times at which decisions were made."""

    def __init__(
        self,
        standings: Standings,
        batch: Batch,
        rules: Rules,
        made: Iterable[Made],
        *,
        used: Used,
        library: Library,
    ) -> None:
        super().__init__(standings, batch, rules, 0)
        self._used = used
        self._library = library
        self._made: Mapping[Key, Made] = {_key(each.decision): each for each in made}
        self._expiring: list[tuple[int, Enrolment]] = []

    def take_in(self, written_at: int, message: Score | Clock) -> None:
        """Take a message in as if it were decided on when it was written."""
        if isinstance(message, Score):
            self._begin(written_at)
            self.take(message, _RAW)
        else:
            self.go_on(written_at, message.at)

    def go_on(self, written_at: int, at: int) -> None:
        """Let time pass."""
        self._begin(written_at)
        self.pass_time(at)

    def _begin(self, now: int) -> None:
        self._now = now
        gone = [enrolment for settled_at, enrolment in self._expiring if settled_at <= now]
        self._expiring = [each for each in self._expiring if each[0] > now]
        for enrolment in gone:
            self.release(enrolment)

    def _decide(self, crossing: Crossing) -> Decision:
        key = crossing.campaign.name, crossing.score.customer, crossing.arming.number
        known = self._made.get(key)
        if known is None:
            self._purse = Purse(self._left)  # a new one each time: others pay from the same
            decision = super()._decide(crossing)
        else:
            decision = self._again(_as_recorded(crossing, known.decision), known.decision)
            if decision.outcome == "fired":
                decision = replace(decision, charges=known.decision.charges)
        for each in decision.charges:
            self._used[each.scope, each.period] += each.amount
        return decision

    def _again(self, crossing: Crossing, made: Decision) -> Decision:
        """Decide by what a decision on record had read."""
        decision = decide(crossing)
        if not enrols(decision) or crossing.campaign.offers is None:
            return decision
        if made.recalled:  # as it was told, whatever the restored database knew
            return replace(decision, offer=made.offer)
        version = None if made.chosen is None else made.chosen.version
        known = known_at(self._library, made.campaign, version, made.decided_at)
        return offered(decision, crossing, known)

    def _knows(self, campaign: str) -> Learned:
        return known_at(self._library, campaign, None, self._now)

    def _left(self, due: Due, _: int) -> int:
        return due.allowance.most - self._used[due.charge.scope, due.charge.period]

    def _conclude(
        self, decision: Decision, campaign: Campaign, score: Score, before: Arming, after: Arming
    ) -> None:
        super()._conclude(decision, campaign, score, before, after)
        known = self._made.get(_key(decision))
        if known is None or not enrols(decision) or not _expired_late(known.decision):
            return
        self._expiring.append((known.settled_at or 0, Enrolment.of(decision)))
        self._batch.revised.append(expired(decision))


def _key(decision: Decision) -> Key:
    return decision.campaign, decision.customer, decision.number


def _as_recorded(crossing: Crossing, made: Decision) -> Crossing:
    """Return a crossing with what its decision had, and the score history cannot tell."""
    decided_at = _waited_until(made)
    if decided_at is not None and crossing.score.at < decided_at:
        return _as_waiting(crossing, made, decided_at)
    failed = {each.check: each.reason or "" for each in made.checks if not each.passed}
    campaign, rails = crossing.campaign, crossing.rails
    held = failed.get("state", "").startswith(
        ("all campaigns are stopped", "the campaign is paused ")
    )
    unapproved = "approval" in failed and made.version == campaign.version
    controls = Controls(
        holds={ALL: Hold("the record", made.decided_at, "")} if held else {},
        approved=() if unapproved else {(campaign.name, campaign.version)},
        suppressed={made.customer} if "suppression" in failed else (),
    )
    costs = rails.costs(campaign, crossing.score.at) if "budget" in failed else []
    short_of = costs[0].allowance if costs else None
    return replace(crossing, now=made.decided_at, controls=controls, short_of=short_of)


def _as_waiting(crossing: Crossing, made: Decision, until: int) -> Crossing:
    """Return a crossing that waited, whatever was decided in the end; when it did is not known."""
    campaign = crossing.campaign
    controls = Controls(approved={(campaign.name, campaign.version)})
    now = min(made.decided_at, crossing.expires_at)
    return replace(crossing, now=now, controls=controls, full_until=until)


def _waited_until(made: Decision) -> int | None:
    """Return when a decision that waited was made in the end, or is to be made."""
    return made.opens_at or (None if made.crossed_at is None else made.at)


def _expired_late(decision: Decision) -> bool:
    """Tell whether a decision was in time when it was made, and expired before it left."""
    return decision.outcome == "expired" and decision.arm is not None


def _crossed_at(decision: Decision) -> int:
    return decision.at if decision.crossed_at is None else decision.crossed_at


def _before(made: Iterable[Made], since: int) -> dict[str, list[Decision]]:
    """Return the decisions whose crossing was before a time, by customer, as they stood then."""
    found: dict[str, list[Decision]] = defaultdict(list)
    for decision, _ in made:
        if _crossed_at(decision) < since:
            found[decision.customer].append(_as_of(decision, since))
    return {
        customer: sorted(each, key=lambda one: (_crossed_at(one), one.origin))
        for customer, each in found.items()
    }


def _as_of(decision: Decision, since: int) -> Decision:
    """Return a decision as it stood at a time: it may still have waited then."""
    if decision.at < since or decision.crossed_at is None:
        return decision
    return replace(decision, outcome="deferred", arm=None, opens_at=decision.at)
