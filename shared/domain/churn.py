"""The churn model, which learns one label at a time; `shared.domain.churn_scorer` scores by it.

Two outcomes are learned apart, each for one step of the horizon (see `shared.domain.hazard`):
silence, and an account closed. While silence is learned worse than by the heuristic of
`shared.domain.hazard`, by measured prequential log loss, the heuristic is what is served. It is
measured and served as fitted to the labels so far: as it is, it ranks well and is far too sure, so
that a regression that knows the base rate and nothing else would beat it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.calendars import Place, Plans, Seasons
from shared.domain.churn_scorer import CLIP, Scorer
from shared.domain.closing import Closing
from shared.domain.configuration import CHAMPION, Configuration
from shared.domain.features import FEATURES
from shared.domain.hazard import FACTS, INPUTS, PRIOR, Facts, Steps, inputs
from shared.domain.logistic import Calibrated, Logistic, Scaler
from shared.domain.recursive import Recursive
from shared.domain.signals import Effects, Present, present
from shared.domain.signs import SIGNS
from shared.domain.value import SpendLevel, unscaled_spend

Floats = NDArray[np.float64]

FORMAT: Final = "tenure.churn"
VERSION: Final = 2

MEMORY: Final = 0.999  # discount of the losses that choose between model and heuristic
MIN_LABELS: Final = 100  # fewer say nothing about which is better
HORIZON_DAYS: Final = 28.0
_LEAST_INFORMATION: Final = 1e-3
#: Features in the first states of this version, which knew of no signs.
_FORMERLY: Final = len(FEATURES) - len(SIGNS)
_PLAN, _FAMILY, _OWN, _DAY = (
    FEATURES.index(name) for name in ("plan", "family", "plan_days", "day")
)


class ModelStateError(ValueError):
    """A model state that this code cannot go on from: unknown format, features, configuration."""


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
        level_memory = chosen.level_days / horizon_days
        self._silence = Recursive(INPUTS, PRIOR, chosen.memory, level_memory)
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

    def learn(self, x: Floats, silent: int, closed: int = 0, involuntary: int = 0) -> None:
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
        """
        values: list[float] = x.tolist()
        facts, day = Facts(*[values[j] for j in FACTS]), values[_DAY]
        self._keep_pace(day)
        derived = inputs(facts, self.steps)
        scaled = self._scaler.learn(derived)
        place, found = self._place(values, facts), present(values, self.steps.length)
        x = self._silence.of(scaled, self._scaler)
        self._learn_silence(x, silent, day, place, found, active=facts.visits > 0)
        self._learn_heuristic(derived[PRIOR], silent)
        self._closure.learn(scaled, closed - involuntary, found, self._pace)
        self._forced.learn(scaled, involuntary, found, self._pace)
        self.labels += 1

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
        expected = unscaled_spend(x, silent, self.steps.horizon)
        self._spend.learn(float(expected), realised, float(x[_DAY]))

    def _learn_silence(
        self,
        x: Floats,
        y: int,
        day: float,
        place: Place | None,
        found: Present,
        *,
        active: bool,
    ) -> None:
        middle = day + self.steps.length / 2.0
        offset = self._seasons.effect(middle)
        offset += self._plans.effect(place) if place else 0.0
        odds = self._silence.log_odds(x) + offset
        p = _sigmoid(odds + self._silence_signals.log_odds(found))
        self._loss = MEMORY * self._loss + log_loss(p, y)
        self._silence.learn(x, y, p, self._pace)
        information = max(p * (1 - p), _LEAST_INFORMATION)
        if place:
            self._plans.learn(place, p - y, information)
        if self._silence_signals.concerns(found):
            self._silence_signals.learn(found, odds, y)
        # Whoever has not come yet says nothing of when people come; where a stream begins with
        # prospects, they would make a season of it, which is back a year later.
        if self.chosen.seasons and active and day > self._first_day + self.steps.horizon:
            self._seasons.learn(middle, p - y, information, self._pace)

    def _learn_heuristic(self, odds: float, y: int) -> None:
        p = _sigmoid(self._heuristic.log_odds(odds))
        self._prior_loss = MEMORY * self._prior_loss + log_loss(p, y)
        self._heuristic.learn(odds, p - y, max(p * (1 - p), _LEAST_INFORMATION))

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
            usual=self._silence.usual(self._scaler),
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
            The state is of another format, version, set of features or way of learning.
        """
        found = (state.get("format"), state.get("version"), state.get("features"))
        # Those of former builds came first, and of those behind them they knew nothing.
        known = list(FEATURES[: len(state.get("features") or FEATURES)])
        if found != (FORMAT, VERSION, known) or len(known) < _FORMERLY:
            msg = f"cannot load model state: format, version, features are {found}"
            raise ModelStateError(msg)
        model = cls(state["horizon_days"], chosen or configuration_of(state))
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


def configuration_of(state: dict[str, Any]) -> Configuration:
    """Return how a dumped model learns.

    Raises
    ------
    ModelStateError
        It learns in a way that this code does not know.
    """
    # The first states of this version name no configuration: there was one only.
    found = state.get("configuration", {})
    if "level" in found:  # in steps once, and chosen with the memory of then: today's hold for both
        found = {name: found[name] for name in ("cells", "seasons")}
    unknown = found.keys() - {each.name for each in fields(Configuration)}
    if unknown:
        msg = f"cannot load model state: its configuration has {', '.join(sorted(unknown))}"
        raise ModelStateError(msg)
    return Configuration(**found)


def log_loss(p: float, y: int) -> float:
    """Return -ln of the probability given to the outcome, clipped at `CLIP`."""
    return -math.log(max(p if y else 1 - p, CLIP))


def _sigmoid(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(log_odds, -50.0), 50.0)))
