"""How a churn model learns: what of it no single data set decides.

`docs/model.md` ("How the configuration was chosen") tells what each was tried with.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
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
    belief
        Precision of what is believed of a weight at first, in labels' information; it is forgotten.
    pull
        The same of every weight but the one believed, never forgotten.
    level_pull
        The same of the level.
    usual
        Half-life of the average of what was known, in horizons.
    left
        How much of what sets today apart from that average is left a step further ahead.
    season_prior
        Information that a season has to gather before half of it is believed, as a share of the
        labels in a horizon.
    long_run
        Share of what is said of customers on plans that comes from `shared.domain.long_run`.

    """

    memory: float = 1.0
    level_days: float = 7.0
    cells: float = 5.0
    seasons: bool = True
    belief: float = 1000.0
    pull: float = 30.0
    level_pull: float = 0.1
    usual: float = 0.75
    left: float = 0.9
    season_prior: float = 0.1
    long_run: float = 0.5

    def __str__(self) -> str:
        """Return it as people read it: of what hardly anybody changes, what was changed."""
        seasons = "with" if self.seasons else "without"
        rest = (each for each in fields(self)[_ALWAYS:] if getattr(self, each.name) != each.default)
        return ", ".join(
            [
                f"memory {self.memory:g} horizons",
                f"level {self.level_days:g} days",
                f"cells {self.cells:g}",
                f"{seasons} seasons",
                *(f"{each.name.replace('_', ' ')} {getattr(self, each.name):g}" for each in rest),
            ]
        )


_ALWAYS: Final = 4  # fields that are always told


#: What a deployment begins with (docs/model.md, "How the configuration was chosen").
CHAMPION: Final = Configuration()
#: What learns beside it in the shadow: no seasons, which were better on some data sets and worse on
#: others (docs/model.md, "Champion and challenger").
CHALLENGER: Final = Configuration(seasons=False)
