"""Recency, frequency, monetary value: quintiles of the base, and the names of segments.

Each active customer has a score of 1 to 5 in each dimension, its quintile (Hughes 1994, "Strategic
Database Marketing"): 5 are those last seen most recently, most often, spending most. Names go by
recency and by the mean of the other two, rounded up::

              1         2        3      4      5    frequency and money
    5, 4    new    potential   loyal  champions
    3       potential          loyal
    2       hibernating        at_risk
    1       lost               at_risk
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Segment = Literal["champions", "loyal", "potential", "new", "at_risk", "hibernating", "lost"]
SEGMENTS: Final[tuple[Segment, ...]] = get_args(Segment)
_CHAMPIONS, _LOYAL, _POTENTIAL, _NEW, _AT_RISK, _HIBERNATING, _LOST = range(len(SEGMENTS))

_CUTS: Final = (0.2, 0.4, 0.6, 0.8)

#: Segment by recency (rows, 1 to 5) and by frequency and money (columns, 1 to 5).
_NAMES: Final = np.array(
    [
        [_LOST, _LOST, _AT_RISK, _AT_RISK, _AT_RISK],
        [_HIBERNATING, _HIBERNATING, _AT_RISK, _AT_RISK, _AT_RISK],
        [_POTENTIAL, _POTENTIAL, _LOYAL, _LOYAL, _LOYAL],
        [_NEW, _POTENTIAL, _LOYAL, _CHAMPIONS, _CHAMPIONS],
        [_NEW, _POTENTIAL, _LOYAL, _CHAMPIONS, _CHAMPIONS],
    ]
)

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


class Scores(NamedTuple):
    """Quintiles (n,), 1 to 5 each."""

    recency: Codes
    frequency: Codes
    monetary: Codes


def quintiles(values: Numbers) -> Codes:
    """Return the quintile (n,) of each value, 1 for the lowest; equal values share one.

    A customer is in quintile k + 1 when its value is over the k-th boundary, so that in a base of
    one-time buyers nobody is said to come often.

    >>> quintiles(np.array([10.0, 20.0, 30.0, 40.0, 50.0])).tolist()
    [1, 2, 3, 4, 5]
    >>> quintiles(np.array([1.0, 1.0, 1.0, 1.0, 9.0])).tolist()
    [1, 1, 1, 1, 5]
    """
    if not len(values):
        return np.empty(0, np.int64)
    boundaries = np.quantile(values, _CUTS, method="inverted_cdf")
    found: Codes = np.searchsorted(boundaries, values, side="left") + 1
    return found


def score(last_seen: Numbers, visits: Numbers, spend: Numbers) -> Scores:
    """Return the scores of a base.

    Parameters
    ----------
    last_seen, visits, spend
        (n,) time of the last activity, days with activity, money spent.

    """
    return Scores(quintiles(last_seen), quintiles(visits), quintiles(spend))


def named(scores: Scores) -> Codes:
    """Return the segment (n,) of each customer, an index into `SEGMENTS`."""
    depth = (scores.frequency + scores.monetary + 1) // 2
    found: Codes = _NAMES[scores.recency - 1, depth - 1]
    return found
