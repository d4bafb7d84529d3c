"""Why a customer's risk is what it is, in an operator's words."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from shared.domain.churn_scorer import Scorer
from shared.domain.features import FEATURES, Floats
from shared.domain.outputs import Reason
from shared.domain.signals import SIGNALS
from shared.domain.signs import rating_of

#: Signs that are named as reasons for closing: how many at most, and from what log odds on.
_MOST_CLOSING: Final = 2
_LEAST_CLOSING: Final = 0.1
_IN_RHYTHM: Final = ("recency", "visits", "tenure")
#: A row's features by name, and the customer's own rhythm in days.
_Facts = namedtuple("_Facts", [*FEATURES, "rhythm"])  # type: ignore[misc]  # noqa: PYI024
_facts_of = partial(tuple.__new__, _Facts)


def explain(scorer: Scorer, features: Floats) -> list[list[Reason]]:
    """Return the strongest reasons for the score of each row (n, F), strongest first.

    Behind those for silence come signs that make it likelier that the account is closed.
    """
    found = [
        [Reason(name, round(share, 4), _TEXTS[name](facts)) for name, share in top]
        for facts, top in zip(_facts(scorer, features), scorer.reasons(features), strict=True)
    ]
    which, shares = scorer.closing_signals(features)
    if not len(which):
        return found
    for n, facts, row in zip(which.tolist(), _facts(scorer, features[which]), shares, strict=True):
        for j in np.argsort(-row, kind="stable")[:_MOST_CLOSING].tolist():
            if row[j] >= _LEAST_CLOSING:
                text = _TEXTS[SIGNALS[j]](facts)
                found[n].append(Reason(SIGNALS[j], round(float(row[j]), 4), text, of="closed"))
    return found


def _facts(scorer: Scorer, features: Floats) -> Iterator[Any]:
    """Return the `_Facts` of each row."""
    recency, visits, tenure = (features[:, FEATURES.index(name)] for name in _IN_RHYTHM)
    rhythm = (tenure - recency + scorer.steps.horizon / 2.0) / np.maximum(visits, 1.0)
    return map(_facts_of, np.column_stack([features, rhythm]).tolist())


def _silence(f: Any) -> str:  # noqa: ANN401  # of `_Facts`
    return f"silent {f.recency:.0f} days, usually back after {f.rhythm:.0f}"


def _complained(f: Any) -> str:  # noqa: ANN401
    often = "" if f.complaints == 1 else f"{_times(f.complaints)}, last "
    return f"complained {often}{_days(f.complained - 1)} ago"


def _overdue(f: Any) -> str:  # noqa: ANN401
    return f"a bill overdue for {_days(f.overdue - 1)}"


def _used(f: Any) -> str:  # noqa: ANN401
    return f"uses {f.used - 1:.0f}% of the plan"


def _times(count: float) -> str:
    return {1: "once", 2: "twice"}.get(round(count), f"{count:.0f} times")


def _days(count: float) -> str:
    return "1 day" if count == 1 else f"{count:.0f} days"


_TEXTS: Final[dict[str, Callable[[Any], str]]] = {
    "recency": lambda f: f"last active {f.recency:.0f} days ago",
    "visits": lambda f: f"active on {f.visits:.0f} days so far",
    "tenure": lambda f: f"a customer for {f.tenure:.0f} days",
    "recency_to_rhythm": _silence,
    "silence_weight": _silence,
    "silence_prior": _silence,
    "visits_7": lambda f: f"about {f.visits_7:.1f} active days in the last week",
    "visits_30": lambda f: f"about {f.visits_30:.0f} active days in the last weeks",
    "visits_90": lambda f: f"about {f.visits_90:.0f} active days in the last months",
    "mean_spend": lambda f: f"spends {f.mean_spend:.2f} on an active day",
    "onboarding": lambda f: f"took {f.onboarding:.0f} days to become active",
    "services": lambda f: f"uses {f.services:.0f} services",
    "never_active": lambda f: "active before" if f.visits else "has not been active yet",
    "complained": _complained,
    "low_rating": lambda f: f"rated {round(rating_of(f.rating), 1):g} of 10",
    "payments_failed": lambda f: f"payment failed {_times(f.payments_failed)}",
    "overdue": _overdue,
    "overdue_long": _overdue,
    "notice": lambda _: "gave notice",
    "notice_waits": lambda f: f"gave notice, ends in {_days(f.ends - 1)}",
    "notice_ends": lambda f: f"gave notice, ends in {_days(f.ends - 1)}",
    "contract_ends": lambda f: f"contract ends in {_days(f.ends - 1)}",
    "near_limit": _used,
    "unused": _used,
    "plan_calendar": lambda f: f"what is usual now on this plan, after {f.plan_days:.0f} days",
    "season": lambda _: "what is usual at this time of the year",
}
