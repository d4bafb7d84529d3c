"""Why a customer's risk is what it is, in an operator's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.domain.churn import Scorer
from shared.domain.customer import Rows
from shared.domain.features import DAY_MS, MICROS, Floats, Millis
from shared.domain.outputs import Reason
from shared.domain.policy import Policy

_Facts = dict[str, float]


def explain(
    scorer: Scorer, features: Floats, rows: Rows, now: Millis, policy: Policy
) -> list[list[Reason]]:
    """Return the strongest reasons for each row's score, strongest first; (n,) lists."""
    facts = _facts(rows, now, policy)
    return [
        [Reason(name, round(share, 4), _TEXTS[name](facts[n])) for name, share in top]
        for n, top in enumerate(scorer.reasons(features))
    ]


def _facts(rows: Rows, now: Millis, policy: Policy) -> list[_Facts]:
    span = rows["last_at"] - rows["first_at"]
    rhythm = (span + policy.horizon_ms / 2) / rows["visits"].clip(1) / DAY_MS
    columns = {
        "silent": ((now - rows["last_at"]).clip(0) / DAY_MS).tolist(),
        "age": ((now - rows["first_at"]).clip(0) / DAY_MS).tolist(),
        "visits": rows["visits"].tolist(),
        "rhythm": rhythm.tolist(),
        "recent30": rows["decay30"].tolist(),
        "recent90": rows["decay90"].tolist(),
        "mean": (rows["spend"] / MICROS / rows["visits"].clip(1)).tolist(),
    }
    each = zip(*columns.values(), strict=True)
    return [dict(zip(columns, values, strict=True)) for values in each]


def _silence(f: _Facts) -> str:
    return f"silent {f['silent']:.0f} days, usually back after {f['rhythm']:.0f}"


_TEXTS: Final[dict[str, Callable[[_Facts], str]]] = {
    "recency": lambda f: f"last active {f['silent']:.0f} days ago",
    "visits": lambda f: f"active on {f['visits']:.0f} days so far",
    "tenure": lambda f: f"a customer for {f['age']:.0f} days",
    "recency_to_rhythm": _silence,
    "silence_weight": _silence,
    "silence_prior": _silence,
    "visits_30": lambda f: f"about {f['recent30']:.0f} active days in the last weeks",
    "visits_90": lambda f: f"about {f['recent90']:.0f} active days in the last months",
    "mean_spend": lambda f: f"spends {f['mean']:.2f} on an active day",
}
