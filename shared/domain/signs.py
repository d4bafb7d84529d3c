"""Signs of leaving: what account, payments and touch points say, as numbers beside activity.

What the ledger and the profile know is repeated in the customer's row, so that many are read at
once. Each sign is a small whole number, 0 where there is nothing to say: a base without such events
is scored and learned as if there were no signs at all, and a snapshot keeps each in one byte.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]
Floats = NDArray[np.float64]
Millis = NDArray[np.int64]
V = TypeVar("V", float, NDArray[np.float64])

_DAY_MS: Final = 86_400_000
#: A twelfth of a mean Gregorian year, in days.
MONTH_DAYS: Final = 365.2425 / 12.0
#: At or over this share of an allowance a plan is near its limit; at or under, it is unused.
NEAR_LIMIT: Final = 0.9
UNUSED: Final = 0.1
#: Use is an average whose weight halves every so many days, as in `shared.domain.service_use`.
USE_DAYS: Final = 30.0
#: Steps in which a rating (0 to 10) is kept.
RATING_STEPS: Final = 25
MOST: Final = 255

#: Bits of a row's `signs`: whether any of the fields behind it says something; notice was given.
SAID: Final = 1
NOTICE: Final = 2

#: The part of a customer's state row that signs are read from (name, dtype).
SIGN_FIELDS: Final[list[tuple[str, str]]] = [
    ("signs", "u1"),  # SAID, NOTICE
    ("complaints", "u1"),
    ("rating", "u1"),  # the newest one, as `rating_code` gives it, 0 = none
    ("failed", "u1"),  # payments since all was settled
    ("complained_d", "<u2"),  # day since 1970 of the newest complaint
    ("overdue_d", "<u2"),  # day of the first bill that is overdue, 0 = none is
    ("ends_s", "<u4"),  # epoch seconds UTC of the contract's end, 0 = not known
    ("limit", "<f4"),  # what the plan includes a month, 0 = not known
    ("used", "<f8"),  # quantity used, halved every 30 days, as of the day of `last_at`
]

#: Signs at one time, in the order of a feature vector's last columns.
SIGNS: Final = (
    "complaints",  # how many
    "complained",  # whole days since the last one, and one
    "rating",  # the newest, as `rating_code` gives it
    "payments_failed",  # since all was settled
    "overdue",  # whole days since the first overdue bill, and one
    "notice",  # whether it was given
    "ends",  # whole days to the contract's end, and one; 0 when it is over or 255 days ahead
    "used",  # percent of the plan's allowance that a month takes, and one
)


def rating_code(rating: float | None) -> int:
    """Return a rating (0 to 10) as it is kept; 0 for none.

    >>> rating_code(0.0), rating_code(10.0), rating_code(None)
    (1, 251, 0)
    """
    return 0 if rating is None else 1 + round(rating * RATING_STEPS)


def rating_of(code: V) -> V:
    """Return the rating that a code stands for, or (n,) of them."""
    return (code - 1.0) / RATING_STEPS


def add_use(rows: Rows, behind: Millis, quantity: Floats) -> None:
    """Add use (n,) to what was used, in place.

    Parameters
    ----------
    behind
        (n,) days from the use to the newest activity; negative where it is newer.
    """
    if not (quantity.any() or rows["used"].any()):
        return
    aged = rows["used"] * np.exp2(np.minimum(behind, 0) / USE_DAYS)
    rows["used"] = aged + quantity * np.exp2(-np.maximum(behind, 0) / USE_DAYS)


def sign_columns(rows: Rows, now: Millis, recency: Floats) -> list[Any]:
    """Return the columns of `SIGNS` (n,) each, as whole numbers up to `MOST`.

    Parameters
    ----------
    recency
        (n,) days of silence, by which use has faded.
    """
    today = now // _DAY_MS
    ahead = rows["ends_s"].astype(np.int64) * 1000 - now
    return [
        rows["complaints"],
        _since(rows["complained_d"], today),
        rows["rating"],
        rows["failed"],
        _since(rows["overdue_d"], today),
        (rows["signs"] & NOTICE) != 0,
        np.where((ahead >= 0) & (ahead < (MOST - 1) * _DAY_MS), ahead // _DAY_MS + 1, 0),
        _used(rows, now, recency),
    ]


def _since(day: NDArray[np.uint16], today: Millis) -> Millis:
    """Return whole days since a day, and one; 0 without a day."""
    passed = np.clip(today - day + 1, 1, MOST)
    return np.where(day == 0, 0, passed)


def _used(rows: Rows, now: Millis, recency: Floats) -> Floats:
    """Return the share of the allowance that is used.

    What a plan includes is in units of its service: of who uses several services nothing is said,
    nor before a month of use is known.
    """
    age = np.maximum(now - rows["first_seen"], _DAY_MS) / _DAY_MS
    known = (rows["limit"] > 0.0) & (np.bitwise_count(rows["services"]) <= 1)
    known &= age >= MONTH_DAYS
    weight = (1.0 - np.exp2(-age / USE_DAYS)) * (USE_DAYS / math.log(2.0))
    month = rows["used"] * np.exp2(-recency / USE_DAYS) / weight * MONTH_DAYS
    percent = 100.0 * month / np.where(known, rows["limit"], 1.0)
    return np.where(known, np.minimum(np.rint(percent) + 1.0, MOST), 0.0)
