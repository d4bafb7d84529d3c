"""Scores: what the model says of some customers now, and what of it the world is told."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from shared.domain import ledger, lifecycle
from shared.domain.churn import HORIZON_DAYS, ChurnModel
from shared.domain.churn_scorer import Scorer
from shared.domain.customer import CustomerTable, Indices, Rows
from shared.domain.dealings import Dealings
from shared.domain.emission import REVIEW, SCORE, TRANSITION, Make, Step
from shared.domain.features import MICROS, Floats, Millis, feature_matrix
from shared.domain.forecasts import Forecast
from shared.domain.outputs import Cause, Identity, Score, Transition
from shared.domain.policy import SLOT_MS, Policy
from shared.domain.reasons import explain
from shared.domain.rfm import Boundaries
from shared.domain.risk_history import remember, risk_before
from shared.domain.segments import NAMES, digits, quintiles, segment_codes
from shared.domain.value import lifetime_value, margin_ratio
from shared.domain.visits import expected_visits
from shared.domain.wheel import Slots, next_review

Mask = NDArray[np.bool_]

_NO_DEALINGS: Final = Dealings()
BANDS: Final = 20  # risk is emitted when it passes a multiple of 1 / BANDS

#: Fields of a row that a score shows, in the order in which `_score` takes them.
_SCORED: Final = (
    "stage", "stage_since", "first_at", "last_at", "visits", "purchases", "spend", "revenue",
    "margin", "cost", "closed", "first_seen", "segment",
)  # fmt: skip


class Served(Struct, frozen=True):
    """A model as it is used for scoring; version 0 is the heuristic of a cold start.

    Attributes
    ----------
    challenger
        What says in the shadow what it would have served; version 0 has none.

    """

    version: int
    scorer: Scorer
    challenger: Scorer | None = None


def cold_model(horizon_days: float = HORIZON_DAYS) -> Served:
    """Return what scores before any model was activated."""
    return Served(0, ChurnModel(horizon_days).scorer())


def foretell(scorer: Scorer, features: Floats, silent: Floats, rows: Rows) -> Forecast:
    """Return all that a model says of n customers.

    Parameters
    ----------
    features, silent
        (n, F), and the probability (n,) of silence that the model gave for them.
    rows
        (n,) their rows.

    """
    spend = np.where(rows["closed"] == lifecycle.OPEN, scorer.spend(features, silent), 0.0)
    closed, forced = scorer.predict_closed(features), scorer.predict_involuntary(features)
    return Forecast(silent, closed, spend, forced)


def worth(said: Forecast, rows: Rows, policy: Policy) -> Floats:
    """Return the present value (n,) of the margin to come of n customers, and their rows."""
    return lifetime_value(
        spend=said.spend,
        churn=said.churn,
        margin=margin_ratio(rows["margin"], rows["revenue"], policy.default_margin),
        horizon=policy.horizon_days,
        life=float(policy.value_days),
        rate=policy.discount_rate,
    )


def visits_to_come(scorer: Scorer, features: Floats, silent: Floats, rows: Rows) -> Floats:
    """Return days (n,) with activity expected over the horizon; none of a closed account."""
    horizon = scorer.steps.horizon
    is_open = rows["closed"] == lifecycle.OPEN
    return np.where(is_open, expected_visits(features, silent, horizon), 0.0)


class Scoring:
    """Scores the customers of one table.

    Attributes
    ----------
    model
        The model in use.
    policy
        Horizons, and the thresholds in force.
    boundaries
        Those of quintiles that are in force.
    is_read
        Whether anybody reads scores, and states are to become durable.

    """

    is_read: ClassVar[bool] = True

    def __init__(self, table: CustomerTable, policy: Policy, model: Served) -> None:
        self.model = model
        self._table = table
        self.policy = policy
        self.boundaries = Boundaries()

    def score(self, step: Step, told: Mask | None = None) -> Floats:
        """Score customers, move their stages, and emit what changed.

        Parameters
        ----------
        step
            n customers; their rows are changed in place.
        told
            (n,) whose score is emitted although it may be the same.

        Returns
        -------
        The features (n, F).

        """
        features, risk = self._risk(step)
        if step.phase == REVIEW:
            remember(step.rows, step.now, risk)
        self._move_stages(step, risk)
        self._tell(step, features, risk, told)
        return features

    def next_review(self, rows: Rows, now: Millis) -> Slots:
        """Return the mark (n,) at which each customer is scored next when nothing happens."""
        return next_review(rows, now, self.policy)

    def rescore(self, step: Step, told: Mask | None = None) -> Mask:
        """Emit the scores that changed or are ``told``, without moving a stage; return which."""
        features, risk = self._risk(step)
        return self._tell(step, features, risk, told)

    def _risk(self, step: Step) -> tuple[Floats, Floats]:
        features = feature_matrix(step.rows, step.now)
        return features, self.model.scorer.predict(features)

    def _move_stages(self, step: Step, risk: Floats) -> None:
        rows = step.rows
        after, reason = lifecycle.next_stage(rows, step.now, risk, self.policy)
        moved = np.flatnonzero(after != rows["stage"])
        if not len(moved):
            return
        plain = zip(
            map(self._table.ids.__getitem__, step.indices[moved].tolist()),
            step.now[moved].tolist(), rows["stage"][moved].tolist(),
            after[moved].tolist(), reason[moved].tolist(), rows["stage_since"][moved].tolist(),
            strict=True,
        )  # fmt: skip
        step.emit(TRANSITION, moved, [partial(self._transition, one) for one in plain])
        rows["stage_since"][moved] = step.now[moved]
        rows["stage"] = after

    @staticmethod
    def _transition(plain: tuple[Any, ...], origin: Identity) -> Transition:
        customer, at, before, after, reason, since = plain
        return Transition(
            customer=customer,
            at=at,
            origin=origin,
            before=lifecycle.STAGES[before],
            after=lifecycle.STAGES[after],
            reason=lifecycle.REASONS[reason],
            lasted_ms=at - since,
        )

    def _tell(self, step: Step, features: Floats, risk: Floats, told: Mask | None) -> Mask:
        """Emit scores: told ones, and where band, stage or segment is not the one last emitted."""
        rows = step.rows
        band = np.floor(risk * BANDS + 1e-9).astype(np.int8)
        sent: Mask = (band != rows["band"]) | (rows["stage"] != rows["emitted_stage"])
        segment = segment_codes(rows, step.now, self.boundaries)
        sent |= segment != rows["segment"]
        if told is not None:
            sent |= told
        which = np.flatnonzero(sent)
        if len(which):
            rows["band"], rows["emitted_stage"], rows["untold"][which] = band, rows["stage"], 0
            rows["segment"] = segment
            step.emit(SCORE, which, self._scores(step, which, features[which], risk[which]))
        return sent

    def _scores(self, step: Step, which: Indices, features: Floats, risk: Floats) -> list[Make]:
        rows, now, indices = step.rows[which], step.now[which], step.indices[which].tolist()
        reasons = explain(self.model.scorer, features)
        said = foretell(self.model.scorer, features, risk, rows)
        forecasts = (
            said.closed, said.involuntary, said.churn, said.spend, worth(said, rows, self.policy)
        )  # fmt: skip
        visits = visits_to_come(self.model.scorer, features, risk, rows)
        review = self.next_review(rows, now) if step.phase == REVIEW else rows["review"]
        plain = zip(
            now.tolist(), risk.tolist(), features.tolist(), reasons,
            np.stack(forecasts, axis=1).tolist(),
            *(risk_before(rows, now, days) for days in (7, 30)), review.tolist(),
            visits.tolist(), digits(quintiles(rows, now, self.boundaries), rows["segment"]),
            *(rows[name].tolist() for name in _SCORED), strict=True,
        )  # fmt: skip
        return [
            self._score(index, step.cause, one) for index, one in zip(indices, plain, strict=True)
        ]

    def _score(self, index: int, cause: Cause, plain: tuple[Any, ...]) -> Make:
        """Take customer, profile and model as they are now: all may change within the batch."""
        customer = self._table.ids[index]
        profile, version = self._table.profile(index), self.model.version
        (at, risk, features, reasons, forecast, week, month, review, to_come, rfm, stage, since,
         first, last, visits, purchases, spend, revenue, margin, cost, closed, known,
         group) = plain  # fmt: skip
        dealings, limits = self._dealings(index, at, known), self.boundaries

        def make(origin: Identity) -> Score:
            p_closed, p_involuntary, p_churn, expected_spend, clv = forecast
            return Score(
                customer=customer,
                at=at,
                origin=origin,
                cause=cause,
                stage=lifecycle.STAGES[stage],
                stage_since=since,
                risk=risk,
                model=version,
                features=features,
                reasons=reasons,
                first_activity=first,
                last_activity=last,
                visits=visits,
                spend=spend / MICROS,
                revenue=revenue / MICROS,
                margin=margin / MICROS,
                cost=cost / MICROS,
                closed=bool(closed),
                profile=profile,
                p_closed=p_closed,
                p_involuntary=p_involuntary,
                p_churn=p_churn,
                expected_spend=expected_spend,
                clv=clv,
                dealings=dealings,
                risk_7d_ago=week,
                risk_30d_ago=month,
                next_review=review * SLOT_MS,
                expected_visits=to_come,
                purchases=purchases,
                segment=NAMES[group],
                rfm=rfm,
                value_band=limits.value_band(clv),
                heavy_use=limits.heavily_used(dealings.services),
            )

        return make

    def _dealings(self, index: int, now: int, since: int) -> Dealings:
        kept = self._table.ledger(index)
        return _NO_DEALINGS if kept is None else ledger.told(kept, now, since)
