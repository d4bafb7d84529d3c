"""How likely an account is closed within a step: learned for each way of closing apart.

Customers close accounts, and operators close those of customers who do not pay: competing risks
with causes of their own. Each has a regression and effects of signals; an account stays open as
long as neither happens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from shared.domain.hazard import INPUTS
from shared.domain.logistic import Linear, Logistic, Scaler
from shared.domain.signals import NO_SIGNALS, Effects, Learned, Present

#: Fewer closed accounts do not tell who closes.
MIN_CLOSED: Final = 10


@dataclass(frozen=True)
class Closure:
    """What was known of a way of closing at one moment: log odds within a step."""

    linear: Linear
    signals: Learned = NO_SIGNALS


class Closing:
    """Learns a way of closing, a step at a time.

    Parameters
    ----------
    expected
        Whether to learn before the first account was closed so. A way of closing that most bases
        never see costs them nothing, and does not exist until it is seen.

    """

    def __init__(self, *, expected: bool) -> None:
        self.logistic = Logistic(INPUTS)
        self.effects = Effects()
        self._expected = expected

    @property
    def exists(self) -> bool:
        """Whether accounts are closed so."""
        return self._expected or self.logistic.positives > 0

    @property
    def tells(self) -> bool:
        """Whether enough accounts were closed to tell who closes."""
        return self.logistic.positives >= MIN_CLOSED

    def learn(self, scaled: dict[str, float], y: int, found: Present, pace: float) -> None:
        """Learn whether an account was closed so; ``pace`` is the number of labels in a horizon."""
        if not (y or self.exists):
            self.logistic.pass_over()
            return
        if not self.exists:
            self.logistic.begin()
        offset = self.effects.log_odds(found)
        if self.effects.concerns(found):
            self.effects.learn(found, self.logistic.log_odds(scaled), y)
        self.logistic.learn(scaled, y, offset, pace)

    def closure(self, scaler: Scaler) -> Closure:
        """Return what is known now; a mere rate until some accounts were closed.

        Untrained, a logistic regression would say one half, where most bases never see any.
        """
        if not self.tells:
            return Closure(self.logistic.level(scaler))
        found = self.logistic.linear(scaler)
        leveled = replace(found, intercept=found.intercept + self.effects.level)
        return Closure(leveled, self.effects.learned())
