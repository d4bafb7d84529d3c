"""How often customers will come: days with activity expected over the horizon.

The chance of any activity, times the days of somebody who is active at all. On each day such a
customer comes at the rate by which spend is expected (`shared.domain.value`), given at least one
day (a binomial distribution without zero)::

    visits = (1 - p) * H * rate / (1 - (1 - rate) ** H)

with p the churn model's probability of silence.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from shared.domain.features import Floats
from shared.domain.value import visit_rate

#: The rate of who was never active: in the limit, whoever comes does so once.
_LEAST: Final = 1e-9


def expected_visits(features: Floats, silent: Floats, horizon: float) -> Floats:
    """Return days (n,) with activity expected over the horizon.

    Parameters
    ----------
    features, silent
        (n, F), and the probability (n,) of silence.
    horizon
        H in days.

    """
    rate = np.clip(visit_rate(features, horizon), _LEAST, 1.0 - _LEAST)
    found: Floats = (1.0 - silent) * horizon * rate / -np.expm1(horizon * np.log1p(-rate))
    return found
