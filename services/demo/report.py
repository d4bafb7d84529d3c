"""What came out of a demo, as numbers for programs: ``report.json``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from services.demo.evidence import Evidence
from services.demo.monitor import OUTCOMES, Model, Sample
from shared.domain.campaign_outputs import Decision, Outcome
from shared.domain.evaluation import Tally
from shared.domain.outputs import Example
from shared.domain.policy import DAY_MS

#: Two-sided 95 % of the normal distribution.
_Z: Final = 1.959964
_WINDOW_MS: Final = 14 * DAY_MS


class ModelReport(Struct, frozen=True):
    """Prequential quality over all labels: each was predicted before it was known."""

    version: int
    labels: int
    auc: float | None
    log_loss: float | None
    ece: float | None


class ArmReport(Struct, frozen=True):
    """Churn within a horizon after a decision.

    Attributes
    ----------
    customers
        Decisions old enough to tell.
    silent
        Of these, how many bought nothing within the horizon.
    rate, low, high
        Their share, and its 95 % interval (Wilson 1927, doi 10.1080/01621459.1927.10502953).

    """

    customers: int
    silent: int
    rate: float | None
    low: float | None
    high: float | None


class Report(Struct, frozen=True):
    """The demo's outcome.

    Attributes
    ----------
    events_accepted
        Answered 202 by ingest.
    events_in_state
        Folded into a customer's state, once each.
    duplicates
        Arrived again, since the answer to them had been lost, and left out of the state.
    reconciled
        Whether all that was accepted is in the state or among the dead letters.
    events_per_second
        Over the time from the first event to the last being in the state. The demo paces itself:
        this is not what the machine could do.
    effect
        What the campaign achieved, as the campaigner's API answers it: both arms, uplift with an
        interval that may be watched. Nobody was contacted, so the true uplift is zero.
    seconds
        From start to end, the broker's start included.

    """

    events_accepted: int
    events_in_state: int
    duplicates: int
    dead_letters: int
    reconciled: bool
    customers: int
    stages: dict[str, int]
    model: ModelReport
    triggers: dict[str, int]
    churn_after: dict[str, ArmReport]
    effect: dict[str, Any] | None
    events_per_second: float
    seconds: float


def build_report(
    last: Sample, evidence: Evidence, *, horizon_ms: int, replay_s: float, seconds: float
) -> Report:
    """Put the report together from the last sample and what the topics hold."""
    outcomes = Counter(decision.outcome for decision in evidence.decisions)
    arms: tuple[Outcome, ...] = ("fired", "held_out")
    return Report(
        events_accepted=last.accepted,
        events_in_state=last.in_state,
        duplicates=last.counts.get("duplicates", 0),
        dead_letters=last.counts.get("dead_letters", 0),
        reconciled=last.accepted == last.accounted,
        customers=last.customers,
        stages=last.stages,
        model=_model(last.model),
        triggers={outcome: outcomes.get(outcome, 0) for outcome in OUTCOMES},
        effect=last.effect,
        churn_after={arm: arm_report(evidence, arm, horizon_ms) for arm in arms},
        events_per_second=round(last.accepted / replay_s, 1) if replay_s else 0.0,
        seconds=round(seconds, 1),
    )


def write_report(report: Report, folder: Path) -> Path:
    """Write ``report.json`` into a folder, which is made; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return path


def arm_report(evidence: Evidence, arm: Outcome, horizon_ms: int) -> ArmReport:
    """Count who fell silent after a decision, once a horizon has passed."""
    told = [
        silent
        for decision in evidence.decisions
        if decision.outcome == arm
        for silent in [evidence.silent_after(decision, horizon_ms)]
        if silent is not None
    ]
    rate = sum(told) / len(told) if told else None
    low, high = wilson(sum(told), len(told)) if told else (None, None)
    return ArmReport(len(told), sum(told), rate, low, high)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share of ``hits`` among ``n`` > 0.

    >>> [round(limit, 3) for limit in wilson(5, 10)]
    [0.237, 0.763]
    """
    share, z2 = hits / n, _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


class Window(Struct, frozen=True):
    """Quality over the labels of a fortnight: the model's, and the stated heuristic's.

    ``at`` is the window's end in milliseconds since 1970; a figure is ``None`` where all labels
    are the same.
    """

    at: int
    labels: int
    auc: float | None
    heuristic_auc: float | None


def windows(examples: Sequence[Example]) -> list[Window]:
    """Return the fortnights in which labels became known."""
    by_end: dict[int, tuple[Tally, Tally]] = {}
    for example in examples:
        end = (example.labelled_at // _WINDOW_MS + 1) * _WINDOW_MS
        model, heuristic = by_end.setdefault(end, (Tally(), Tally()))
        model.update(example.predicted, example.silent)
        heuristic.update(example.heuristic, example.silent)
    return [
        Window(end, model.n, finite(model.auc()), finite(heuristic.auc()))
        for end, (model, heuristic) in sorted(by_end.items())
    ]


def reliability(examples: Iterable[Example]) -> list[tuple[int, float, float]]:
    """Return (labels, mean predicted, observed) of each tenth of the probability."""
    tally = Tally()
    for example in examples:
        tally.update(example.predicted, example.silent)
    return tally.reliability()


def by_week(decisions: Iterable[Decision], outcome: Outcome) -> dict[int, int]:
    """Count decisions by the week of their crossing (its begin, milliseconds since 1970)."""
    week = 7 * DAY_MS
    return dict(Counter(each.at // week * week for each in decisions if each.outcome == outcome))


def finite(value: float | None) -> float | None:
    """Return a number, or ``None`` for what JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def _model(model: Model) -> ModelReport:
    figures = (finite(each) for each in (model.auc, model.log_loss, model.ece))
    return ModelReport(model.version, model.labels, *figures)
