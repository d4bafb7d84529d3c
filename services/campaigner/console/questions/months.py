"""The base over time, and the cash that is to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.campaigner.console.parts import Parts
from shared.domain.base_book import MonthsBy, month_of
from shared.domain.base_cash import Cash, cash
from shared.domain.base_months import Part, parts

#: Months of each part that are shown, and months ahead.
SHOWN: Final = 12
AHEAD: Final = 6


@dataclass(frozen=True)
class Months:
    """What a part of the base did in its last months, by part, and what stages will spend."""

    parts: list[Part]
    cash: list[Cash]


def months(of: Parts, by: MonthsBy) -> Months:
    """Return the last months of each part, and the cash of the next ones."""
    until = month_of(of.queries.now())
    found = [
        Part(each.name, each.months[-SHOWN:]) for each in parts(of.queries.base.cells(by), until)
    ]
    horizon = of.settings.policy().horizon_days
    return Months(found, cash(of.queries.members(), "stage", horizon, AHEAD))
