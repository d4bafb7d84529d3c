"""The thresholds of the lifecycle: what a deployment says for all customers, and for a market.

Every scorer must agree on them at every place of the log, so they are no settings of a process:
a control event carries them, and they hold from its place on.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from shared.domain.features import DAY_MS, Rows

Numbers = float | NDArray[np.float64]
Days = Annotated[float, Meta(gt=0, le=730)]
Ratio = Annotated[float, Meta(gt=0, le=10)]
Share = Annotated[float, Meta(gt=0, le=1)]
Margin = Annotated[float, Meta(ge=0, le=1)]

#: Markets that may have thresholds of their own: a customer's row names one in a byte.
MOST_MARKETS: Final = 255


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """Where one stage ends and another begins.

    Attributes
    ----------
    onboarding_days, growth_days
        Age below which a customer is being on-boarded; age below which it still grows.
    growth_ratio, decline_ratio
        Visits of the last 30 days against what the customer's own last 90 days lead one to
        expect: at or over the first it grows, below the second it declines.
    ratio_hysteresis
        How far the ratio must come back for a customer to grow no more, or to recover.
    decline_risk, risk_hysteresis
        Risk at which a customer declines, and how far it must fall below to recover.
    dormant_rhythms
        Silence, in mean gaps between visits, after which a customer is dormant.

    """

    onboarding_days: Days = 21.0
    growth_days: Days = 90.0
    growth_ratio: Ratio = 1.25
    decline_ratio: Ratio = 0.5
    ratio_hysteresis: Margin = 0.15
    decline_risk: Share = 0.6
    risk_hysteresis: Margin = 0.1
    dormant_rhythms: Annotated[float, Meta(gt=0, le=100)] = 4.0

    def __post_init__(self) -> None:
        """Refuse thresholds that contradict each other."""
        if self.growth_days < self.onboarding_days:
            raise ValueError("growth_days must be at least onboarding_days")
        if self.decline_ratio + self.ratio_hysteresis > self.growth_ratio - self.ratio_hysteresis:
            raise ValueError(
                "decline_ratio + ratio_hysteresis must be at most growth_ratio - ratio_hysteresis, "
                "or a customer would decline and grow at once"
            )
        if self.risk_hysteresis >= self.decline_risk:
            raise ValueError("risk_hysteresis must be below decline_risk, or nobody recovers")


class Limits(Struct, frozen=True):
    """Thresholds of n customers: a number for all of them, or (n,) where markets differ."""

    onboarding_ms: Numbers
    growth_ms: Numbers
    growth_ratio: Numbers
    decline_ratio: Numbers
    ratio_hysteresis: Numbers
    decline_risk: Numbers
    risk_hysteresis: Numbers
    dormant_rhythms: Numbers


class LifecycleThresholds(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The thresholds in force.

    Attributes
    ----------
    version
        Of several, the one with the highest version holds; 0 are the built-in ones.
    default
        Of customers whose market has none of its own.
    markets
        Those of the markets that differ; a row's ``market`` counts them from 1, in this order.

    """

    version: Annotated[int, Meta(ge=0)] = 0
    default: Thresholds = Thresholds()
    markets: Annotated[dict[str, Thresholds], Meta(max_length=MOST_MARKETS)] = {}

    def code(self, market: str | None) -> int:
        """Return what a row's ``market`` is for a customer of that market."""
        return self._codes.get(market, 0)

    def of(self, rows: Rows) -> Limits:
        """Return the thresholds of the customers of rows (n,)."""
        if not self.markets:
            return self._limits[0]
        columns, market = self._columns, rows["market"]
        return Limits(*(column[market] for column in columns))

    @cached_property
    def _codes(self) -> dict[str | None, int]:
        return {market: code for code, market in enumerate(self.markets, start=1)}

    @cached_property
    def _limits(self) -> list[Limits]:
        return [_limits(each) for each in (self.default, *self.markets.values())]

    @cached_property
    def _columns(self) -> list[NDArray[np.float64]]:
        names = Limits.__struct_fields__
        return [np.array([getattr(each, name) for each in self._limits]) for name in names]


def _limits(thresholds: Thresholds) -> Limits:
    return Limits(
        thresholds.onboarding_days * DAY_MS,
        thresholds.growth_days * DAY_MS,
        *(getattr(thresholds, name) for name in Limits.__struct_fields__[2:]),
    )
