"""The lifecycle: which stage a customer is in, from its own behaviour and its risk.

A pure function of state, time and risk, computed for many customers at once. Thresholds have a
margin on the way back (hysteresis), so that a customer on a threshold does not flap.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.features import DAY_MS, Floats, Millis, Rows, awake, resting
from shared.domain.outputs import Stage
from shared.domain.policy import Policy
from shared.domain.thresholds import Limits

Codes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

STAGES: Final[tuple[Stage, ...]] = (
    "prospect", "onboarding", "growth", "maturity", "decline", "dormant", "lapsed", "won_back",
)  # fmt: skip
PROSPECT, ONBOARDING, GROWTH, MATURITY, DECLINE, DORMANT, LAPSED, WON_BACK = range(len(STAGES))

OPEN, CLOSED_VOLUNTARY, CLOSED_INVOLUNTARY = range(3)

#: Visits before which a falling use says nothing.
_LEAST_VISITS: Final = 4

#: Where a customer may go from each stage; anything else is a bug (held by a property test).
#: A first activity that is heard of late finds the customer where it is by now; an account closed
#: without any is a prospect again when it is opened again.
TRANSITIONS: Final[dict[int, tuple[int, ...]]] = {
    PROSPECT: (ONBOARDING, GROWTH, MATURITY, DECLINE, DORMANT, LAPSED),
    ONBOARDING: (GROWTH, MATURITY, DECLINE, DORMANT, LAPSED),
    GROWTH: (MATURITY, DECLINE, DORMANT, LAPSED),
    MATURITY: (GROWTH, DECLINE, DORMANT, LAPSED),
    DECLINE: (GROWTH, MATURITY, DORMANT, LAPSED),
    DORMANT: (ONBOARDING, GROWTH, MATURITY, DECLINE, LAPSED),
    LAPSED: (PROSPECT, WON_BACK),
    WON_BACK: (GROWTH, MATURITY, DECLINE, DORMANT, LAPSED),
}

REASONS: Final = (
    "nothing bought or used yet",
    "first weeks",
    "use or spend is rising, or the customer is still young",
    "steady use",
    "risk over its threshold, or use falling against the customer's own past",
    "silent beyond the customer's own rhythm",
    "silent for the whole horizon",
    "active again after lapsing",
    "account closed by the customer",
    "account closed by the operator, or with payments open",
)
_REASON_CLOSED: Final = len(STAGES) - CLOSED_VOLUNTARY


def next_stage(rows: Rows, now: Millis, risk: Floats, policy: Policy) -> tuple[Codes, Codes]:
    """Decide each customer's stage at ``now``.

    Parameters
    ----------
    rows
        (n,) customer rows.
    now
        (n,) epoch milliseconds.
    risk
        (n,) probability of silence over the horizon.
    policy
        Thresholds.

    Returns
    -------
    Stages and indices into `REASONS`, both (n,) uint8.

    """
    stage = rows["stage"]
    silence = np.maximum(awake(rows, now) - rows["last_at"], 0)
    known = rows["first_at"] != 0
    closed = rows["closed"] != OPEN
    gone = closed | (silence > policy.horizon_ms)
    ratio, limits = use_ratio(rows, now), policy.thresholds.of(rows)
    conditions: list[Mask] = [
        ~known & ~closed,
        gone,
        _won_back(rows, now, limits),
        silence > dormant_after(rows, policy),
        (now - rows["first_at"] < limits.onboarding_ms) & _may_onboard(stage),
        _declines(rows, risk, ratio, limits),
        _grows(rows, now, ratio, limits),
    ]
    codes = [PROSPECT, LAPSED, WON_BACK, DORMANT, ONBOARDING, DECLINE, GROWTH]
    after = np.select(conditions, codes, MATURITY).astype(np.uint8)
    reason = np.where((after == LAPSED) & closed, _REASON_CLOSED + rows["closed"], after)
    return after, reason.astype(np.uint8)


def dormant_after(rows: Rows, policy: Policy) -> Millis:
    """Silence (n,) in milliseconds after which a customer is dormant.

    A multiple of the customer's mean gap between visits (with half a horizon as the prior of
    one gap), kept between an eighth and three quarters of the horizon.
    """
    gaps = np.maximum(rows["visits"].astype(np.float64), 1.0)
    rhythm = (rows["last_at"] - rows["first_at"] + policy.horizon_ms / 2) / gaps
    least, most = policy.horizon_ms / 8, 0.75 * policy.horizon_ms
    limit: Millis = np.clip(
        policy.thresholds.of(rows).dormant_rhythms * rhythm, least, most
    ).astype(np.int64)
    return limit


def next_deadline(rows: Rows, now: Millis, policy: Policy) -> Millis:
    """Return the next time (n,) at which a silent customer's stage may change by itself."""
    limits = policy.thresholds.of(rows)
    never = np.iinfo(np.int64).max
    rested = rows["last_at"] + (now - awake(rows, now)) + 1
    silent = [rested + dormant_after(rows, policy), rested + policy.horizon_ms]
    deadlines = [
        (rows["first_at"] + limits.onboarding_ms).astype(np.int64),
        (rows["first_at"] + limits.growth_ms).astype(np.int64),
        *(np.where(resting(rows), never, deadline) for deadline in silent),
    ]
    ahead = [np.where(deadline > now, deadline, never) for deadline in deadlines]
    soonest: Millis = np.minimum.reduce(ahead)
    return soonest


def use_ratio(rows: Rows, now: Millis) -> Floats:
    """Rate of visits over about 30 days against that over about 90 days; 1 is steady.

    Each exponentially decayed count is divided by what a constant rate would have left in it
    since the first activity, so that a young customer is not taken for a growing one.
    """
    silence = np.maximum(awake(rows, now) - rows["last_at"], 0) / DAY_MS
    age = np.maximum(now - rows["first_at"], DAY_MS) / DAY_MS
    rates = [
        rows[name] * np.exp2(-silence / half_life) / (half_life * (1.0 - np.exp2(-age / half_life)))
        for name, half_life in (("decay30", 30.0), ("decay90", 90.0))
    ]
    ratio: Floats = rates[0] / np.maximum(rates[1], 1e-12)
    return ratio


def _may_onboard(stage: Codes) -> Mask:
    allowed: Mask = (stage == PROSPECT) | (stage == ONBOARDING) | (stage == DORMANT)
    return allowed


def _won_back(rows: Rows, now: Millis, limits: Limits) -> Mask:
    """Back after lapsing, for as long as a newcomer is on-boarded."""
    stage, since = rows["stage"], rows["stage_since"]
    returned: Mask = stage == LAPSED
    recent: Mask = (stage == WON_BACK) & (now - since < limits.onboarding_ms)
    return returned | recent


def _declines(rows: Rows, risk: Floats, ratio: Floats, limits: Limits) -> Mask:
    already = rows["stage"] == DECLINE
    least_risk = limits.decline_risk - np.where(already, limits.risk_hysteresis, 0.0)
    most_use = limits.decline_ratio + np.where(already, limits.ratio_hysteresis, 0.0)
    falling = (ratio < most_use) & (rows["visits"] >= _LEAST_VISITS)
    declines: Mask = (risk >= least_risk) | falling
    return declines


def _grows(rows: Rows, now: Millis, ratio: Floats, limits: Limits) -> Mask:
    already = rows["stage"] == GROWTH
    least = limits.growth_ratio - np.where(already, limits.ratio_hysteresis, 0.0)
    young = (now - rows["first_at"] < limits.growth_ms) & (already | _from_start(rows))
    grows: Mask = young | (ratio >= least)
    return grows


def _from_start(rows: Rows) -> Mask:
    """Stages from which youth alone leads to growth."""
    stage = rows["stage"]
    first: Mask = (stage == PROSPECT) | (stage == ONBOARDING)
    return first
