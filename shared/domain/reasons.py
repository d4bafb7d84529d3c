"""Why a customer's risk is what it is, in an operator's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.domain.churn import Scorer
from shared.domain.features import FEATURES, Floats
from shared.domain.outputs import Reason

_Facts = dict[str, float]


def explain(scorer: Scorer, features: Floats) -> list[list[Reason]]:
    """Return the strongest reasons for the score of each row (n, F), strongest first."""
    return [
        [Reason(name, round(share, 4), _TEXTS[name](facts)) for name, share in top]
        for facts, top in zip(_facts(scorer, features), scorer.reasons(features), strict=True)
    ]


def _facts(scorer: Scorer, features: Floats) -> list[_Facts]:
    """Return each row's features by name, with the customer's own rhythm (days)."""
    facts = [dict(zip(FEATURES, row, strict=True)) for row in features.tolist()]
    for one in facts:
        span = one["tenure"] - one["recency"]
        one["rhythm"] = (span + scorer.steps.horizon / 2.0) / max(one["visits"], 1.0)
    return facts


def _silence(f: _Facts) -> str:
    return f"silent {f['recency']:.0f} days, usually back after {f['rhythm']:.0f}"


_TEXTS: Final[dict[str, Callable[[_Facts], str]]] = {
    "recency": lambda f: f"last active {f['recency']:.0f} days ago",
    "visits": lambda f: f"active on {f['visits']:.0f} days so far",
    "tenure": lambda f: f"a customer for {f['tenure']:.0f} days",
    "recency_to_rhythm": _silence,
    "silence_weight": _silence,
    "silence_prior": _silence,
    "visits_7": lambda f: f"about {f['visits_7']:.1f} active days in the last week",
    "visits_30": lambda f: f"about {f['visits_30']:.0f} active days in the last weeks",
    "visits_90": lambda f: f"about {f['visits_90']:.0f} active days in the last months",
    "mean_spend": lambda f: f"spends {f['mean_spend']:.2f} on an active day",
    "onboarding": lambda f: f"took {f['onboarding']:.0f} days to become active",
    "services": lambda f: f"uses {f['services']:.0f} services",
    "never_active": lambda f: "active before" if f["visits"] else "has not been active yet",
    "plan_calendar": lambda f: f"what is usual now on this plan, after {f['plan_days']:.0f} days",
    "season": lambda _: "what is usual at this time of the year",
}
