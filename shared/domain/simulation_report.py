"""What a simulation found, beside what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from shared.domain.campaign_outputs import Decision, Outcome
from shared.domain.campaigns import Campaign


class Contact(Struct, frozen=True):
    """A trigger that would leave, or that left; ``decision`` is its id, ``at`` its time."""

    decision: str
    customer: str
    at: int


class CampaignDifference(Struct, frozen=True):
    """One campaign under the rules that were tried, and as it was.

    Attributes
    ----------
    happened, simulated
        Decisions by outcome.
    cost_happened, cost_simulated
        Of the contacts, by the cost per contact of the rules that were tried.
    contacted
        Whom the rules would have contacted.
    gained, lost
        Of those, who was not; and who was, and would not have been.

    """

    campaign: str
    happened: dict[Outcome, int]
    simulated: dict[Outcome, int]
    cost_happened: float
    cost_simulated: float
    contacted: list[Contact]
    gained: list[Contact]
    lost: list[Contact]


class Simulation(Struct, frozen=True):
    """A simulation of [since, until), epoch milliseconds.

    Attributes
    ----------
    same
        Whether each decision came out as it was made, id for id, with its outcome and offer.
    scores
        Records of the score history that were read.

    """

    since: int
    until: int
    same: bool
    scores: int
    campaigns: list[CampaignDifference]


def compare(
    happened: Sequence[Decision],
    simulated: Sequence[Decision],
    campaigns: Mapping[str, Campaign],
) -> tuple[bool, list[CampaignDifference]]:
    """Return whether the two are the same, and how each campaign differs; by its name."""
    names = sorted(campaigns.keys() | {each.campaign for each in (*happened, *simulated)})
    same = _outcomes_by_id(happened) == _outcomes_by_id(simulated)
    return same, [
        _difference(
            name,
            [each for each in happened if each.campaign == name],
            [each for each in simulated if each.campaign == name],
            campaigns[name].cost_per_contact if name in campaigns else 0.0,
        )
        for name in names
    ]


def _difference(
    name: str, happened: Sequence[Decision], simulated: Sequence[Decision], cost: float
) -> CampaignDifference:
    left, would = _fired(happened), _fired(simulated)
    return CampaignDifference(
        campaign=name,
        happened=_counts(happened),
        simulated=_counts(simulated),
        cost_happened=cost * len(left),
        cost_simulated=cost * len(would),
        contacted=list(would.values()),
        gained=[each for key, each in would.items() if key not in left],
        lost=[each for key, each in left.items() if key not in would],
    )


def _outcomes_by_id(decisions: Iterable[Decision]) -> dict[str, tuple[Outcome, int, str]]:
    return {each.id: (each.outcome, each.at, each.offer) for each in decisions}


def _fired(decisions: Iterable[Decision]) -> dict[str, Contact]:
    return {
        each.id: Contact(each.id, each.customer, each.at)
        for each in sorted(decisions, key=lambda each: each.at)
        if each.outcome == "fired"
    }


def _counts(decisions: Iterable[Decision]) -> dict[Outcome, int]:
    counts: dict[Outcome, int] = {}
    for each in decisions:
        counts[each.outcome] = counts.get(each.outcome, 0) + 1
    return counts
