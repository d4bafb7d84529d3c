"""What signs of leaving add to log odds: derived a step at a time, and learned as effects.

Signs are rare, and most customers have none, so they are no inputs of the regression: an effect for
each signal is learned from those alone who have it, and is given to the regressions as an
offset, as that of a calendar is. A customer without signs costs nothing, and where nobody has
any the figures are what they were, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.features import FEATURES, Floats
from shared.domain.logistic import information, sigmoid
from shared.domain.signs import MONTH_DAYS, NEAR_LIMIT, SIGNS, UNUSED, rating_of

#: What signs add to, for one step.
SIGNALS: Final = (
    "complained",  # the number of complaints, halved for every month since the last
    "payments_failed",
    "overdue",
    "overdue_long",  # for a month or more
    "notice",  # given, and nobody knows when it ends
    "notice_waits",  # given, and ends after the step
    "notice_ends",  # given, and ends within the step
    "contract_ends",  # within the step, without a notice
    "low_rating",  # how far the newest rating is below a passive one
    "near_limit",
    "unused",
)
#: The first of `SIGNALS` pass; the first ones may come to anybody at any time.
_PASSING: Final = 4
_COMING: Final = 7

_FIRST: Final = len(FEATURES) - len(SIGNS)
#: A rating of 7 or 8 is a passive one (Reichheld 2003, "The one number you need to grow").
_PASSIVE: Final = 7.5
#: What ratings are divided by, so that the signal is of the order of 1.
_RATINGS: Final = 2.5
_LOG2: Final = 0.6931471805599453

#: Variance of what is believed of an effect at first.
_DOUBT: Final = 1.0
#: So many labels are remembered (with a signal; of the level, all).
_REMEMBERED: Final = 2000.0

#: Discount of the sums by which average customers are compared with those without signals.
_MEMORY: Final = 0.9998
#: In a dump, beside the signals' names.
_LEVEL: Final = "level"

#: (number of the signal, its value), of those that are not 0.
Present = list[tuple[int, float]]


@dataclass
class Signs:
    """The signs of customers, (n,) each; in the order of `signs.SIGNS`."""

    complaints: Floats
    complained: Floats
    rating: Floats
    payments_failed: Floats
    overdue: Floats
    notice: Floats
    ends: Floats
    used: Floats


def signals(signs: Signs, ahead: float, length: float) -> list[Floats]:
    """Return the values of `SIGNALS` for the step of ``length`` days that starts ``ahead`` on."""
    left = signs.ends - (1.0 + ahead)  # whole days from the step's start to the contract's end
    ends = (signs.ends > 0.0) * ((left >= 0.0) * (left < length) * 1.0)
    waits = (signs.ends > 0.0) * ((left >= length) * 1.0)
    share = (signs.used - 1.0) / 100.0
    told = np.minimum(signs.used, 1.0)
    return [
        np.log(1.0 + signs.complaints) / _LOG2 * 0.5 ** (signs.complained / MONTH_DAYS),
        np.log(1.0 + signs.payments_failed) / _LOG2,
        np.minimum(signs.overdue, 1.0),
        (signs.overdue > MONTH_DAYS) * 1.0,
        signs.notice * (1.0 - ends - waits),
        signs.notice * waits,
        signs.notice * ends,
        (1.0 - signs.notice) * ends,
        np.minimum(signs.rating, 1.0) * (_PASSIVE - rating_of(signs.rating)) / _RATINGS,
        told * (share >= NEAR_LIMIT),
        told * (share <= UNUSED),
    ]


_NOBODY: Final = np.empty(0, np.intp)
_NO_SIGNS: Final = Signs(*np.empty((len(SIGNS), 0)))


@dataclass(frozen=True)
class Signalled:
    """Those of some customers who have any sign.

    Attributes
    ----------
    which
        (m,) their rows.
    signs
        Their signs, (m,) each.
    length
        Days of a step.

    """

    which: NDArray[np.intp]
    signs: Signs
    length: float

    @classmethod
    def of(cls, features: Floats, length: float) -> Signalled:
        """Look for them in features (n, F)."""
        signs = features[:, _FIRST:]
        if not signs.any():
            return cls(_NOBODY, _NO_SIGNS, length)
        which = np.flatnonzero(signs.any(axis=1))
        return cls(which, Signs(*(column.copy() for column in signs[which].T)), length)

    def add_to(self, odds: Floats, learned: Learned, ahead: float) -> None:
        """Add what signals mean for the step that starts ``ahead`` days on to odds (n,).

        Complaints and debts pass, and come to others: of a later step less is known, and ever
        more it is as for an average customer.
        """
        kept = 0.5 ** (ahead / MONTH_DAYS)
        average = (1.0 - kept) * learned.average
        if learned.average != 1.0:
            odds += log(kept + average)
        if len(self.which):
            shares = self.shares(learned, ahead)
            own = sum(shares[:_PASSING])
            passing = own + np.log((kept + average * np.exp(-own)) / (kept + average))
            odds[self.which] += sum(shares[_PASSING:]) + passing

    def shares(self, learned: Learned, ahead: float) -> list[Any]:
        """Return the log odds (m,) that each signal adds."""
        values = signals(self.signs, ahead, self.length)
        return [weight * value for weight, value in zip(learned.weights, values, strict=True)]


def present(features: Floats, length: float) -> list[Present]:
    """Return the signals of each of (n, F) customers for the step that starts now."""
    found: list[Present] = [[] for _ in features]
    signalled = Signalled.of(features, length)
    if len(signalled.which):
        values = np.stack(signals(signalled.signs, 0.0, length), axis=1)
        for n, row in zip(signalled.which.tolist(), values.tolist(), strict=True):
            found[n] = [(j, value) for j, value in enumerate(row) if value]
    return found


@dataclass(frozen=True)
class Learned:
    """What `Effects` knew at one moment.

    Attributes
    ----------
    weights
        Log odds that a signal of 1 adds, for each of `SIGNALS`.
    average
        By how much the odds of an average customer are those of one without any signal that comes
        and goes.

    """

    weights: tuple[float, ...] = (0.0,) * len(SIGNALS)
    average: float = 1.0


NO_SIGNALS: Final = Learned()


class Effects:
    """Log odds that signals add to one outcome, learned a label at a time.

    An extended Kalman filter for the logistic likelihood with a diagonal covariance, from a prior
    that nothing adds anything: signals of one customer share in explaining an outcome, each by how
    little is known of it (as in Graepel et al. 2010, "Web-scale Bayesian click-through rate
    prediction"). Tens of labels tell, where a regression's common rate takes thousands.

    Beside them it learns by how much the odds are off for everybody: a regression takes long to
    find the level of a rare outcome, and what it is off by is no signal's doing.

    Attributes
    ----------
    level
        That, in log odds; 0 while nobody had a signal.

    """

    def __init__(self) -> None:
        self._weights = [0.0] * len(SIGNALS)
        self._variances = [_DOUBT] * len(SIGNALS)
        self.level, self._level_variance = 0.0, _DOUBT
        self._seen = False
        self._without, self._with = 0.0, 0.0  # sums of probabilities, discounted

    def log_odds(self, found: Present) -> float:
        """Return the log odds that signals add."""
        return sum(self._weights[j] * value for j, value in found) if found else 0.0

    def concerns(self, found: Present) -> bool:
        """Tell whether a label is to be learned: until there was a signal there is nothing to."""
        self._seen = self._seen or bool(found)
        return self._seen

    def learn(self, found: Present, odds: float, y: int) -> None:
        """Learn one label.

        Parameters
        ----------
        found
            The customer's signals, perhaps none.
        odds
            Log odds without them.
        y
            1 or 0.

        """
        odds += self.level
        p = sigmoid(odds + self.log_odds(found))
        self._compare(found, odds)
        told, variances = information(p), self._variances
        doubt = self._level_variance + sum(variances[j] * x * x for j, x in found)
        gain = 1.0 / (1.0 / told + doubt)
        step = gain * (p - y) / told
        self.level -= self._level_variance * step
        least = 1.0 / (_REMEMBERED * told)
        self._level_variance = max(
            self._level_variance * (1.0 - gain * self._level_variance), least
        )
        for j, x in found:
            pull = variances[j] * x
            self._weights[j] -= pull * step
            variances[j] = max(variances[j] - gain * pull * pull, least)

    def _compare(self, found: Present, odds: float) -> None:
        """Take in how likely the outcome is with those signals that come and go, and without."""
        came = self.log_odds([one for one in found if one[0] < _COMING])
        self._without = _MEMORY * self._without + sigmoid(odds)
        self._with = _MEMORY * self._with + sigmoid(odds + came)

    def learned(self) -> Learned:
        """Return a frozen copy of what is known now."""
        average = self._with / self._without if self._seen else 1.0
        return Learned(tuple(self._weights), average)

    def dump(self) -> dict[str, list[float]]:
        """Return everything needed to continue learning bit for bit, by the signal's name."""
        known = zip(SIGNALS, self._weights, self._variances, strict=True)
        found = {name: [weight, variance] for name, weight, variance in known}
        level = [self.level, self._level_variance, self._without, self._with]
        return found | {_LEVEL: level} if self._seen else {}

    def restore(self, state: dict[str, list[float]]) -> None:
        """Put back what `dump` returned; of a signal that was none then nothing is known."""
        self._seen = bool(state)
        self.level, self._level_variance, self._without, self._with = state.get(
            _LEVEL, (0.0, _DOUBT, 0.0, 0.0)
        )
        for j, name in enumerate(SIGNALS):
            self._weights[j], self._variances[j] = state.get(name, (0.0, _DOUBT))
