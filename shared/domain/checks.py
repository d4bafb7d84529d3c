"""The checks of a decision: each a pure function from a crossing to the reason it fails, or none.

A further guard rail is one more function in `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from msgspec import Struct

from shared.domain.budgets import Allowance
from shared.domain.campaigns import Arming, Campaign, GuardRails, decision_id, rolled_out
from shared.domain.conditions import consented, unmet
from shared.domain.controls import UNCONTROLLED, Controls
from shared.domain.outputs import Score
from shared.domain.quiet_hours import known_zone
from shared.domain.triggers import DAY_MS


class History(NamedTuple):
    """A customer's enrolments in all campaigns: times within a week, and how many there ever were.

    Held-out customers count like the others, or the arms would differ in what follows.
    """

    times: tuple[int, ...] = ()
    in_all: int = 0


class Crossing(Struct, frozen=True):
    """All that a decision may depend on.

    Attributes
    ----------
    arming
        As it was before the crossing.
    before
        Risk when the customer was last seen.
    now
        Wall clock, epoch milliseconds.
    salt
        That of control groups and roll-outs.
    claimed_by
        A campaign that has enrolled the customer by the same score.
    crossed_at
        The crossing, when it is decided on again; ``still_holds`` then says whether its trigger
        does, and ``deadline`` until when it is valid.
    short_of
        A budget with less left than a contact costs.
    full_until
        When to look again for room in the channel; ``None`` while it has some.

    """

    campaign: Campaign
    score: Score
    arming: Arming
    before: float | None
    now: int
    salt: str = ""
    rails: GuardRails = GuardRails()
    history: History = History()
    claimed_by: str | None = None
    crossed_at: int | None = None
    still_holds: bool = True
    deadline: int | None = None
    controls: Controls = UNCONTROLLED
    short_of: Allowance | None = None
    full_until: int | None = None

    @property
    def id(self) -> str:
        """The decision's."""
        return decision_id(self.campaign.name, self.score.customer, self.arming.number)

    @property
    def waits(self) -> tuple[int, str] | None:
        """When to decide again though nothing speaks against it, and what is waited for."""
        if self.opens_at is not None:
            return self.opens_at, "the end of quiet hours"
        if self.full_until is not None:
            return self.full_until, f"room for {self.campaign.channel}"
        return None

    @property
    def opens_at(self) -> int | None:
        """When the customer's quiet hours end; ``None`` outside of them."""
        quiet = self.rails.quiet
        return None if quiet is None else quiet.opening(self.score.at, self._zone)

    @property
    def expires_at(self) -> int:
        """Until when a trigger of it may leave: never in quiet hours, however long it waits."""
        opens_at, quiet = self.opens_at, self.rails.quiet
        if opens_at is not None:
            return opens_at + self.campaign.valid_for_ms
        fresh = self.score.at + self.campaign.valid_for_ms
        expires_at = fresh if self.deadline is None else self.deadline
        if quiet is None:
            return expires_at
        return min(expires_at, quiet.closing(self.score.at, self._zone) - 1)

    @property
    def _zone(self) -> str:
        own = self.score.profile.time_zone
        return own if own is not None and known_zone(own) else self.rails.time_zone


Check = Callable[[Crossing], str | None]


def expected_gain(campaign: Campaign, score: Score) -> float | None:
    """Return what a contact is expected to bring; ``None`` where the campaign does not say.

    Uplift times the lifetime value that goes with the customer, less the contact's cost and the
    chance of acceptance times the offer's.
    """
    expected = campaign.expected
    if expected is None:
        return None
    accepted = expected.acceptance * campaign.acceptance_cost("")
    return expected.uplift * score.clv - campaign.cost_per_contact - accepted


def _state(crossing: Crossing) -> str | None:
    state = crossing.campaign.state
    if state != "live":
        return f"the campaign is {state}"
    return crossing.controls.why_held(crossing.campaign.name)


def _period(crossing: Crossing) -> str | None:
    campaign = crossing.campaign
    crossed_at = crossing.score.at if crossing.crossed_at is None else crossing.crossed_at
    if campaign.starts is not None and crossed_at < campaign.starts:
        return f"the campaign begins {_moment(campaign.starts)}"
    if campaign.ends is not None and crossing.score.at >= campaign.ends:
        return f"the campaign ended {_moment(campaign.ends)}"
    return None


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(" ", "minutes")


def _approval(crossing: Crossing) -> str | None:
    campaign, rails = crossing.campaign, crossing.rails
    approved = (campaign.name, campaign.version) in crossing.controls.approved
    if approved or not rails.needs_approval(campaign):
        return None
    return f"version {campaign.version} waits for the approval of another than its author"


def _suppression(crossing: Crossing) -> str | None:
    listed = crossing.score.customer in crossing.controls.suppressed
    return "the customer is on the suppression list" if listed else None


def _trigger(crossing: Crossing) -> str | None:
    if crossing.still_holds:
        return None
    return f"{crossing.campaign.trigger} is no longer true"


def _account(crossing: Crossing) -> str | None:
    return "the account is closed" if crossing.score.closed else None


def _stage(crossing: Crossing) -> str | None:
    stage, wanted = crossing.score.stage, crossing.campaign.audience.stages
    if stage in wanted:
        return None
    return f"stage {stage} is not one of {', '.join(sorted(wanted))}"


def _where(crossing: Crossing) -> str | None:
    where = crossing.campaign.audience.where
    return None if where is None else unmet(where, crossing.score)


def _consent(crossing: Crossing) -> str | None:
    wanted, given = crossing.campaign.audience.consent, crossing.score.profile.consent
    if wanted is not None and not consented(given, wanted):
        return f"no consent for {wanted}"
    # A withdrawal counts whether or not the campaign asks for consent; "*" is one of everything.
    for name in (crossing.campaign.channel, "*"):
        if given.get(name) is False:
            return f"consent for {name} is withdrawn"
    return None


def _rollout(crossing: Crossing) -> str | None:
    campaign, customer = crossing.campaign, crossing.score.customer
    if rolled_out(campaign, customer, crossing.salt):
        return None
    return f"not among the {campaign.rollout:.0%} that the campaign is rolled out to"


def _cool_down(crossing: Crossing) -> str | None:
    last = crossing.arming.enrolled_at
    left = 0 if last is None else last + crossing.campaign.cool_down_ms - crossing.score.at
    return f"{left} ms of the cool-down are left" if left > 0 else None


def _caps(crossing: Crossing) -> str | None:
    rails, history, at = crossing.rails, crossing.history, crossing.score.at
    within = (
        (sum(at - each < DAY_MS for each in history.times), rails.per_day, "within a day"),
        (sum(at - each < 7 * DAY_MS for each in history.times), rails.per_week, "within a week"),
        (history.in_all, rails.in_all, "in all"),
        (crossing.arming.enrolments, crossing.campaign.cap, "by this campaign"),
    )
    for count, most, when in within:
        if most is not None and count >= most:
            return f"contacted {count} times {when}, the most allowed is {most}"
    return None


def _arbitration(crossing: Crossing) -> str | None:
    if crossing.claimed_by is None or crossing.campaign.transactional:
        return None
    return f"{crossing.claimed_by} has the customer"


def _gain(crossing: Crossing) -> str | None:
    gain, expected = expected_gain(crossing.campaign, crossing.score), crossing.campaign.expected
    if gain is None or expected is None or gain >= expected.minimum_gain:
        return None
    return f"an expected gain of {gain:.2f} is less than {expected.minimum_gain:g}"


def _budget(crossing: Crossing) -> str | None:
    cost, short_of = crossing.campaign.cost_per_contact, crossing.short_of
    return None if short_of is None else f"{short_of} has less than {cost:g} left"


def _validity(crossing: Crossing) -> str | None:
    late = crossing.now - crossing.expires_at
    return f"the crossing expired {late} ms ago" if late > 0 else None


#: Every check is made and recorded, whatever the others say.
CHECKS: Final[dict[str, Check]] = {
    "state": _state,
    "period": _period,
    "approval": _approval,
    "trigger": _trigger,
    "account": _account,
    "stage": _stage,
    "audience": _where,
    "consent": _consent,
    "suppression": _suppression,
    "rollout": _rollout,
    "cool_down": _cool_down,
    "caps": _caps,
    "arbitration": _arbitration,
    "gain": _gain,
    "budget": _budget,
    "validity": _validity,
}
