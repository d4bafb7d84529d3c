"""Label snapshots: what was known of a customer at one time, and whether it came back since.

A snapshot is taken on a calendar cadence (not at events: that biases), marked by every activity
within its horizon, and leaves as a training example when the horizon and a grace for late events
are over.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from shared.domain import lifecycle
from shared.domain.customer import PENDING, Indices, Rows
from shared.domain.emission import Step
from shared.domain.features import PRIOR, Floats, Millis
from shared.domain.outputs import Example, Identity
from shared.domain.policy import DAY_MS, SLOT_MS, SLOTS_A_DAY, Policy
from shared.domain.scoring import Served
from shared.domain.wheel import Slots, next_daily, phase

Mask = NDArray[np.bool_]


def mark(rows: Rows, at: Millis, policy: Policy) -> None:
    """Mark pending snapshots whose horizon this activity (n,) falls into, in place."""
    if not rows["pending"].any():
        return
    taken = rows["snapshots"]["at"]
    inside = (taken < at[:, None]) & (at[:, None] <= taken + policy.horizon_ms)
    inside &= np.arange(PENDING) < rows["pending"][:, None]
    rows["snapshots"]["active"] |= inside


def ripen(step: Step, policy: Policy) -> None:
    """Emit an example for each snapshot whose label is known, oldest first."""
    order = 0
    while len(which := _ripe(step, policy)):
        some = step.rows[which]
        oldest = _drop_oldest(some)
        step.rows[which] = some
        makes = [
            partial(_example, snapshot, now, policy.horizon_ms)
            for snapshot, now in zip(oldest, step.now[which].tolist(), strict=True)
        ]
        step.emit(order, which, makes)
        order += 1


def _ripe(step: Step, policy: Policy) -> Indices:
    known = _known_at(step.rows, policy) <= step.now
    return np.flatnonzero(known & (step.rows["pending"] > 0))


def _known_at(rows: Rows, policy: Policy) -> Millis:
    """Return when (n,) the label of each customer's oldest snapshot is known."""
    known_at: Millis = rows["snapshots"]["at"][:, 0] + policy.horizon_ms + policy.grace_ms
    return known_at


def _drop_oldest(rows: Rows) -> NDArray[np.void]:
    """Remove the oldest snapshot from each row, in place, and return them (n,)."""
    oldest = rows["snapshots"][:, 0].copy()
    rows["snapshots"][:, : PENDING - 1] = rows["snapshots"][:, 1:].copy()
    rows["snapshots"][:, PENDING - 1] = np.zeros((), rows["snapshots"].dtype)
    rows["pending"] -= 1
    return oldest


def _example(snapshot: np.void, now: int, horizon: int, origin: Identity) -> Example:
    features = snapshot["features"].astype(np.float64)
    recency_days = float(np.expm1(features[0]))
    return Example(
        origin=origin,
        at=int(snapshot["at"]),
        labelled_at=now,
        features=features.tolist(),
        silent=not snapshot["active"],
        predicted=float(snapshot["predicted"]),
        heuristic=float(snapshot["heuristic"]),
        model=int(snapshot["model"]),
        recent=recency_days <= 2 * horizon / DAY_MS,
    )


def take(step: Step, features: Floats, model: Served, policy: Policy) -> int:
    """Take a snapshot of those whose turn it is; return how many had no place for one."""
    turn = _turn(step.rows, step.now, policy)
    full = turn & (step.rows["pending"] >= PENDING)
    which = np.flatnonzero(turn & ~full)
    if len(which):
        some = step.rows[which]
        _put(some, step.now[which], features[which], model)
        step.rows[which] = some
    return int(np.count_nonzero(full))


def next_due(rows: Rows, now: Millis, policy: Policy) -> Slots:
    """Return the mark (n,) after ``now`` of each customer's next snapshot or label, the sooner.

    Between those a customer's daily reviews neither take nor label anything.
    """
    daily = next_daily(rows, now)
    snapshot = daily + _days_to_turn(rows, daily, policy) * SLOTS_A_DAY
    label = np.where(rows["pending"] > 0, -(-_known_at(rows, policy) // SLOT_MS), snapshot)
    soonest: Slots = np.minimum(snapshot, label).astype(np.int32)
    return soonest


def _turn(rows: Rows, now: Millis, policy: Policy) -> Mask:
    """Tell (n,) who has an open account and activity, and is on its mark of its day."""
    slot = now // SLOT_MS
    turn: Mask = slot % SLOTS_A_DAY == phase(rows)
    turn &= _days_to_turn(rows, slot, policy) == 0
    turn &= (rows["visits"] > 0) & (rows["closed"] == lifecycle.OPEN)
    return turn


def _days_to_turn(rows: Rows, slot: Millis, policy: Policy) -> Millis:
    """Return the days (n,) from that of ``slot`` to the next on which a snapshot is taken."""
    day_phase = (rows["hash"] // np.uint64(SLOTS_A_DAY)).astype(np.int64)
    return -(slot // SLOTS_A_DAY + day_phase) % policy.cadence_days


def _put(rows: Rows, at: Millis, features: Floats, model: Served) -> None:
    """Add a snapshot to each row, in place; rows have a free place.

    An activity may be known already that lies a little ahead of the partition's time.
    """
    here, place, snapshots = np.arange(len(rows)), rows["pending"], rows["snapshots"]
    snapshots["at"][here, place] = at
    snapshots["features"][here, place] = features
    snapshots["predicted"][here, place] = model.scorer.predict(features)
    snapshots["heuristic"][here, place] = 1.0 / (1.0 + np.exp(-features[:, PRIOR]))
    snapshots["model"][here, place] = model.version
    snapshots["active"][here, place] = rows["last_at"] > at
    rows["pending"] += 1
