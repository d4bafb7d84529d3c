"""Decisions, labels and samples for tests of the report."""

from typing import Any

from services.demo.evidence import Evidence
from services.demo.monitor import STAGES, Model, Sample
from shared.domain.campaign_outputs import Decision, Outcome
from shared.domain.outputs import Example, Identity
from shared.domain.policy import DAY_MS

HORIZON = 28 * DAY_MS


def decision(customer: str, day: float, outcome: Outcome = "fired") -> Decision:
    return Decision(
        id=f"{customer}/{day}",
        customer=customer,
        campaign="early-warning",
        version="v",
        number=1,
        outcome=outcome,
        arm=None,
        checks=[],
        at=round(day * DAY_MS),
        decided_at=0,
        expires_at=0,
        origin=Identity(0, 0, 0),
        risk=0.7,
        before=0.5,
        threshold=0.6,
        stage="growth",
        model=1,
        reasons=[],
        channel="app",
        offer="discount",
    )


def example(day: float, predicted: float, *, silent: bool, heuristic: float = 0.5) -> Example:
    return Example(
        origin=Identity(0, round(day), 0),
        at=0,
        labelled_at=round(day * DAY_MS),
        features=[],
        silent=silent,
        predicted=predicted,
        heuristic=heuristic,
        model=1,
        recent=True,
    )


def evidence() -> Evidence:
    """Return a history of 100 days with two decisions that are told, and labels of both kinds."""
    purchases = {"loyal": [0, 40, 60, 100], "gone": [0, 10], "fresh": [0, 90]}
    labels = [(20, 0.9, True), (21, 0.2, False), (40, 0.8, True), (41, 0.85, False)]
    return Evidence(
        [decision("gone", 30), decision("loyal", 50, "held_out"), decision("fresh", 95)],
        [example(day, predicted, silent=silent) for day, predicted, silent in labels],
        {name: [day * DAY_MS for day in days] for name, days in purchases.items()},
    )


def sample(**changes: Any) -> Sample:  # noqa: ANN401 - any field of a sample
    facts: dict[str, Any] = {
        "seconds": 10.0,
        "now": 100 * DAY_MS,
        "at": 100 * DAY_MS,
        "accepted": 1_000,
        "counts": {"applied": 997, "duplicates": 7, "dead_letters": 3, "controls": 40},
        "customers": 3,
        "stages": dict.fromkeys(STAGES, 0) | {"growth": 2, "lapsed": 1},
        "model": Model(4, 500, 0.87, 0.33, 0.02),
        "outcomes": {"fired": 2, "held_out": 1, "suppressed": 0, "expired": 0},
    }
    return Sample(**(facts | changes))
