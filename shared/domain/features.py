"""What the churn model sees of a customer: the activity kept in the state row, and its features.

Activity is usage, or a purchase that is no refund, initiated by the customer. It is kept per
distinct UTC day ("visit"), so that a billing system which reports every call and one which reports
a daily total give the same features. The features are plain facts; what the model derives from
them, now and for each step of silence ahead, is in `shared.domain.hazard`.
"""

from __future__ import annotations

from typing import Any, Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from shared.domain.signs import SIGN_FIELDS, SIGNS, add_use, sign_columns

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
    ("first_seen", "<i8"),  # epoch milliseconds UTC of the first event of any kind
    ("first_at", "<i8"),  # epoch milliseconds UTC of the first activity, 0 = never
    ("last_at", "<i8"),  # epoch milliseconds UTC of the newest activity, 0 = never
    ("recent_days", "<u8"),  # bit i: active on the UTC day i days before that of `last_at`
    ("visits", "<u4"),  # distinct UTC days with activity
    ("spend", "<i8"),  # micro units (1e-6) of the reporting currency
    ("decay7", "<f8"),  # visits, halved every 7 days, as of the day of `last_at`
    ("decay30", "<f8"),  # the same, halved every 30 days
    ("decay90", "<f8"),  # the same, halved every 90 days
    ("services", "<u4"),  # bit of each service used, as `service_bit` gives it
    ("plan", "<u4"),  # code of the plan, 0 = none
    ("family", "<u4"),  # code of the plan's family
    ("plan_at", "<i8"),  # epoch milliseconds UTC of when the customer joined the plan
    ("paused_s", "<u4"),  # epoch seconds UTC of when the account was paused last, 0 = never
    ("resumed_s", "<u4"),  # and of when that pause ended, 0 = not yet
    *SIGN_FIELDS,
]

#: Facts about a customer at one time, in the order of a feature vector's columns.
FEATURES: Final = (
    "recency",  # days since the newest activity; without any, since the first event
    "visits",  # days with activity
    "tenure",  # days since the first activity; without any, since the first event
    "visits_7",  # visits, halved every 7 days
    "visits_30",
    "visits_90",
    "mean_spend",  # reporting currency per visit
    "onboarding",  # days from the first event to the first activity, or until now
    "services",  # services used
    "plan",  # code, 0 = none
    "family",  # code
    "plan_days",  # days of activity on this plan, first to now; 0 before any
    "day",  # days since 1970, UTC: the calendar
    *SIGNS,  # last, so that a vector from before there were any is one without signs
)

#: How a snapshot keeps features: `COUNTS` in a byte each, the day not at all (its time tells it),
#: the others as float32.
COUNTS: Final = ("services", *SIGNS)
_DAY: Final = FEATURES.index("day")
_COUNTED: Final = [FEATURES.index(name) for name in COUNTS]
_MEASURED: Final = [n for n in range(len(FEATURES)) if n != _DAY and n not in _COUNTED]
PACKED_FIELDS: Final[list[tuple[str, str, tuple[int]]]] = [
    ("facts", "<f4", (len(_MEASURED),)),
    ("counts", "u1", (len(_COUNTED),)),
]
_FIRST_SIGN: Final = len(FEATURES) - len(SIGNS)

_HALF_LIVES: Final = (("decay7", 7.0), ("decay30", 30.0), ("decay90", 90.0))
#: A code is exact in float32.
_CODES: Final = 1 << 24


def service_bit(service: str) -> int:
    """Return the bit of a service among the 32 of `services`; some services share one."""
    return 1 << (crc32(service.encode()) & 31)


def plan_codes(plan: str) -> tuple[int, int]:
    """Return the codes of a plan and of its family: the name up to the first dash.

    >>> plan_codes("prepaid-S")[1] == plan_codes("prepaid-M")[1]
    True
    """
    return _code(plan), _code(plan.partition("-")[0])


def _code(name: str) -> int:
    return crc32(name.encode()) % (_CODES - 1) + 1


def fold_activity(
    rows: Rows,
    at: Millis,
    amount: NDArray[np.int64],
    services: NDArray[np.uint32] | int = 0,
    quantity: Floats | float = 0.0,
) -> None:
    """Fold one activity into each row, in place.

    Parameters
    ----------
    rows
        (n,) structured array with `ACTIVITY_FIELDS`, one row for each of n *distinct* customers.
    at
        (n,) event times, epoch milliseconds UTC, in any order.
    amount
        (n,) money in micro units, 0 for usage that is not charged.
    services
        (n,) bit of the service used, 0 for none.
    quantity
        (n,) how much of it was used.

    Notes
    -----
    `first_at`, `last_at`, `spend` and `services` are exact in any order. `visits` is exact and the
    decayed sums agree to 1e-9 while an activity is at most `EXACT_DELAY_DAYS` behind the newest;
    an older one counts as a day of its own, unless it falls on the day of `first_at`.
    """
    known = rows["first_at"] != 0
    behind = np.where(known, rows["last_at"] // DAY_MS - at // DAY_MS, 0)
    fresh = ~known | ~_day_seen(rows, at, behind)
    _advance_days(rows, known, behind)
    for name, half_life in _HALF_LIVES:
        _decay_and_add(rows, name, half_life, behind, fresh)
    add_use(rows, behind, np.asarray(quantity, np.float64))
    rows["visits"] += fresh
    rows["spend"] += amount
    rows["services"] |= np.asarray(services, np.uint32)
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


def resting(rows: Rows) -> NDArray[np.bool_]:
    """Tell (n,) whose account is paused."""
    paused: NDArray[np.bool_] = (rows["paused_s"] != 0) & (rows["resumed_s"] == 0)
    return paused


def awake(rows: Rows, now: Millis | int) -> Millis:
    """Return ``now`` (n,) less what of the silence before it the account was paused for.

    While a customer pauses, silence says nothing: for recency and stages the clock stands still.
    Only the last pause counts.
    """
    now = np.broadcast_to(np.asarray(now), rows.shape)
    paused = np.flatnonzero(rows["paused_s"])
    if not len(paused):
        return now
    rests = rows[paused]
    began = np.maximum(rests["paused_s"].astype(np.int64) * 1000, rests["last_at"])
    ended = rests["resumed_s"].astype(np.int64) * 1000
    until = np.where(ended == 0, now[paused], np.minimum(ended, now[paused]))
    found = now.copy()
    found[paused] -= np.maximum(until - began, 0)
    return found


def feature_matrix(rows: Rows, now: Millis | int) -> Floats:
    """Gather the features of each customer at `now`.

    Parameters
    ----------
    rows
        (n,) structured array with `ACTIVITY_FIELDS`.
    now
        (n,) or one instant, epoch milliseconds UTC, at or after each `last_at` (an earlier one is
        read as `last_at`).

    Returns
    -------
    (n, F) float64, C order, whose values are exactly representable as float32, so that a stored
    feature vector takes 4 F bytes and gives the same score bit for bit. Only elementwise
    operations: the bits of a row never depend on the rows beside it.
    """
    never = rows["first_at"] == 0
    seen = np.where(rows["first_seen"] == 0, now, rows["first_seen"])
    first = np.where(never, seen, rows["first_at"])
    last = np.where(never, seen, rows["last_at"])
    recency = np.maximum(awake(rows, now) - last, 0) / DAY_MS
    visits = rows["visits"].astype(np.float64)
    begun = np.where(never, now, np.maximum(first, rows["plan_at"]))
    columns = [
        recency,
        visits,
        (last - first) / DAY_MS + recency,
        *(rows[name] * np.exp2(-recency / half_life) for name, half_life in _HALF_LIVES),
        np.maximum(rows["spend"], 0) / MICROS / np.maximum(visits, 1.0),
        np.maximum(np.where(never, now, first) - np.minimum(seen, first), 0) / DAY_MS,
        _bits(rows["services"]),
        rows["plan"],
        rows["family"],
        np.where(rows["plan"] == 0, 0.0, np.maximum(now - begun, 0) / DAY_MS),
        np.broadcast_to(np.asarray(now) / DAY_MS, recency.shape),
    ]
    found = np.zeros((len(rows), len(FEATURES)), np.float32)
    for j, column in enumerate(columns):
        found[:, j] = column
    _put_signs(found, rows, np.broadcast_to(np.asarray(now), rows.shape), recency)
    return found.astype(np.float64)


def _put_signs(found: NDArray[np.float32], rows: Rows, now: Millis, recency: Floats) -> None:
    """Put the signs of those who have any into their columns, in place."""
    which = np.flatnonzero(rows["signs"])
    if len(which):
        columns = sign_columns(rows[which], now[which], recency[which])
        for j, column in enumerate(columns, _FIRST_SIGN):
            found[which, j] = column


def pack(features: Floats, into: Rows, place: Any) -> None:  # noqa: ANN401  # an index
    """Put features (n, F) into a place of structured arrays with `PACKED_FIELDS`."""
    into["facts"][place] = features[:, _MEASURED]
    into["counts"][place] = features[:, _COUNTED]


def unpack(packed: Rows) -> Floats:
    """Return the features (n, F) of snapshots with `PACKED_FIELDS` and their time, ``at``."""
    found = np.empty((len(packed), len(FEATURES)), np.float32)
    found[:, _MEASURED] = packed["facts"]
    found[:, _COUNTED] = packed["counts"]
    found[:, _DAY] = packed["at"] / DAY_MS
    return found.astype(np.float64)


def _bits(words: NDArray[np.uint32]) -> Floats:
    return np.bitwise_count(words).astype(np.float64)
