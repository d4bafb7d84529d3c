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
    memory
        Half-life of what is known of silence, in horizons.
    level_days
        Half-life of what is known of its level, in days.
    cells
        Information that a cell of a plan's calendar has to gather before half of it is believed.
    seasons
        Whether the season adds to the odds of silence.

    """

    memory: float = 1.0
    level_days: float = 7.0
    cells: float = 5.0
    seasons: bool = True

    def __str__(self) -> str:
        """Return it as people read it."""
        seasons = "with" if self.seasons else "without"
        return (
            f"memory {self.memory:g} horizons, level {self.level_days:g} days, "
            f"cells {self.cells:g}, {seasons} seasons"
        )


#: What a deployment begins with (docs/model.md, "How the configuration was chosen").
CHAMPION: Final = Configuration()
#: What learns beside it in the shadow: no seasons, which were better on some data sets and worse on
#: others (docs/model.md, "Champion and challenger").
CHALLENGER: Final = Configuration(seasons=False)
