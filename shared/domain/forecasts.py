"""What is said of customers, and what became of them: columns over many at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain.customer import Indices
from shared.domain.features import Floats, Millis

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Forecast:
    """What is said of n customers at a time each.

    Attributes
    ----------
    silent, closed
        (n,) probability of no activity within the horizon, and of an account closed in it.
    spend
        (n,) expected spend over the horizon.
    involuntary
        (n,) probability of an account closed in it by the operator, or with payments open.

    """

    silent: Floats
    closed: Floats
    spend: Floats
    involuntary: Floats

    @property
    def churn(self) -> Floats:
        """Probability (n,) of silence or closing, as if neither told of the other.

        Who leaves is mostly silent too; between the larger of both and their sum, this is what
        needs no third model.
        """
        return 1.0 - (1.0 - self.silent) * (1.0 - self.closed)

    @property
    def voluntary(self) -> Floats:
        """Probability (n,) of an account closed by the customer: of two, one comes first."""
        return 1.0 - (1.0 - self.closed) / (1.0 - self.involuntary)

    def where(self, which: Mask | Indices) -> Forecast:
        """Return what is said of some of the customers."""
        return Forecast(
            self.silent[which], self.closed[which], self.spend[which], self.involuntary[which]
        )


@dataclass(frozen=True)
class Outcome:
    """What became of n customers within the horizon after a time each, (n,).

    Attributes
    ----------
    silent, closed, involuntary
        No activity; an account closed; one closed by the operator, or with payments open.
    spend
        Money spent.
    visits
        Days with activity, where they were counted: at a cut.

    """

    silent: Mask
    closed: Mask
    spend: Floats
    involuntary: Mask
    visits: Floats | None = None

    @property
    def churn(self) -> Mask:
        """Whether silent or closed (n,)."""
        return self.silent | self.closed

    @property
    def voluntary(self) -> Mask:
        """Whether the customer closed the account (n,)."""
        return self.closed & ~self.involuntary

    def where(self, which: Mask | Indices) -> Outcome:
        """Return what became of some of the customers."""
        visits = None if self.visits is None else self.visits[which]
        return Outcome(
            self.silent[which],
            self.closed[which],
            self.spend[which],
            self.involuntary[which],
            visits,
        )


@dataclass(frozen=True)
class Labels:
    """Snapshots whose outcome is known, in the order in which it became known.

    Attributes
    ----------
    customer
        (n,) row of the customer.
    at, labelled_at
        (n,) when the snapshot was taken, and when its label was known.
    forecast, outcome
        What was said at ``at``, and what became true in ``(at, at + horizon]``.
    heuristic
        (n,) probability of silence by the heuristic, which needs no training.
    recent
        (n,) whether the customer was active within two horizons before ``at``.
    features
        (n, F) what the model saw at ``at``.
    challenger
        (n,) probability of silence by the challenger, where there was none by the model itself.

    """

    customer: Indices
    at: Millis
    labelled_at: Millis
    forecast: Forecast
    outcome: Outcome
    heuristic: Floats
    recent: Mask
    features: Floats
    challenger: Floats

    def where(self, which: Mask | Indices) -> Labels:
        """Return some of the labels."""
        return Labels(
            customer=self.customer[which],
            at=self.at[which],
            labelled_at=self.labelled_at[which],
            forecast=self.forecast.where(which),
            outcome=self.outcome.where(which),
            heuristic=self.heuristic[which],
            recent=self.recent[which],
            features=self.features[which],
            challenger=self.challenger[which],
        )


@dataclass(frozen=True)
class Base:
    """Every customer that is known and not closed at one time, with what is said of each.

    Attributes
    ----------
    at
        The time.
    customer
        (n,) row of the customer.
    forecast
        What is said of ``(at, at + horizon]``.
    heuristic
        (n,) probability of silence by the heuristic, which needs no training.
    recent
        (n,) whether the customer was active within two horizons before.
    features
        (n, F) what the model sees.
    spend, value
        (n,) money spent until then, and the present value of the margin to come, in the reporting
        currency.
    visits, expected_visits
        (n,) days with activity until then, and those expected in ``(at, at + horizon]``.

    """

    at: int
    customer: Indices
    forecast: Forecast
    heuristic: Floats
    recent: Mask
    features: Floats
    spend: Floats
    value: Floats
    visits: Floats
    expected_visits: Floats

    def where(self, which: Mask | Indices) -> Base:
        """Return some of the customers."""
        return Base(
            at=self.at,
            customer=self.customer[which],
            forecast=self.forecast.where(which),
            heuristic=self.heuristic[which],
            recent=self.recent[which],
            features=self.features[which],
            spend=self.spend[which],
            value=self.value[which],
            visits=self.visits[which],
            expected_visits=self.expected_visits[which],
        )
