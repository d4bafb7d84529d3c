"""What is asked for, as people write it: durations, times, and whose figures to count.

What is wrong is a `ValueError` that says how to write it; who asked puts before it where it stands.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_DURATION: Final = re.compile(r"(\d+)\s*([dw]?)")
_DAYS: Final = {"": 1, "d": 1, "w": 7}
#: The longest horizon and the longest cadence, in days.
MOST_HORIZON: Final = 730
MOST_CADENCE: Final = 365


def days(text: str, most: int) -> int:
    """Return a duration in days.

    >>> days("13w", 730)
    91

    Raises
    ------
    ValueError
        It is none, or less than a day or more than ``most``.

    """
    found = _DURATION.fullmatch(text.strip().lower())
    number = int(found[1]) * _DAYS[found[2]] if found else 0
    if not 1 <= number <= most:
        raise ValueError(
            f"{text!r} is not between 1d and {most}d. Write whole days or weeks, like 28d or 13w"
        )
    return number


def time(text: str) -> int:
    """Return a time in milliseconds since 1970; UTC without an offset.

    Raises
    ------
    ValueError
        It is none.

    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is no time. Write it like 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def pattern(text: str) -> re.Pattern[str]:
    """Return the regular expression that is found in the ids of those who are counted.

    Raises
    ------
    ValueError
        It is none.

    """
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(
            f"{text!r} is no regular expression: {error}. "
            "Write a part of the ids to count, like ^shop-7/"
        ) from None
