"""The churn model: learns one label at a time, scores many customers with NumPy.

`ChurnModel` is the learner that the trainer owns; `Scorer` is a frozen copy of what it knows, which
scores a whole base at once and equals the learner's own prediction to 1e-9. Two outcomes are
learned apart, each for one step of the horizon (see `shared.domain.hazard`): silence, and an
account closed. While silence is learned worse than by the heuristic of `shared.domain.hazard`, by
measured prequential log loss, the heuristic is what is served. It is measured and served as fitted
to the labels so far: as it is, it ranks well and is far too sure, so that a regression that knows
the base rate and nothing else would beat it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.calendars import Place, Plans, PlanTable, Seasons, seasons
from shared.domain.closing import Closing, Closure
from shared.domain.configuration import CHAMPION, Configuration
from shared.domain.features import FEATURES
from shared.domain.hazard import (
    INPUTS,
    MANY,
    PRIOR,
    STILL,
    Facts,
    Steps,
    inputs,
    moving,
    prior,
    still,
)
from shared.domain.logistic import Calibrated, Linear, Logistic, Scaler
from shared.domain.recursive import Recursive
from shared.domain.signals import NO_SIGNALS, SIGNALS, Effects, Learned, Present, Signalled, present
from shared.domain.signs import SIGNS
from shared.domain.value import SpendLevel, unscaled_spend

Floats = NDArray[np.float64]

FORMAT: Final = "tenure.churn"
VERSION: Final = 2

CLIP: Final = 1e-4  # probabilities served lie in [CLIP, 1 - CLIP]
MEMORY: Final = 0.999  # discount of the losses that choose between model and heuristic
MIN_LABELS: Final = 100  # fewer say nothing about which is better
HORIZON_DAYS: Final = 28.0
#: What a reason may be called: an input of the model, a signal, or what a calendar adds.
REASONS: Final = (*INPUTS, *SIGNALS, "plan_calendar", "season")

#: The heuristic before any label.
AS_IT_IS: Final = (0.0, 1.0)
_CHUNK: Final = 8192  # rows at a time: their columns stay in the processor's cache
_LEAST_INFORMATION: Final = 1e-3
#: Features in the first states of this version, which knew of no signs.
_FORMERLY: Final = len(FEATURES) - len(SIGNS)
_AT = {name: column for column, name in enumerate(FEATURES)}
_FACTS: Final = [_AT[name] for name in Facts.__dataclass_fields__]
_PLAN, _FAMILY, _OWN, _DAY = _AT["plan"], _AT["family"], _AT["plan_days"], _AT["day"]


class ModelStateError(ValueError):
    """A model state that this code cannot continue from: unknown format, version or features."""


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
    """

    steps: Steps
    silence: Linear
    closure: Closure
    plans: PlanTable
    seasons: Floats
    warm: bool
    fit: tuple[float, float] = AS_IT_IS
    spend_level: float = 1.0
    silence_signals: Learned = NO_SIGNALS
    forced: Closure | None = None

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
        facts, length = _facts(features), self.steps.length
        base = self.silence.intercept + _sum(self.silence, 0, still(MANY, facts))
        plans = self._plan_effects(features, facts)
        signalled = Signalled.of(features, length)
        total = np.zeros(len(features))
        for ahead in self._starts():
            odds = base + _sum(self.silence, STILL, moving(MANY, facts, self.steps, ahead, length))
            odds += self.seasons[seasons(features[:, _DAY] + (ahead + length / 2.0))]
            plans.add_to(odds, ahead)
            signalled.add_to(odds, self.silence_signals, ahead)
            total -= np.log(1.0 + np.exp(-odds))
        return _clipped(np.exp(total))

    def _fitted(self, features: Floats) -> Floats:
        facts, (level, slope) = _facts(features), self.fit
        total = np.zeros(len(features))
        for ahead in self._starts():
            odds = moving(MANY, facts, self.steps, ahead, self.steps.length)[PRIOR - STILL]
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
        facts, length, linear = _facts(features), self.steps.length, closure.linear
        base = np.full(len(features), linear.intercept)
        base += _sum(linear, 0, still(MANY, facts))
        signalled = Signalled.of(features, length)
        stays = np.zeros(len(features))
        for ahead in self._starts():
            odds = base + _sum(linear, STILL, moving(MANY, facts, self.steps, ahead, length))
            signalled.add_to(odds, closure.signals, ahead)
            stays -= np.log(1.0 + np.exp(odds))
        return stays

    def _plan_effects(self, features: Floats, facts: Facts[Floats]) -> _PlanEffects:
        on_plan = np.flatnonzero(features[:, _PLAN])
        some = features[on_plan]
        return _PlanEffects(
            self.plans,
            self.steps,
            on_plan,
            self.plans.rows(some[:, _FAMILY].astype(np.int64), some[:, _AT["visits"]]),
            self.plans.ages(some[:, _PLAN].astype(np.int64), some[:, _DAY], some[:, _OWN]),
            facts.recency[on_plan],
        )

    def contributions(self, features: Floats) -> Floats:
        """Return (n, len(REASONS)) signed log odds that each adds to those of an average customer.

        They are those of silence in the step that starts now.
        """
        facts = _facts(features)
        found = np.zeros((len(features), len(REASONS)))
        if not self.warm:
            found[:, REASONS.index("silence_prior")] = prior(MANY, facts, self.steps)
            return found
        length = self.steps.length
        values = still(MANY, facts) + moving(MANY, facts, self.steps, 0.0, length)
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
    rows: NDArray[np.int64]
    age: Floats
    recency: Floats

    def add_to(self, odds: Floats, ahead: float) -> None:
        if len(self.which):
            silent = (self.recency + ahead) / self.steps.horizon
            age = (self.age + ahead) / self.steps.length
            odds[self.which] += self.table.effect(self.rows, age, silent)


class ChurnModel:
    """Learns silence and closed accounts, a step of the horizon at a time.

    Parameters
    ----------
    horizon_days
        H.
    chosen
        How it learns.
    """

    def __init__(
        self, horizon_days: float = HORIZON_DAYS, chosen: Configuration = CHAMPION
    ) -> None:
        self.steps = Steps.of(horizon_days)
        self.chosen = chosen
        self.labels = 0
        self._scaler = Scaler(INPUTS)
        self._silence = Recursive(INPUTS, PRIOR, chosen.memory, chosen.level / self.steps.count)
        self._closure = Closing(expected=True)
        self._forced = Closing(expected=False)
        self._heuristic = Calibrated()
        self._plans = Plans(chosen.cells)
        self._seasons = Seasons()
        self._spend = SpendLevel()
        self._silence_signals = Effects()
        self._first_day = math.inf  # of the first label's snapshot
        self._last_day = -math.inf  # of the newest one's
        self._pace = 0.0  # labels within a horizon, discounted
        self._loss = 0.0  # discounted log loss of the learner
        self._prior_loss = 0.0  # the same of the heuristic as fitted

    @property
    def warm(self) -> bool:
        """Whether the learner has beaten the heuristic on labels that it had not seen."""
        return self.labels >= MIN_LABELS and self._loss < self._prior_loss

    @property
    def losses(self) -> tuple[float, float]:
        """Discounted mean log losses of the learner and of the heuristic; NaN without labels."""
        weight = (1 - MEMORY**self.labels) / (1 - MEMORY)
        return (self._loss / weight, self._prior_loss / weight) if weight else (math.nan, math.nan)

    def learn(self, x: Floats, silent: int, closed: int = 0, involuntary: int = 0) -> float:
        """Learn one ripe label.

        Parameters
        ----------
        x
            (F,) features stored at the snapshot.
        silent
            1 (or True) when the customer was silent over the step after it, else 0.
        closed
            1 when the account was closed within the step, else 0.
        involuntary
            1 when it was closed, and not by the customer's choice.

        Returns
        -------
        The log loss of what would have been served of the step just before: the learner's, or the
        heuristic's as fitted.
        """
        warm = self.warm
        values: list[float] = x.tolist()
        facts, day = Facts(*[values[j] for j in _FACTS]), values[_DAY]
        self._keep_pace(day)
        derived = inputs(facts, self.steps)
        scaled = self._scaler.learn(derived)
        place, found = self._place(values, facts), present(values, self.steps.length)
        x = self._silence.of(scaled, self._scaler)
        learned = self._learn_silence(x, silent, day, place, found, active=facts.visits > 0)
        prior_loss = self._learn_heuristic(derived[PRIOR], silent)
        self._closure.learn(scaled, closed - involuntary, found, self._pace)
        self._forced.learn(scaled, involuntary, found, self._pace)
        self.labels += 1
        return learned if warm else prior_loss

    def learn_spend(self, x: Floats, silent: float, realised: float) -> None:
        """Learn what was spent over a horizon that has ended.

        Parameters
        ----------
        x
            (F,) features stored at the snapshot.
        silent
            The probability of silence predicted then.
        realised
            In the reporting currency.
        """
        expected = unscaled_spend(x[None], np.array([silent]), self.steps.horizon)
        self._spend.learn(float(expected[0]), realised, float(x[_DAY]))

    def _learn_silence(
        self,
        x: Floats,
        y: int,
        day: float,
        place: Place | None,
        found: Present,
        *,
        active: bool,
    ) -> float:
        middle = day + self.steps.length / 2.0
        offset = self._seasons.effect(middle)
        offset += self._plans.effect(place) if place else 0.0
        added = self._silence_signals.log_odds(found)
        odds = self._silence.log_odds(x) + offset
        offset += added
        p = _sigmoid(odds + added)
        loss = log_loss(p, y)
        self._loss = MEMORY * self._loss + loss
        self._silence.learn(x, y, offset, self._pace)
        information = max(p * (1 - p), _LEAST_INFORMATION)
        if place:
            self._plans.learn(place, p - y, information)
        if self._silence_signals.concerns(found):
            self._silence_signals.learn(found, odds, y)
        # Whoever has not come yet says nothing of when people come; where a stream begins with
        # prospects, they would make a season of it, which is back a year later.
        if self.chosen.seasons and active and day > self._first_day + self.steps.horizon:
            self._seasons.learn(middle, p - y, information, self._pace)
        return loss

    def _learn_heuristic(self, odds: float, y: int) -> float:
        p = _sigmoid(self._heuristic.log_odds(odds))
        loss = log_loss(p, y)
        self._prior_loss = MEMORY * self._prior_loss + loss
        self._heuristic.learn(odds, p - y, max(p * (1 - p), _LEAST_INFORMATION))
        return loss

    def _keep_pace(self, day: float) -> None:
        """Count a label among those of the last horizon."""
        self._first_day = min(self._first_day, day)
        passed = max(day - self._last_day, 0.0)
        self._pace = self._pace * math.exp(-passed / self.steps.horizon) + 1.0
        self._last_day = max(day, self._last_day)

    def _place(self, values: list[float], facts: Facts[float]) -> Place | None:
        """Return where a customer on a plan stands, after taking note of the plan."""
        plan, family = int(values[_PLAN]), int(values[_FAMILY])
        own, day = values[_OWN], values[_DAY]
        if not plan:
            return None
        if facts.visits:
            self._plans.meet(plan, family, day - own, day)
        age = self._plans.age(plan, day, own) / self.steps.length
        return self._plans.place(family, age, facts.visits, facts.recency / self.steps.horizon)

    def scorer(self) -> Scorer:
        """Return a frozen copy of what the model knows now."""
        return Scorer(
            steps=self.steps,
            silence=self._silence.linear(self._scaler),
            closure=self._closure.closure(self._scaler),
            forced=self._forced.closure(self._scaler) if self._forced.exists else None,
            plans=self._plans.table(),
            seasons=self._seasons.table(),
            warm=self.warm,
            fit=(self._heuristic.level, self._heuristic.slope),
            spend_level=self._spend.value,
            silence_signals=self._silence_signals.learned(),
        )

    def dump(self) -> dict[str, Any]:
        """Return everything needed to continue learning bit for bit, as JSON values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "features": list(FEATURES),
            "horizon_days": self.steps.horizon,
            "configuration": asdict(self.chosen),
            "labels": self.labels,
            "loss": self._loss,
            "prior_loss": self._prior_loss,
            "pace": self._pace,
            "days": [self._first_day, self._last_day] if self.labels else None,
            "scaler": self._scaler.dump(),
            "silence": self._silence.dump(),
            "closure": self._closure.logistic.dump(),
            "forced": self._forced.logistic.dump(),
            "heuristic": self._heuristic.dump(),
            "plans": self._plans.dump(),
            "seasons": self._seasons.dump(),
            "spend_level": self._spend.dump(),
            "silence_signals": self._silence_signals.dump(),
            "closure_signals": self._closure.effects.dump(),
            "forced_signals": self._forced.effects.dump(),
        }

    def _restore_silence(self, state: dict[str, Any]) -> None:
        """Put back what is known of silence; in the first states another regression knew it."""
        if "information" in state:
            self._silence.restore(state)
            return
        former = Logistic(INPUTS)
        former.restore(state)
        self._silence.take_over(former.linear(self._scaler))

    @classmethod
    def load(cls, state: dict[str, Any], chosen: Configuration | None = None) -> ChurnModel:
        """Restore what `dump` returned; ``chosen`` is how it learns from now on, if another way.

        Raises
        ------
        ModelStateError
            The state is of another format, version or set of features.
        """
        found = (state.get("format"), state.get("version"), state.get("features"))
        # Those of former builds came first, and of those behind them they knew nothing.
        known = list(FEATURES[: len(state.get("features") or FEATURES)])
        if found != (FORMAT, VERSION, known) or len(known) < _FORMERLY:
            msg = f"cannot load model state: format, version, features are {found}"
            raise ModelStateError(msg)
        # The first states of this version name no configuration: there was one only.
        former = Configuration(**state.get("configuration", {}))
        model = cls(state["horizon_days"], chosen or former)
        model.labels, model._pace = state["labels"], state["pace"]
        model._loss, model._prior_loss = state["loss"], state["prior_loss"]
        if state["days"]:
            model._first_day, model._last_day = state["days"]
        model._scaler.restore(state["scaler"])
        model._restore_silence(state["silence"])
        model._closure.logistic.restore(state["closure"])
        if "heuristic" in state:  # not in the first states of this version
            model._heuristic.restore(state["heuristic"])
        model._plans.restore(state["plans"], max(model._last_day, 0.0))
        if model.chosen.seasons:
            model._seasons.restore(state["seasons"])
        if "spend_level" in state:  # not in the first states of this version
            model._spend.restore(state["spend_level"])
        model._silence_signals.restore(state.get("silence_signals", {}))
        model._closure.effects.restore(state.get("closure_signals", {}))
        if "forced" in state:  # nor was a way of closing told from the other
            model._forced.logistic.restore(state["forced"])
            model._forced.effects.restore(state["forced_signals"])
        return model


def heuristic(features: Floats, steps: Steps) -> Floats:
    """Return (n,) probabilities of silence that need no training, for (n, F) features."""
    return _clipped(1.0 / (1.0 + np.exp(-prior(MANY, _facts(features), steps))))


def _in_chunks(score: Callable[[Floats], Floats], features: Floats) -> Floats:
    if len(features) <= _CHUNK:
        return score(features)
    starts = range(0, len(features), _CHUNK)
    return np.concatenate([score(features[start : start + _CHUNK]) for start in starts])


def _facts(features: Floats) -> Facts[Floats]:
    """Return the columns that the formulas read; contiguous, so that bits do not vary."""
    return Facts(*[features[:, j].copy() for j in _FACTS])


def _sum(linear: Linear, first: int, values: list[Any]) -> Floats | float:
    """Sum shares in the inputs' order, which no row count changes."""
    total: Floats | float = 0.0
    for j, value in enumerate(values, first):
        total = total + linear.share(j, value)
    return total


def _clipped(p: Floats) -> Floats:
    return np.minimum(np.maximum(p, CLIP), 1.0 - CLIP)


def log_loss(p: float, y: int) -> float:
    """Return -ln of the probability given to the outcome, clipped at `CLIP`."""
    return -math.log(max(p if y else 1 - p, CLIP))


def _sigmoid(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(log_odds, -50.0), 50.0)))
