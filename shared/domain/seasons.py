"""What the season adds to the odds of silence."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SEASONS: Final = 13
_YEAR: Final = 365.25


class Seasons:
    """Effect of each four weeks of the year, learned once a whole horizon has been seen.

    In the first year a season only keeps its own weeks from moving the level of the others; after
    that it is what to expect.

    Parameters
    ----------
    prior
        Information that a season has to gather before half of it is believed, as a share of the
        labels in a horizon.

    """

    def __init__(self, prior: float) -> None:
        self._prior = prior
        self._effects = [0.0] * _SEASONS
        self._seen = [0.0] * _SEASONS

    def effect(self, season: int) -> float:
        """Return the log odds that a season adds."""
        return self._effects[season]

    def learn(self, season: int, gradient: float, information: float, pace: float) -> None:
        """Move a season; ``pace`` is the number of labels in a horizon."""
        self._seen[season] += information
        self._effects[season] -= gradient / (self._prior * pace + self._seen[season])

    def table(self) -> Floats:
        """Return the effects (13,)."""
        return np.array(self._effects)

    def dump(self) -> list[list[float]]:
        """Return the state as JSON values."""
        return [self._effects[:], self._seen[:]]

    def restore(self, state: list[list[float]]) -> None:
        """Put back what `dump` returned."""
        self._effects, self._seen = state[0][:], state[1][:]


def seasons(day: Floats) -> NDArray[np.int64]:
    """Return the season (0-12) of each of (n,) days since 1970."""
    return ((day % _YEAR) / _YEAR * _SEASONS).astype(np.int64)
