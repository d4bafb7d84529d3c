"""What scores customers with NumPy, many at once: the churn model as it was at one moment.

A `Scorer` equals the learner's own prediction (`shared.domain.churn`) to 1e-9. The learner makes
one whenever it publishes; it never changes, so whoever has it needs no lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.calendars import PlanTable
from shared.domain.closing import Closure
from shared.domain.features import FEATURES
from shared.domain.hazard import (
    INPUTS,
    STILL,
    Facts,
    Steps,
    facts_of,
    moving,
    prior,
    step_prior,
    still,
)
from shared.domain.logistic import Linear
from shared.domain.long_run import LongRunTable
from shared.domain.losses import CLIP
from shared.domain.seasons import seasons
from shared.domain.signals import NO_SIGNALS, SIGNALS, Learned, Signalled
from shared.domain.value import unscaled_spend

Floats = NDArray[np.float64]

#: What a reason may be called: an input of the model, a signal, or what a calendar adds.
REASONS: Final = (*INPUTS, *SIGNALS, "plan_calendar", "season")

#: The heuristic before any label.
AS_IT_IS: Final = (0.0, 1.0)
_CHUNK: Final = 8192  # rows at a time: their columns stay in the processor's cache
_VISITS, _PLAN, _FAMILY, _OWN, _DAY = (
    FEATURES.index(name) for name in ("visits", "plan", "family", "plan_days", "day")
)


@dataclass(frozen=True)
class Scorer:
    """What a model knew at one moment: scores rows independently of each other, bit for bit.

    Attributes
    ----------
    steps
        How the horizon is cut.
    silence, closure, forced
        Log odds of silence, and of an account closed by the customer and involuntarily, within
        one step; None where the latter was never seen.
    usual, left
        Log odds of silence as they were on average lately, and how much of what sets today apart
        from them is left a step further ahead.
    plans, seasons
        What calendars add to the log odds of silence.
    warm
        False while the heuristic is served.
    fit
        Level and slope that fit the heuristic's log odds to the labels.
    spend_level
        Of `value.unscaled_spend`.
    silence_signals
        What signals add to the log odds of silence.
    long_run
        What a share of the chance of silence of customers on plans comes from; None for nothing.
    """

    steps: Steps
    silence: Linear
    usual: Linear
    left: float
    closure: Closure
    plans: PlanTable
    seasons: Floats
    warm: bool
    fit: tuple[float, float] = AS_IT_IS
    spend_level: float = 1.0
    silence_signals: Learned = NO_SIGNALS
    forced: Closure | None = None
    long_run: LongRunTable | None = None

    def predict(self, features: Floats) -> Floats:
        """Return (n,) probabilities of silence over the horizon for (n, F) features."""
        if self.warm:
            return _in_chunks(self._silent, features)
        return _in_chunks(self.heuristic if self.fit == AS_IT_IS else self._fitted, features)

    def predict_closed(self, features: Floats) -> Floats:
        """Return (n,) probabilities of an account closed within the horizon."""
        return _in_chunks(self._closed, features)

    def predict_involuntary(self, features: Floats) -> Floats:
        """Return (n,) probabilities of an account closed involuntarily within the horizon."""
        forced = self.forced
        if forced is None:
            return np.zeros(len(features))
        return _in_chunks(lambda some: 1.0 - np.exp(self._stays(forced, some)), features)

    def spend(self, features: Floats, silent: Floats) -> Floats:
        """Return (n,) expected spend over the horizon, given the probabilities of silence (n,)."""
        return self.spend_level * unscaled_spend(features, silent, self.steps.horizon)

    def heuristic(self, features: Floats) -> Floats:
        """Return (n,) probabilities of silence that need no training."""
        return heuristic(features, self.steps)

    def _silent(self, features: Floats) -> Floats:
        facts, length = facts_of(features), self.steps.length
        unchanged = still(facts)
        now, usual = (one.intercept + _sum(one, 0, unchanged) for one in (self.silence, self.usual))
        plans = self._plan_effects(features, facts)
        signalled = Signalled.of(features, length)
        total = np.zeros(len(features))
        for step, ahead in enumerate(self._starts()):
            gone = 1.0 - self.left**step
            linear = self.silence.towards(self.usual, gone)
            odds = now + gone * (usual - now)
            odds += _sum(linear, STILL, moving(facts, self.steps, ahead, length))
            odds += self.seasons[seasons(features[:, _DAY] + (ahead + length / 2.0))]
            plans.add_to(odds, ahead)
            signalled.add_to(odds, self.silence_signals, ahead)
            total -= np.log(1.0 + np.exp(-odds))
        silent = np.exp(total)
        if self.long_run is not None and len(plans.which):
            silent[plans.which] = self.long_run.pooled(silent[plans.which], plans.features)
        return _clipped(silent)

    def _fitted(self, features: Floats) -> Floats:
        facts, (level, slope) = facts_of(features), self.fit
        total = np.zeros(len(features))
        for ahead in self._starts():
            odds = step_prior(facts, self.steps, ahead)
            total -= np.log(1.0 + np.exp(-(level + slope * odds)))
        return _clipped(np.exp(total))

    def _starts(self) -> list[float]:
        """Return how many days ahead each step begins."""
        starts: list[float] = (np.arange(self.steps.count) * self.steps.length).tolist()
        return starts

    def _closed(self, features: Floats) -> Floats:
        stays = self._stays(self.closure, features)
        if self.forced is not None:
            stays += self._stays(self.forced, features)
        return _clipped(1.0 - np.exp(stays))

    def _stays(self, closure: Closure, features: Floats) -> Floats:
        """Return the logarithm (n,) of the chance that no account is closed in this way."""
        facts, length, linear = facts_of(features), self.steps.length, closure.linear
        base = np.full(len(features), linear.intercept)
        base += _sum(linear, 0, still(facts))
        signalled = Signalled.of(features, length)
        stays = np.zeros(len(features))
        for ahead in self._starts():
            odds = base + _sum(linear, STILL, moving(facts, self.steps, ahead, length))
            signalled.add_to(odds, closure.signals, ahead)
            stays -= np.log(1.0 + np.exp(odds))
        return stays

    def _plan_effects(self, features: Floats, facts: Facts) -> _PlanEffects:
        on_plan = np.flatnonzero(features[:, _PLAN])
        some = features[on_plan]
        return _PlanEffects(
            self.plans,
            self.steps,
            on_plan,
            some,
            self.plans.rows(some[:, _FAMILY].astype(np.int64), some[:, _VISITS]),
            self.plans.ages(some[:, _PLAN].astype(np.int64), some[:, _DAY], some[:, _OWN]),
            facts.recency[on_plan],
        )

    def contributions(self, features: Floats) -> Floats:
        """Return (n, len(REASONS)) signed log odds that each adds to those of an average customer.

        They are those of silence in the step that starts now.
        """
        facts = facts_of(features)
        found = np.zeros((len(features), len(REASONS)))
        if not self.warm:
            found[:, REASONS.index("silence_prior")] = prior(facts, self.steps)
            return found
        length = self.steps.length
        values = still(facts) + moving(facts, self.steps, 0.0, length)
        for j, value in enumerate(values):
            found[:, j] = self.silence.share(j, value)
        signalled = Signalled.of(features, length)
        if len(signalled.which):
            shares = np.stack(signalled.shares(self.silence_signals, 0.0), axis=1)
            found[signalled.which, len(INPUTS) : len(INPUTS) + len(SIGNALS)] = shares
        self._plan_effects(features, facts).add_to(found[:, -2], 0.0)
        found[:, -1] = self.seasons[seasons(features[:, _DAY] + length / 2.0)]
        return found

    def reasons(self, features: Floats, top: int = 3) -> list[list[tuple[str, float]]]:
        """Return for each row the `top` reasons by size of their signed contribution."""
        parts = self.contributions(features)
        order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :top]
        shares = np.take_along_axis(parts, order, axis=1)
        return [
            [(REASONS[j], share) for j, share in zip(chosen, row, strict=True) if share != 0.0]
            for chosen, row in zip(order.tolist(), shares.tolist(), strict=True)
        ]

    def closing_signals(self, features: Floats) -> tuple[NDArray[np.intp], Floats]:
        """Return who has signals (m,), and the log odds (m, S) that each adds to closing.

        Of both ways of closing the one to which it adds more.
        """
        signalled = Signalled.of(features, self.steps.length)
        if not len(signalled.which):
            return signalled.which, np.empty((0, len(SIGNALS)))
        ways = [self.closure] if self.forced is None else [self.closure, self.forced]
        shares = [np.stack(signalled.shares(way.signals, 0.0), axis=1) for way in ways]
        return signalled.which, np.maximum.reduce(shares)


@dataclass(frozen=True)
class _PlanEffects:
    """What plans add for those of some customers who are on one, step by step."""

    table: PlanTable
    steps: Steps
    which: NDArray[np.intp]
    features: Floats  # theirs
    rows: NDArray[np.int64]
    age: Floats
    recency: Floats

    def add_to(self, odds: Floats, ahead: float) -> None:
        if len(self.which):
            silent = (self.recency + ahead) / self.steps.horizon
            age = (self.age + ahead) / self.steps.length
            odds[self.which] += self.table.effect(self.rows, age, silent)


def heuristic(features: Floats, steps: Steps) -> Floats:
    """Return (n,) probabilities of silence that need no training, for (n, F) features."""
    return _clipped(1.0 / (1.0 + np.exp(-prior(facts_of(features), steps))))


def _in_chunks(score: Callable[[Floats], Floats], features: Floats) -> Floats:
    if len(features) <= _CHUNK:
        return score(features)
    starts = range(0, len(features), _CHUNK)
    return np.concatenate([score(features[start : start + _CHUNK]) for start in starts])


def _sum(linear: Linear, first: int, values: list[Any]) -> Floats | float:
    """Sum shares in the inputs' order, which no row count changes."""
    total: Floats | float = 0.0
    for j, value in enumerate(values, first):
        total = total + linear.share(j, value)
    return total


def _clipped(p: Floats) -> Floats:
    return np.minimum(np.maximum(p, CLIP), 1.0 - CLIP)
