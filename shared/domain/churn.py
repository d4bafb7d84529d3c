"""The churn model: silence, learned label by label; `shared.domain.churn_scorer` scores by it.

What is learned is the chance of silence over one step of the horizon (see `shared.domain.hazard`);
an account closed is learned apart, in `shared.domain.groundwork`. While silence is learned worse
than by the heuristic of `shared.domain.hazard`, by measured prequential log loss, the heuristic is
what is served. It is measured and served as fitted to the labels so far: as it is, it ranks well
and is far too sure, so that a regression that knows the base rate and nothing else would beat it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any, Final

from shared.domain.calendars import Cells, effect
from shared.domain.churn_scorer import Scorer
from shared.domain.configuration import CHAMPION, Configuration
from shared.domain.features import FEATURES, Floats
from shared.domain.groundwork import Groundwork, Labels
from shared.domain.hazard import INPUTS, PRIOR, Steps
from shared.domain.logistic import Logistic, information, sigmoid
from shared.domain.losses import MEMORY, MIN_LABELS, log_loss
from shared.domain.recursive import Recursive
from shared.domain.seasons import Seasons
from shared.domain.signals import Effects
from shared.domain.signs import SIGNS
from shared.domain.value import SpendLevel, unscaled_spend

FORMAT: Final = "tenure.churn"
VERSION: Final = 2

HORIZON_DAYS: Final = 28.0
#: Features in the first states of this version, which knew of no signs.
_FORMERLY: Final = len(FEATURES) - len(SIGNS)
_DAY: Final = FEATURES.index("day")


class ModelStateError(ValueError):
    """A model state that this code cannot go on from: unknown format, features, configuration."""


class ChurnModel:
    """Learns silence, a step of the horizon at a time.

    Parameters
    ----------
    horizon_days
        H.
    chosen
        How it learns.
    beside
        A model that learns the same labels: the groundwork is then that model's.

    Attributes
    ----------
    groundwork
        What is learned whatever the configuration, closed accounts among it.

    Examples
    --------
    ``model.learn(model.groundwork.take(features, silent, closed, involuntary))``

    """

    def __init__(
        self,
        horizon_days: float = HORIZON_DAYS,
        chosen: Configuration = CHAMPION,
        beside: ChurnModel | None = None,
    ) -> None:
        self.chosen = chosen
        ground = beside.groundwork if beside else Groundwork(Steps.of(horizon_days))
        self.groundwork: Groundwork = ground
        self._silence = Recursive(INPUTS, PRIOR, chosen, self.steps.horizon)
        self._cells = Cells(chosen.cells)
        self._seasons = Seasons(chosen.season_prior)
        self._signals = Effects()
        self._spend = SpendLevel()
        self._loss = 0.0  # discounted log loss

    @property
    def steps(self) -> Steps:
        """How the horizon is cut."""
        return self.groundwork.steps

    @property
    def labels(self) -> int:
        """Labels learned so far."""
        return self.groundwork.labels

    @property
    def warm(self) -> bool:
        """Whether the learner has beaten the heuristic on labels that it had not seen."""
        return self.labels >= MIN_LABELS and self._loss < self.groundwork.loss

    @property
    def losses(self) -> tuple[float, float]:
        """Discounted mean log losses of the learner and of the heuristic; NaN without labels."""
        weight = (1 - MEMORY**self.labels) / (1 - MEMORY)
        heuristic = self.groundwork.loss
        return (self._loss / weight, heuristic / weight) if weight else (math.nan, math.nan)

    def learn(self, labels: Labels) -> None:
        """Learn what the groundwork has taken."""
        silence, signals, seasons = self._silence, self._signals, self._seasons
        x = silence.of(labels.inputs)
        known = zip(
            x,
            x[:, :, None] * x[:, None, :],
            silence.kept(labels.pace),
            labels.silent,
            labels.season,
            labels.tells_season,
            labels.place,
            labels.signals,
            labels.pace.tolist(),
            strict=True,
        )
        for one, square, kept, y, season, tells_season, place, found, pace in known:
            cells = self._cells.meet(place) if place else []
            odds = silence.log_odds(one) + seasons.effect(season) + effect(cells)
            p = sigmoid(odds + signals.log_odds(found))
            self._loss = MEMORY * self._loss + log_loss(p, y)
            silence.learn(one, square, y, p, kept)
            told = information(p)
            self._cells.learn(cells, p - y, told)
            if signals.concerns(found):
                signals.learn(found, odds, y)
            if tells_season and self.chosen.seasons:
                seasons.learn(season, p - y, told, pace)

    def learn_spend(self, features: Floats, silent: Floats, realised: list[float]) -> None:
        """Learn what was spent over horizons that have ended.

        Parameters
        ----------
        features
            (n, F) stored at the snapshots.
        silent
            (n,) probabilities of silence predicted then.
        realised
            (n,) in the reporting currency.

        """
        expected = unscaled_spend(features, silent, self.steps.horizon).tolist()
        for one, spent, day in zip(expected, realised, features[:, _DAY].tolist(), strict=True):
            self._spend.learn(one, spent, day)

    def scorer(self) -> Scorer:
        """Return a frozen copy of what the model knows now."""
        ground = self.groundwork
        return Scorer(
            steps=self.steps,
            silence=self._silence.linear(ground.scaler),
            usual=self._silence.usual(ground.scaler),
            left=self.chosen.left,
            closure=ground.closure.closure(ground.scaler),
            forced=ground.forced.closure(ground.scaler) if ground.forced.exists else None,
            plans=self._cells.table(ground.plans),
            seasons=self._seasons.table(),
            warm=self.warm,
            fit=(ground.heuristic.level, ground.heuristic.slope),
            spend_level=self._spend.value,
            silence_signals=self._signals.learned(),
            long_run=ground.long_run.table(self.chosen.long_run),
        )

    def dump(self) -> dict[str, Any]:
        """Return everything needed to continue learning bit for bit, as JSON values."""
        ground = self.groundwork.dump()
        return {
            "format": FORMAT,
            "version": VERSION,
            "features": list(FEATURES),
            "horizon_days": self.steps.horizon,
            "configuration": asdict(self.chosen),
            **ground,
            "plans": ground["plans"] | self._cells.dump(),
            "loss": self._loss,
            "silence": self._silence.dump(),
            "seasons": self._seasons.dump(),
            "spend_level": self._spend.dump(),
            "silence_signals": self._signals.dump(),
        }

    @classmethod
    def load(
        cls,
        state: dict[str, Any],
        chosen: Configuration | None = None,
        beside: ChurnModel | None = None,
    ) -> ChurnModel:
        """Restore what `dump` returned.

        Parameters
        ----------
        state
            The dump.
        chosen
            How it learns from now on, if another way.
        beside
            A model that has learned the same labels, and whose groundwork is shared from now on.

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
        model = cls(state["horizon_days"], chosen or configuration_of(state), beside)
        if beside is None:
            model.groundwork.restore(state)
        model._loss = state["loss"]
        model._restore_silence(state["silence"])
        model._cells.restore(state["plans"])
        if model.chosen.seasons:
            model._seasons.restore(state["seasons"])
        if "spend_level" in state:  # not in the first states of this version
            model._spend.restore(state["spend_level"])
        model._signals.restore(state.get("silence_signals", {}))
        return model

    def _restore_silence(self, state: dict[str, Any]) -> None:
        """Put back what is known of silence; in the first states another regression knew it."""
        if "information" in state:
            self._silence.restore(state)
            return
        former = Logistic(INPUTS)
        former.restore(state)
        self._silence.take_over(former.linear(self.groundwork.scaler))


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
