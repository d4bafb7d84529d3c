"""The base on one page: who is where, what they are worth, and what is decided about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.campaigner.console.parts import Parts
from shared.adapters.sql.campaign_queries import StoredDecision
from shared.domain.base_report import Group, group
from shared.domain.campaign_outputs import Outcome
from shared.domain.campaigns import ACTIVE_STAGES
from shared.domain.lifecycle import STAGES
from shared.domain.outputs import Stage
from shared.domain.policy import DAY_MS

_LATEST: Final = 8


@dataclass(frozen=True)
class Worth:
    """What the whole base brought, and is worth; money in the reporting currency."""

    customers: int
    stages: list[Group]
    segments: list[Group]
    revenue: float
    margin: float
    equity: float
    expected_spend: float


@dataclass(frozen=True)
class Today:
    """Decisions of the day that the base is at: in a replay that is a day of the past.

    Attributes
    ----------
    at
        The time of the base, epoch ms; ``None`` before the first event.
    decided
        By outcome, of that day and in all.
    latest
        The newest of them.

    """

    at: int | None
    decided: dict[Outcome, int]
    in_all: dict[Outcome, int]
    latest: list[StoredDecision]


def worth(parts: Parts) -> Worth:
    """Return what the base is worth; reads every customer's last score."""
    members = parts.queries.members()
    stages = {each.name: each for each in group(members, "stage")}
    ordered = [stages[each] for each in STAGES if each in stages]
    return Worth(
        customers=len(members),
        stages=ordered,
        segments=group(members, "rfm"),
        revenue=sum(each.revenue for each in ordered),
        margin=sum(each.margin for each in ordered),
        equity=sum(each.equity for each in ordered),
        expected_spend=sum(each.expected_spend for each in ordered),
    )


def risks(parts: Parts) -> dict[Stage, list[int]]:
    """Return how many customers who are still ours are in each band of risk, by stage."""
    found = parts.console_queries.risks()
    return {each: found[each] for each in STAGES if each in found and each in ACTIVE_STAGES}


def today(parts: Parts) -> Today:
    """Return what was decided on the base's present day."""
    at = parts.console_queries.now()
    in_all: dict[Outcome, int] = {}
    for each in parts.queries.outcomes().values():
        for outcome, count in each.items():
            in_all[outcome] = in_all.get(outcome, 0) + count
    start = None if at is None else at - at % DAY_MS
    decided = {} if start is None else parts.console_queries.decided_since(start)
    return Today(at, decided, in_all, parts.queries.decisions(limit=_LATEST))
