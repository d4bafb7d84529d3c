"""What is learned of labels before anything is learned of silence, and for whoever learns that.

A champion and its challenger learn the same labels (`shared.domain.learner`), and most of what a
label says is the same for both: how inputs are distributed, how many labels come in a horizon,
which plans there are, how far off the heuristic is, and who closes an account. It is learned once,
of many labels at a time, and to the bit as it would be one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.domain.calendars import Place, Plans
from shared.domain.closing import Closing
from shared.domain.features import FEATURES, Floats
from shared.domain.hazard import INPUTS, PRIOR, Steps, facts_of, inputs
from shared.domain.logistic import (
    Calibrated,
    Scaler,
    Standardised,
    information,
    sigmoid,
)
from shared.domain.long_run import LongRun
from shared.domain.losses import MEMORY, log_loss
from shared.domain.seasons import seasons
from shared.domain.signals import Present, present

_VISITS, _DAY = FEATURES.index("visits"), FEATURES.index("day")


@dataclass(frozen=True)
class Labels:
    """What there is to learn silence from: n labels in their order.

    Attributes
    ----------
    silent
        Whether a customer was, over the step after the snapshot.
    inputs
        (n, I) of `hazard.INPUTS`.
    pace
        (n,) labels in the horizon before.
    season
        Of the step's middle.
    tells_season
        Whether a label says anything of it.
    place, signals
        Where the customer stood on a plan, and what signs there were.

    """

    silent: list[int]
    inputs: Standardised
    pace: Floats
    season: list[int]
    tells_season: list[bool]
    place: list[Place | None]
    signals: list[Present]


class Groundwork:
    """Learns all but silence.

    Parameters
    ----------
    steps
        How the horizon is cut.

    Attributes
    ----------
    labels
        Learned so far.
    loss
        Discounted log loss of the heuristic as fitted.
    long_run
        What became of customers on plans over whole horizons.

    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.labels = 0
        self.loss = 0.0
        self.scaler = Scaler(INPUTS)
        self.heuristic = Calibrated()
        self.closure = Closing(expected=True)
        self.forced = Closing(expected=False)
        self.plans = Plans()
        self.long_run = LongRun(steps)
        self._pace = 0.0  # labels within a horizon, discounted
        self._first_day = math.inf  # of the first label's snapshot
        self._last_day = -math.inf  # of the newest one's

    def take(
        self, features: Floats, silent: list[int], closed: list[int], involuntary: list[int]
    ) -> Labels:
        """Learn ripe labels, at least one, and return what is left to learn of them.

        Parameters
        ----------
        features
            (n, F) stored at the snapshots.
        silent
            (n,) 1 when the customer was silent over the step after it, else 0.
        closed
            (n,) 1 when the account was closed within the step, else 0.
        involuntary
            (n,) 1 when it was closed, and not by the customer's choice.

        """
        derived = inputs(facts_of(features), self.steps)
        standardised = self.scaler.learn(derived)
        days = features[:, _DAY]
        paces, since = self._keep_pace(days.tolist())
        signals = present(features, self.steps.length)
        self._learn_heuristic(derived[:, PRIOR].tolist(), silent)
        self._learn_closings(standardised.values.tolist(), closed, involuntary, signals, paces)
        self.labels += len(silent)
        # Whoever has not come yet says nothing of when people come; where a stream begins with
        # prospects, they would make a season of it, which is back a year later.
        told = (features[:, _VISITS] > 0) & (days > np.array(since) + self.steps.horizon)
        return Labels(
            silent=silent,
            inputs=standardised,
            pace=np.array(paces),
            season=seasons(days + self.steps.length / 2.0).tolist(),
            tells_season=told.tolist(),
            place=self.plans.places(features, self.steps),
            signals=signals,
        )

    def _keep_pace(self, days: list[float]) -> tuple[list[float], list[float]]:
        """Count labels among those of the last horizon; return that, and the first label's day."""
        paces, since, horizon = [], [], self.steps.horizon
        for day in days:
            passed = max(day - self._last_day, 0.0)
            self._pace = self._pace * math.exp(-passed / horizon) + 1.0
            self._first_day = min(self._first_day, day)
            self._last_day = max(day, self._last_day)
            paces.append(self._pace)
            since.append(self._first_day)
        return paces, since

    def _learn_heuristic(self, odds: list[float], silent: list[int]) -> None:
        for one, y in zip(odds, silent, strict=True):
            p = sigmoid(self.heuristic.log_odds(one))
            self.loss = MEMORY * self.loss + log_loss(p, y)
            self.heuristic.learn(one, p - y, information(p))

    def _learn_closings(
        self,
        values: list[list[float]],
        closed: list[int],
        involuntary: list[int],
        signals: list[Present],
        paces: list[float],
    ) -> None:
        known = zip(values, closed, involuntary, signals, paces, strict=True)
        for row, gone, forced, found, pace in known:
            scaled = dict(zip(INPUTS, row, strict=True))
            self.closure.learn(scaled, gone - forced, found, pace)
            self.forced.learn(scaled, forced, found, pace)

    def dump(self) -> dict[str, Any]:
        """Return everything needed to continue learning bit for bit, as JSON values."""
        return {
            "labels": self.labels,
            "prior_loss": self.loss,
            "pace": self._pace,
            "days": [self._first_day, self._last_day] if self.labels else None,
            "scaler": self.scaler.dump(),
            "heuristic": self.heuristic.dump(),
            "closure": self.closure.logistic.dump(),
            "closure_signals": self.closure.effects.dump(),
            "forced": self.forced.logistic.dump(),
            "forced_signals": self.forced.effects.dump(),
            "plans": self.plans.dump(),
            "long_run": self.long_run.dump(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `dump` returned; what former states did not know yet is at its start."""
        self.labels, self.loss, self._pace = state["labels"], state["prior_loss"], state["pace"]
        if state["days"]:
            self._first_day, self._last_day = state["days"]
        self.scaler.restore(state["scaler"])
        if "heuristic" in state:
            self.heuristic.restore(state["heuristic"])
        self.closure.logistic.restore(state["closure"])
        self.closure.effects.restore(state.get("closure_signals", {}))
        if "forced" in state:
            self.forced.logistic.restore(state["forced"])
            self.forced.effects.restore(state["forced_signals"])
        self.plans.restore(state["plans"], max(self._last_day, 0.0))
        if "long_run" in state:
            self.long_run.restore(state["long_run"])
