"""What the churn model sees of a customer: the activity kept in the state row, and its features.

Activity is usage, or a purchase that is no refund, initiated by the customer. It is kept per
distinct UTC day ("visit"), so that a billing system which reports every call and one which reports
a daily total give the same features. Formulas: beta-geometric/NBD as in Fader, Hardie & Lee (2005),
doi 10.1287/mksc.1040.0098, with a fixed prior; a heuristic that needs no training.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]
Floats = NDArray[np.float64]
Millis = NDArray[np.int64]

DAY_MS: Final = 86_400_000
MICROS: Final = 1e6

#: How many days behind the newest activity a late one may be for `visits` and the decayed sums to
#: be exact: the width of `recent_days` less the newest day itself.
EXACT_DELAY_DAYS: Final = 63

#: The part of a customer's state row that belongs to the churn model (name, dtype).
ACTIVITY_FIELDS: Final[list[tuple[str, str]]] = [
    ("first_at", "<i8"),  # epoch milliseconds UTC of the first activity, 0 = never
    ("last_at", "<i8"),  # epoch milliseconds UTC of the newest activity, 0 = never
    ("recent_days", "<u8"),  # bit i: active on the UTC day i days before that of `last_at`
    ("visits", "<u4"),  # distinct UTC days with activity
    ("spend", "<i8"),  # micro units (1e-6) of the reporting currency
    ("decay30", "<f8"),  # visits, halved every 30 days, as of the day of `last_at`
    ("decay90", "<f8"),  # visits, halved every 90 days, as of the day of `last_at`
]

FEATURES: Final = (
    "recency",
    "visits",
    "tenure",
    "recency_to_rhythm",
    "silence_weight",
    "silence_prior",
    "visits_30",
    "visits_90",
    "mean_spend",
)

#: Position of the heuristic (a log odds of silence that needs no training) in `FEATURES`.
PRIOR: Final = FEATURES.index("silence_prior")


def fold_activity(rows: Rows, at: Millis, amount: NDArray[np.int64]) -> None:
    """Fold one activity into each row, in place.

    Parameters
    ----------
    rows
        (n,) structured array with `ACTIVITY_FIELDS`, one row for each of n *distinct* customers.
    at
        (n,) event times, epoch milliseconds UTC, in any order.
    amount
        (n,) money in micro units, 0 for usage that is not charged.

    Notes
    -----
    `first_at`, `last_at` and `spend` are exact whatever the order. `visits` is exact and the
    decayed sums agree to 1e-9 while an activity is at most `EXACT_DELAY_DAYS` behind the newest;
    an older one counts as a day of its own, unless it falls on the day of `first_at`.
    """
    known = rows["first_at"] != 0
    behind = np.where(known, rows["last_at"] // DAY_MS - at // DAY_MS, 0)
    fresh = ~known | ~_day_seen(rows, at, behind)
    _advance_days(rows, known, behind)
    for name, half_life in (("decay30", 30.0), ("decay90", 90.0)):
        _decay_and_add(rows, name, half_life, behind, fresh)
    rows["visits"] += fresh
    rows["spend"] += amount
    rows["first_at"] = np.where(known, np.minimum(rows["first_at"], at), at)
    rows["last_at"] = np.where(known, np.maximum(rows["last_at"], at), at)


def _day_seen(rows: Rows, at: Millis, behind: Millis) -> NDArray[np.bool_]:
    """Tell whether the activity's day is counted already (n,)."""
    bit = rows["recent_days"] >> np.clip(behind, 0, 63).astype(np.uint64)
    within = (behind >= 0) & (behind <= EXACT_DELAY_DAYS)
    on_first_day = at // DAY_MS == rows["first_at"] // DAY_MS
    seen: NDArray[np.bool_] = np.where(within, (bit & np.uint64(1)) == 1, on_first_day)
    return seen


def _advance_days(rows: Rows, known: NDArray[np.bool_], behind: Millis) -> None:
    """Shift the bitmap to the new newest day and set the activity's bit."""
    one = np.uint64(1)
    ahead = np.clip(-behind, 0, 63).astype(np.uint64)
    kept = np.where(known & (-behind <= EXACT_DELAY_DAYS), rows["recent_days"] << ahead, 0)
    late = np.clip(behind, 0, 63).astype(np.uint64)
    bit = np.where(behind <= EXACT_DELAY_DAYS, one << late, np.uint64(0))
    rows["recent_days"] = kept.astype(np.uint64) | bit


def _decay_and_add(
    rows: Rows, name: str, half_life: float, behind: Millis, fresh: NDArray[np.bool_]
) -> None:
    """Bring the sum to the newest day and add the visit, decayed when it is a late one."""
    aged = rows[name] * np.exp2(np.minimum(behind, 0) / half_life)
    rows[name] = aged + np.where(fresh, np.exp2(-np.maximum(behind, 0) / half_life), 0.0)


def feature_matrix(rows: Rows, now: Millis | int, horizon: int) -> Floats:
    """Compute the features of each customer at `now`.

    Parameters
    ----------
    rows
        (n,) structured array with `ACTIVITY_FIELDS`.
    now
        (n,) or one instant, epoch milliseconds UTC, at or after each `last_at` (an earlier one is
        read as `last_at`).
    horizon
        Churn horizon in milliseconds.

    Returns
    -------
    (n, F) float64, C order, whose values are exactly representable as float32, so that a stored
    feature vector takes 4 F bytes and gives the same score bit for bit. Only elementwise
    operations: the bits of a row never depend on the rows beside it.
    """
    first = np.where(rows["first_at"] == 0, now, rows["first_at"])
    last = np.where(rows["first_at"] == 0, now, rows["last_at"])
    recency = np.maximum(now - last, 0) / DAY_MS
    span = (last - first) / DAY_MS
    visits = rows["visits"].astype(np.float64)
    columns = _features(recency, span, visits, horizon / DAY_MS)
    columns += [
        np.log1p(rows["decay30"] * np.exp2(-recency / 30.0)),
        np.log1p(rows["decay90"] * np.exp2(-recency / 90.0)),
        np.log1p(np.maximum(rows["spend"], 0) / MICROS / np.maximum(visits, 1.0)),
    ]
    return _stack(columns)


def _features(recency: Floats, span: Floats, visits: Floats, horizon: float) -> list[Floats]:
    """Features 1-6: recency, frequency, tenure, rhythm and the BG/NBD prior (days)."""
    tenure = span + recency
    repeat = np.maximum(visits - 1.0, 0.0)
    rhythm = (span + horizon / 2.0) / (repeat + 1.0)
    weight = silence_weight(recency, span, repeat, horizon)
    return [
        np.log1p(recency),
        np.log1p(visits),
        np.log1p(tenure),
        np.log1p(recency / rhythm),
        weight,
        silence_prior(tenure, repeat, weight, horizon),
    ]


def silence_weight(recency: Floats, span: Floats, repeat: Floats, horizon: float) -> Floats:
    """Log of how much rarer an active customer's silence of this length is: (r + x) ln(...)."""
    alpha = horizon / 2.0
    weight: Floats = (0.5 + repeat) * np.log((alpha + span + recency) / (alpha + span))
    return weight


def silence_prior(tenure: Floats, repeat: Floats, weight: Floats, horizon: float) -> Floats:
    """Log odds of silence over the horizon under BG/NBD with a = 1, b = 2, r = .5, alpha = H/2."""
    alpha = horizon / 2.0
    alive = 1.0 / (1.0 + np.exp(np.minimum(weight, 50.0)) / (2.0 + repeat))
    quiet = np.exp((0.5 + repeat) * np.log((alpha + tenure) / (alpha + tenure + horizon)))
    silent = np.clip(1.0 - alive * (1.0 - quiet), 1e-4, 1.0 - 1e-4)
    log_odds: Floats = np.log(silent) - np.log1p(-silent)
    return log_odds


def _stack(columns: list[Any]) -> Floats:
    """Put columns side by side, rounded to float32 and widened again."""
    return np.stack(columns, axis=1).astype(np.float32).astype(np.float64)
