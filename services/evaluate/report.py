"""What an evaluation found, as figures for programs and for tables."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from msgspec import Struct

from services.evaluate.anchors import Anchors, Said
from services.evaluate.service import AtCut, Evaluated, EvaluationError, moment
from shared.domain import accuracy
from shared.domain.accuracy import Accuracy, Bin, Floats, Mask
from shared.domain.challenger import Promotion
from shared.domain.drift import Drift
from shared.domain.forecasts import Base, Forecast, Labels, Outcome
from shared.domain.learner import Learner
from shared.domain.policy import DAY_MS

WINDOW_MS: Final = 28 * DAY_MS  # of the figures over time
EVERYBODY: Final = re.compile("")
Beside = Mapping[str, Said]  # what each anchor says


class Figures(Struct, frozen=True, kw_only=True):
    """Metrics of n predictions; None for what is not defined (no labels, or one class)."""

    auc: float | None
    pr_auc: float | None
    log_loss: float | None
    brier: float | None
    ece: float | None
    base_rate: float | None
    n: int


class Window(Figures, frozen=True, kw_only=True):
    """Metrics of the labels that became known in four weeks, which end at ``until``."""

    until: str


class Target(Figures, frozen=True, kw_only=True):
    """Metrics of one outcome.

    Attributes
    ----------
    reliability
        By tenth of the probability: how many, mean predicted, share that came true.
    recent_customers
        Of customers active within two horizons before.
    anchors
        Of simpler and of batch models, on the same snapshots.
    over_time
        By four weeks.

    """

    reliability: list[Bin]
    recent_customers: Figures
    anchors: dict[str, Figures] = {}
    over_time: list[Window] = []


class Spend(Struct, frozen=True):
    """Expected spend at the cut against what customers then spent.

    Attributes
    ----------
    spearman
        Rank correlation.
    top_decile_share
        Share of the spend that the tenth of the customers holds that was expected to spend most.
    predicted, realised
        Totals, in the reporting currency.
    value
        Lifetime value of the whole base at the cut.
    value_spearman, value_top_decile_share
        Lifetime value against what customers then spent, as for expected spend.

    """

    spearman: float | None
    top_decile_share: float | None
    predicted: float
    realised: float
    value: float
    value_spearman: float | None
    value_top_decile_share: float | None


class Visits(Struct, frozen=True):
    """Days with activity that were expected at the cut, against those that came.

    Attributes
    ----------
    spearman
        Rank correlation.
    mean_error
        Mean absolute error, in days.
    predicted, realised
        Totals.

    """

    spearman: float | None
    mean_error: float | None
    predicted: float
    realised: float


class Cut(Target, frozen=True, kw_only=True):
    """The whole base at one time against the horizon that followed: silence.

    ``known`` is false where the record ends before the horizon does: then nothing is measured,
    and ``customers`` were scored.
    """

    at: str
    customers: int
    known: bool
    spend: Spend | None = None
    visits: Visits | None = None


class Challenger(Struct, frozen=True):
    """What learned in the champion's shadow, and the comparison of the two at the end.

    Attributes
    ----------
    champion, challenger
        How each learns, at the end.
    shadow
        What was in the shadow at its time, on all labels; where nothing was, what was served.
    comparison
        `Comparison.report`: of the labels since the last one was decided.
    promotions
        When challengers took the champion's place.

    """

    champion: str
    challenger: str
    shadow: Figures
    comparison: dict[str, float | None]
    promotions: list[Promotion]


class Report(Struct, frozen=True):
    """All of it. ``prequential`` and ``cut`` are of silence; ``drifts`` when it got worse.

    ``customers`` are all there are, and ``counted`` those of whom the figures are.
    Accounts closed by customers and involuntarily are told apart where there are any of the latter.
    """

    events: int
    customers: int
    counted: int
    seconds: float
    horizon_days: int
    cadence_days: int
    until: str
    snapshots_skipped: int
    drifts: list[Drift]
    prequential: Target
    prequential_closed: Target
    prequential_churn: Target
    cut: Cut | None
    cut_closed: Target | None
    cut_churn: Target | None
    challenger: Challenger
    prequential_voluntary: Target | None = None
    prequential_involuntary: Target | None = None
    cut_voluntary: Target | None = None
    cut_involuntary: Target | None = None


def build_report(
    found: Evaluated,
    beside: Anchors,
    seconds: float,
    cut: int | None = None,
    customers: re.Pattern[str] = EVERYBODY,
) -> Report:
    """Measure what was found.

    Parameters
    ----------
    beside
        What is measured too.
    seconds
        How long it took.
    cut
        One of those that were asked for.
    customers
        Only customers are counted in whose ids it is found. What was learned of all stays.

    Raises
    ------
    EvaluationError
        It is found in no id.

    """
    which = _matching(found.ids, customers)
    if not which.any():
        raise EvaluationError(
            f"--customers {customers.pattern!r} is found in none of the {len(which)} customers' "
            "ids. Write a part of the ids to count"
        )
    counted = which[found.labels.customer]
    labels, at_labels = found.labels.where(counted), _of(counted, beside.at_labels)
    at = None if cut is None else found.cuts[cut]
    at_cut: Beside = {}
    closed: Beside = {}
    if at is not None:
        here = _matching(at.customers, customers)
        at_cut, closed = _of(here, beside.at_cut(at)), _of(here, beside.closed_at_cut(at))
        at = at.where(here)
    pick = _TARGETS
    ways = ("voluntary", "involuntary") if labels.outcome.involuntary.any() else ()
    return Report(
        events=found.events,
        customers=len(found.ids),
        counted=int(which.sum()),
        seconds=round(seconds, 3),
        horizon_days=found.policy.horizon_ms // DAY_MS,
        cadence_days=found.policy.cadence_days,
        until=moment(found.span.until),
        snapshots_skipped=found.skipped,
        drifts=found.drifts,
        prequential=_prequential(labels, pick["silent"], at_labels),
        prequential_closed=_prequential(labels, pick["closed"], {}),
        prequential_churn=_prequential(labels, pick["churn"], {}),
        cut=_cut(at, at_cut) if at else None,
        cut_closed=_target(*_at_cut(at, pick["closed"]), _known(at, closed)) if at else None,
        cut_churn=_target(*_at_cut(at, pick["churn"]), {}) if at else None,
        challenger=_challenger(labels, found.learner),
        **{f"prequential_{way}": _prequential(labels, pick[way], {}) for way in ways},
        **{f"cut_{way}": _target(*_at_cut(at, pick[way]), {}) for way in ways if at},
    )


def _matching(ids: list[str], customers: re.Pattern[str]) -> Mask:
    """Return whether (n,) a pattern is found in an id."""
    return np.array([customers.search(each) is not None for each in ids], np.bool_)


def _of(which: Mask, said: Beside) -> Beside:
    """Return what is said of some of the customers."""
    return {name: (rank[which], p[which]) for name, (rank, p) in said.items()}


def _known(cut: AtCut, said: Beside) -> Beside:
    """Return what can be measured."""
    return said if cut.outcome else {}


Pick = Callable[[Forecast, Outcome], tuple[Floats, Mask]]
_TARGETS: Final[dict[str, Pick]] = {
    "silent": lambda said, came: (said.silent, came.silent),
    "closed": lambda said, came: (said.closed, came.closed),
    "churn": lambda said, came: (said.churn, came.churn),
    "voluntary": lambda said, came: (said.voluntary, came.voluntary),
    "involuntary": lambda said, came: (said.involuntary, came.involuntary),
}


def _prequential(labels: Labels, pick: Pick, anchors: Beside) -> Target:
    p, y = pick(labels.forecast, labels.outcome)
    target = _target(p, y, labels.recent, anchors)
    return Target(**_fields(target) | {"over_time": _over_time(labels, p, y)})


def _cut(cut: AtCut, anchors: Beside) -> Cut:
    p, y, recent = _at_cut(cut, _TARGETS["silent"])
    target = _target(p, y, recent, _known(cut, anchors))
    return Cut(
        **_fields(target),
        at=moment(cut.base.at),
        customers=len(cut.customers),
        known=cut.outcome is not None,
        spend=_spend(cut.base, cut.outcome),
        visits=_visits(cut.base, cut.outcome),
    )


def _at_cut(cut: AtCut, pick: Pick) -> tuple[Floats, Mask, Mask]:
    """Return probabilities, outcomes and who is recent; none while the outcome is not known."""
    if cut.outcome is None:
        return np.empty(0), np.empty(0, np.bool_), np.empty(0, np.bool_)
    return *pick(cut.base.forecast, cut.outcome), cut.base.recent


def _challenger(labels: Labels, learner: Learner) -> Challenger:
    return Challenger(
        champion=str(learner.model.chosen),
        challenger=str(learner.challenger.chosen),
        shadow=Figures(**_plain(accuracy.accuracy(labels.challenger, labels.outcome.silent))),
        comparison={name: _finite(each) for name, each in learner.comparison.report().items()},
        promotions=learner.promotions,
    )


def _target(p: Floats, y: Mask, recent: Mask, anchors: Beside) -> Target:
    return Target(
        **_plain(accuracy.accuracy(p, y)),
        reliability=accuracy.reliability(p, y),
        recent_customers=Figures(**_plain(accuracy.accuracy(p[recent], y[recent]))),
        anchors={
            name: Figures(**_plain(accuracy.accuracy(said, y, rank)))
            for name, (rank, said) in anchors.items()
        },
    )


def _over_time(labels: Labels, p: Floats, y: Mask) -> list[Window]:
    window = labels.labelled_at // WINDOW_MS
    found = []
    for each in np.unique(window).tolist():
        now = window == each
        until = moment((each + 1) * WINDOW_MS)
        found.append(Window(**_plain(accuracy.accuracy(p[now], y[now])), until=until))
    return found


def _spend(base: Base, came: Outcome | None) -> Spend | None:
    if came is None:
        return None
    said = base.forecast.spend
    return Spend(
        spearman=_finite(accuracy.spearman(said, came.spend)),
        top_decile_share=_finite(accuracy.top_decile_share(said, came.spend)),
        predicted=float(said.sum()),
        realised=float(came.spend.sum()),
        value=float(base.value.sum()),
        value_spearman=_finite(accuracy.spearman(base.value, came.spend)),
        value_top_decile_share=_finite(accuracy.top_decile_share(base.value, came.spend)),
    )


def _visits(base: Base, came: Outcome | None) -> Visits | None:
    if came is None or came.visits is None:
        return None
    said = base.expected_visits
    return Visits(
        spearman=_finite(accuracy.spearman(said, came.visits)),
        mean_error=float(np.abs(said - came.visits).mean()) if len(said) else None,
        predicted=float(said.sum()),
        realised=float(came.visits.sum()),
    )


def _plain(found: Accuracy) -> dict[str, Any]:
    return {name: _finite(value) for name, value in found._asdict().items()}


def _fields(target: Target) -> dict[str, Any]:
    return {name: getattr(target, name) for name in Target.__struct_fields__}


def _finite(value: float) -> float | None:
    """Return a number, or None for what JSON cannot hold."""
    return value if math.isfinite(value) else None
