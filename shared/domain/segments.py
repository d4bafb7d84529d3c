"""Which segment each customer is in, and who has to be told of anew when boundaries change."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.domain import rfm
from shared.domain.customer import CustomerTable, Indices, Rows
from shared.domain.features import DAY_MS, MICROS, Floats, Millis, awake
from shared.domain.lifecycle import OPEN
from shared.domain.rfm import SEGMENTS, Boundaries

#: A row's ``segment``: 0 for none, else one more than the index into `SEGMENTS`.
NONE: Final = 0
NAMES: Final[tuple[str, ...]] = ("", *SEGMENTS)
#: Customers that are told of in one go after a change of boundaries, so that the partition does not
#: stand still; the others wait for the next quarter of an hour, or their next event or review.
SWEEP: Final = 10_000

Codes = NDArray[np.uint8]


def quintiles(rows: Rows, now: Millis, boundaries: Boundaries) -> rfm.Scores:
    """Return the scores (n,) of customers at ``now`` (n,); time alone lowers recency."""
    silence: Floats = np.maximum(awake(rows, now) - rows["last_at"], 0) / DAY_MS
    return boundaries.score(silence, rows["visits"].astype(np.float64), rows["spend"] / MICROS)


def segment_codes(rows: Rows, now: Millis, boundaries: Boundaries) -> Codes:
    """Return the segment (n,) of customers; whoever was never active or has left is in none."""
    if not boundaries.version:
        return np.zeros(len(rows), np.uint8)
    codes = rfm.named(quintiles(rows, now, boundaries)) + 1
    counts = (rows["first_at"] != 0) & (rows["closed"] == OPEN)
    return np.where(counts, codes, NONE).astype(np.uint8)


def digits(scores: rfm.Scores, codes: Codes) -> list[str]:
    """Return recency, frequency and money of each customer as a word; none without a segment.

    >>> one = np.array([5]), np.array([4]), np.array([1])
    >>> digits(rfm.Scores(*one), np.array([1], np.uint8))
    ['541']
    """
    known = zip(*(each.tolist() for each in scores), codes.tolist(), strict=True)
    return [f"{r}{f}{m}" if code else "" for r, f, m, code in known]


def moved(table: CustomerTable, now: int, boundaries: Boundaries) -> tuple[Indices, bool]:
    """Return the rows of `SWEEP` customers at most whose segment is another by now.

    Returns
    -------
    The rows, and whether there are more. Who comes first depends on ids alone, as the order of
    rows changes with a restore.

    """
    rows = table.rows[: len(table)]
    codes = segment_codes(rows, np.full(len(rows), now), boundaries)
    changed = np.flatnonzero(codes != rows["segment"])
    first = changed[np.argsort(rows["hash"][changed], kind="stable")]
    return first[:SWEEP], len(first) > SWEEP


def count(table: CustomerTable) -> dict[str, int]:
    """Count customers by segment, those who are in one."""
    codes = table.rows["segment"][: len(table)]
    counts = np.bincount(codes, minlength=len(NAMES)).tolist()
    return dict(zip(SEGMENTS, counts[1:], strict=True))
