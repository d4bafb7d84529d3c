"""How a churn model learns: what of it no single data set decides.

`docs/model.md` ("How the configuration was chosen") tells what each was tried with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Configuration:
    """What a `ChurnModel` is set up with; part of its state.

    Attributes
    ----------
    rate
        Learning rate where both outcomes are certain to differ (variance 1).
    level
        The intercept learns so much faster than the weights.
    cells
        Information that a cell of a plan's calendar has to gather before half of it is believed.
    seasons
        Whether the season adds to the odds of silence.

    """

    rate: float = 3e-4
    level: float = 1.4
    cells: float = 5.0
    seasons: bool = True

    def __str__(self) -> str:
        """Return it as people read it."""
        seasons = "with" if self.seasons else "without"
        return f"rate {self.rate:g}, level {self.level:g}, cells {self.cells:g}, {seasons} seasons"


#: What a deployment begins with: the best over all data sets together.
CHAMPION: Final = Configuration()
#: What learns beside it in the shadow: the best on each of several data sets, and unlike it in most
#: respects (docs/model.md, "Champion and challenger").
CHALLENGER: Final = Configuration(rate=1e-4, level=2.0, seasons=False)
