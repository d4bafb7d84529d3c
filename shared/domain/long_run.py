"""What became of customers who stood alike, in the long run: silence over the whole horizon.

Customers on a plan often come and go together, by its calendar. What follows them closely
(`shared.domain.churn`) is right while this run of a plan is like the one before, and far too sure
where it is not: a thousand customers of one course are one observation of its calendar. So a share
of what is said of customers on plans comes from here (a linear opinion pool: Stone 1961): tables of
outcomes that know nothing of today's level and of the calendar, and forget nothing.

Each cell (recency and tenure, recency and visits, ...) has an effect in log odds beside those of
the heuristic. All cells of a customer share in explaining an outcome; each moves by its own
information and is shrunk to nothing where it has seen little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.calendars import VISITS
from shared.domain.features import FEATURES, Floats
from shared.domain.hazard import Steps, facts_of, prior
from shared.domain.logistic import information, sigmoid
from shared.domain.losses import MEMORY, MIN_LABELS, log_loss

Ints = NDArray[np.int64]

#: Where one part ends and the next begins: of recency and tenure, in horizons, and of the
#: heuristic's log odds.
_RECENCY: Final = (
    0.03, 0.07, 0.1, 0.15, 0.2, 0.25, 0.33, 0.42, 0.5, 0.6, 0.75, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75,
    2.0, 2.5, 3.0, 4.0, 6.0, 10.0,
)  # fmt: skip
_TENURE: Final = (
    0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0,
    13.0, 17.0, 24.0,
)  # fmt: skip
_ODDS: Final = np.arange(-4.0, 4.1, 0.5)
_FAMILIES: Final = 64  # families of plans whose codes leave the same remainder share cells
_R, _T, _V, _O = (len(each) + 1 for each in (_RECENCY, _TENURE, VISITS, _ODDS))
#: Whoever was never active has cells of their own.
_EVER: Final = 2

#: How many parts there are of what tells cells apart: ever active, recency, tenure, visits, odds,
#: family.
_SIZES: Final = (_EVER, _R, _T, _V, _O, _FAMILIES)
#: By which of them, in their order, each table does.
_TABLES: Final = ((0,), (0, 1, 2), (0, 1, 3), (0, 2, 3), (0, 1, 4), (0, 1, 5))
_CELLS: Final = [math.prod(_SIZES[part] for part in table) for table in _TABLES]
_FIRST: Final = [sum(_CELLS[:number]) for number in range(len(_TABLES))]

_PRIOR: Final = 5.0  # information that a cell has to gather before half of it is believed
_STEP: Final = 0.5  # of Newton's: as all six explain the same outcome, whole ones go too far

_COLUMNS: Final = [FEATURES.index(name) for name in ("recency", "tenure", "visits", "family")]
_PLAN: Final = FEATURES.index("plan")


class LongRun:
    """Learns whether customers on plans were silent over a whole horizon.

    Parameters
    ----------
    steps
        How the horizon is cut.

    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        size = sum(_CELLS)
        self._effects, self._seen = [0.0] * size, [0.0] * size
        self._labels = 0
        self._losses = [0.0, 0.0]  # discounted: its own, and the heuristic's
        self._frozen: Floats | None = None  # the effects, until more is learned

    @property
    def warm(self) -> bool:
        """Whether it has beaten the heuristic on labels that it had not seen."""
        own, heuristic = self._losses
        return self._labels >= MIN_LABELS and own < heuristic

    def learn(self, features: Floats, silent: list[bool]) -> None:
        """Learn labels (n, F) whose horizon is over, in their order; those without a plan not."""
        which = np.flatnonzero(features[:, _PLAN])
        if not len(which):
            return
        self._frozen = None
        some = features[which]
        keys, start = _keys(some, self._steps)
        rows = np.column_stack(keys).tolist()
        outcomes = [silent[n] for n in which.tolist()]
        effects, seen = self._effects, self._seen
        own, heuristic = self._losses
        for cells, odds, y in zip(rows, start.tolist(), outcomes, strict=True):
            p = sigmoid(odds + sum([effects[cell] for cell in cells]))
            own = MEMORY * own + log_loss(p, y)
            heuristic = MEMORY * heuristic + log_loss(sigmoid(odds), y)
            told, step = information(p), _STEP * (y - p)
            for cell in cells:
                known = seen[cell] = seen[cell] + told
                effects[cell] += step / (_PRIOR + known)
        self._losses = [own, heuristic]
        self._labels += len(outcomes)

    def table(self, share: float) -> LongRunTable | None:
        """Return a frozen copy; None before it is better than the heuristic."""
        if not self.warm or not share:
            return None
        if self._frozen is None:
            self._frozen = np.array(self._effects)
        return LongRunTable(self._steps, self._frozen, share)

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            "effects": self._effects[:],
            "seen": self._seen[:],
            "labels": self._labels,
            "losses": self._losses,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `dump` returned."""
        self._frozen = None
        self._effects, self._seen = state["effects"][:], state["seen"][:]
        self._labels, self._losses = state["labels"], state["losses"]


@dataclass(frozen=True)
class LongRunTable:
    """`LongRun` at one moment.

    Attributes
    ----------
    steps
        How the horizon is cut.
    effects
        Of all cells, table by table.
    share
        What of a probability comes from here.

    """

    steps: Steps
    effects: Floats
    share: float

    def pooled(self, silent: Floats, features: Floats) -> Floats:
        """Return (n,) probabilities of silence, those (n,) of another among them."""
        return (1.0 - self.share) * silent + self.share * self.predict(features)

    def predict(self, features: Floats) -> Floats:
        """Return (n,) probabilities of silence over the horizon for (n, F) features."""
        keys, odds = _keys(features, self.steps)
        for key in keys:
            odds += self.effects[key]
        found: Floats = 1.0 / (1.0 + np.exp(-odds))
        return found


def _keys(features: Floats, steps: Steps) -> tuple[list[Ints], Floats]:
    """Return the cells (n,) of customers in each table, and the heuristic's log odds (n,)."""
    recency, tenure, visits, family = (features[:, column] for column in _COLUMNS)
    odds = prior(facts_of(features), steps)
    parts = (
        (visits > 0.0).astype(np.int64),
        np.searchsorted(_RECENCY, recency / steps.horizon, side="right"),
        np.searchsorted(_TENURE, tenure / steps.horizon, side="right"),
        np.searchsorted(VISITS, visits, side="right"),
        np.searchsorted(_ODDS, odds, side="right"),
        family.astype(np.int64) % _FAMILIES,
    )
    return [_key(table, first, parts) for table, first in zip(_TABLES, _FIRST, strict=True)], odds


def _key(table: tuple[int, ...], first: int, parts: tuple[Ints, ...]) -> Ints:
    key = parts[table[0]]
    for part in table[1:]:
        key = key * _SIZES[part] + parts[part]
    return first + key
