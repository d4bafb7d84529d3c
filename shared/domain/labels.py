"""Label snapshots: what was known of a customer at one time, and whether it came back since.

A snapshot is taken on a calendar cadence (not at events: that biases) and marked by every activity
within its horizon. It makes two training examples, each when its time and a grace for late events
are over: what is learned after the first step of the horizon, what is measured at its end.

A row has few places for snapshots. Where the horizon is long against the cadence, all are learned
from, and only every second, third ... is kept until it can be measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, partial
from itertools import repeat
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.domain import lifecycle
from shared.domain.churn_scorer import heuristic
from shared.domain.customer import PENDING, CustomerTable, Indices, Rows
from shared.domain.emission import Step
from shared.domain.features import FEATURES, MICROS, Floats, Millis, pack, resting, unpack
from shared.domain.hazard import Steps
from shared.domain.outputs import Example, Identity
from shared.domain.policy import DAY_MS, SLOT_MS, SLOTS_A_DAY, Policy
from shared.domain.scoring import Served
from shared.domain.wheel import Slots, next_daily, phase

Mask = NDArray[np.bool_]

#: How soon after a snapshot something happened, as bits.
IN_HORIZON: Final = 1
IN_STEP: Final = 2
#: Beside those bits of a closed account: it was closed involuntarily.
INVOLUNTARY: Final = 4

_FAR_OFF: Final = np.iinfo(np.int64).max // 2

_RECENCY: Final = FEATURES.index("recency")
_VISITS: Final = FEATURES.index("visits")
_MEAN_SPEND: Final = FEATURES.index("mean_spend")


def mark(rows: Rows, at: Millis, policy: Policy) -> None:
    """Mark pending snapshots whose horizon this activity (n,) falls into, in place."""
    if not rows["pending"].any():
        return
    rows["snapshots"]["active"] |= _how_soon(rows, at, policy)


def mark_closed(rows: Rows, at: int, policy: Policy, *, involuntary: bool) -> None:
    """Mark pending snapshots whose horizon the end of an account falls into, in place.

    What is told of payments later may change how it ended: the last word counts.
    """
    soon = _how_soon(rows, np.full(len(rows), at), policy)
    way = np.uint8(INVOLUNTARY if involuntary else 0)
    closed = rows["snapshots"]["closed"]
    said = closed & np.uint8(IN_HORIZON | IN_STEP) | soon | way
    rows["snapshots"]["closed"] = np.where(soon, said, closed)


def _how_soon(rows: Rows, at: Millis, policy: Policy) -> NDArray[np.uint8]:
    """Return the bits (n, PENDING) of how soon after each pending snapshot ``at`` is."""
    found = _within(rows, at, policy.horizon_ms) * np.uint8(IN_HORIZON)
    found |= _within(rows, at, policy.step_ms) * np.uint8(IN_STEP)
    return found


def _within(rows: Rows, at: Millis, window: int) -> Mask:
    """Tell (n, PENDING) which pending snapshots were taken at most ``window`` before ``at``."""
    taken = rows["snapshots"]["at"]
    inside: Mask = (taken < at[:, None]) & (at[:, None] <= taken + window)
    inside &= np.arange(PENDING) < rows["pending"][:, None]
    return inside


def ripen(step: Step, table: CustomerTable, policy: Policy) -> None:
    """Emit an example for each label that is known: of horizons, then of steps, oldest first."""
    _ripen_steps(step, policy)
    _drop_learned(step.rows, policy)
    order = 0
    while len(which := _ripe(step, policy)):
        some = step.rows[which]
        oldest = _drop_oldest(some)
        step.rows[which] = some
        saw = unpack(oldest)
        spent = _spent(oldest, saw, some["spend"], step.now[which], policy).tolist()
        markets = [table.profile(index).market or "" for index in step.indices[which].tolist()]
        measures = zip(spent, markets, strict=True)
        _emit(step, order, which, oldest, saw, IN_HORIZON, measures, policy)
        order += 1


def _ripen_steps(step: Step, policy: Policy) -> None:
    """Emit what is learned of each snapshot whose step is over."""
    snapshots = step.rows["snapshots"]
    over = snapshots["at"] + (policy.step_ms + policy.grace_ms) <= step.now[:, None]
    over &= np.arange(PENDING) < step.rows["pending"][:, None]
    over &= snapshots["stepped"] == 0
    for place in np.flatnonzero(over.any(axis=0)).tolist():
        which = np.flatnonzero(over[:, place])
        ripe = snapshots[which, place]
        snapshots["stepped"][which, place] = 1
        measures = repeat((0.0, ""))
        _emit(step, PENDING + place, which, ripe, unpack(ripe), IN_STEP, measures, policy)


def _drop_learned(rows: Rows, policy: Policy) -> None:
    """Remove the snapshots that were learned from and are not to be measured, in place."""
    every = measured_every(policy)
    if every == 1:
        return
    snapshots = rows["snapshots"]
    gone = (np.arange(PENDING) < rows["pending"][:, None]) & (snapshots["stepped"] == 1)
    gone &= _turn_number(rows, snapshots["at"].T // SLOT_MS, policy).T % every != 0
    which = np.flatnonzero(gone.any(axis=1))
    left = np.argsort(gone[which], axis=1, kind="stable")
    kept = np.take_along_axis(snapshots[which], left, axis=1)
    rows["pending"][which] -= np.count_nonzero(gone[which], axis=1).astype(np.uint8)
    kept[np.arange(PENDING) >= rows["pending"][which][:, None]] = np.zeros((), kept.dtype)
    rows["snapshots"][which] = kept


@lru_cache
def measured_every(policy: Policy) -> int:
    """Return m: of a customer's snapshots, every m-th is measured, so that each finds a place.

    1 where there are places for all, and where there are not even places to learn from all.
    """
    turn = policy.cadence_days * DAY_MS
    held = -(-(policy.horizon_ms + policy.grace_ms) // turn)
    learning = -(-(policy.step_ms + policy.grace_ms) // turn)
    for every in range(1, held + 1):
        needs = [
            sum(ago < learning or ago % every == newest for ago in range(held))
            for newest in range(every)
        ]
        if max(needs) <= PENDING:
            return every
    return 1


def _emit(  # noqa: PLR0917  # one call for each kind of example
    step: Step,
    order: int,
    which: Indices,
    ripe: NDArray[np.void],
    saw: Floats,
    soon: int,
    measures: Iterable[tuple[float, str]],
    policy: Policy,
) -> None:
    """Emit examples.

    Parameters
    ----------
    ripe, saw
        The snapshots (n,), and the features (n, F) that they hold.
    soon
        What the label is of: `IN_STEP` to learn from, `IN_HORIZON` to be measured by.
    measures
        Spend and market of each that is measured.
    """
    # Nothing that was learned is in it, so that it need not wait with the snapshot.
    cold = heuristic(saw, Steps.of(policy.horizon_days)).astype(np.float32).tolist()
    found = zip(ripe, saw.tolist(), cold, step.now[which].tolist(), measures, strict=False)
    makes = [
        partial(_example, _Ripe(one, values, prior, now, *measure), soon, policy.horizon_ms)
        for one, values, prior, now, measure in found
    ]
    step.emit(order, which, makes)


def _spent(
    snapshots: NDArray[np.void],
    saw: Floats,
    spend: NDArray[np.int64],
    now: Millis,
    policy: Policy,
) -> Floats:
    """Return money (n,) spent over the horizon after each snapshot.

    What was spent before it is in its features. Spend is looked at a grace after the horizon's
    end; the horizon's share of that time is taken for its share of the money.
    """
    before = saw[:, _MEAN_SPEND] * saw[:, _VISITS]
    share = policy.horizon_ms / (now - snapshots["at"])
    spent = np.maximum(spend / MICROS - before, 0.0) * share
    return np.where(snapshots["active"] & IN_HORIZON, spent, 0.0)


def _ripe(step: Step, policy: Policy) -> Indices:
    known = _known_at(step.rows, policy) <= step.now
    return np.flatnonzero(known & (step.rows["pending"] > 0))


def _known_at(rows: Rows, policy: Policy) -> Millis:
    """Return when (n,) the label of each customer's oldest snapshot is known."""
    known_at: Millis = rows["snapshots"]["at"][:, 0] + policy.horizon_ms + policy.grace_ms
    return known_at


def _step_known_at(rows: Rows, policy: Policy) -> Millis:
    """Return when (n,) the next label of a step is known; far off without one."""
    snapshots = rows["snapshots"]
    waits = (np.arange(PENDING) < rows["pending"][:, None]) & (snapshots["stepped"] == 0)
    known_at = np.where(waits, snapshots["at"] + (policy.step_ms + policy.grace_ms), _FAR_OFF)
    soonest: Millis = known_at.min(axis=1)
    return soonest


def _drop_oldest(rows: Rows) -> NDArray[np.void]:
    """Remove the oldest snapshot from each row, in place, and return them (n,)."""
    oldest = rows["snapshots"][:, 0].copy()
    rows["snapshots"][:, : PENDING - 1] = rows["snapshots"][:, 1:].copy()
    rows["snapshots"][:, PENDING - 1] = np.zeros((), rows["snapshots"].dtype)
    rows["pending"] -= 1
    return oldest


class _Ripe(NamedTuple):
    """What an example is made of: a snapshot, what it held, and what became known."""

    snapshot: np.void
    features: list[float]
    heuristic: float
    now: int
    spent: float
    market: str


def _example(ripe: _Ripe, soon: int, horizon_ms: int, origin: Identity) -> Example:
    """Return the example of a label: `IN_STEP` is learned from, `IN_HORIZON` is measured by."""
    snapshot, features = ripe.snapshot, ripe.features
    recent = features[_RECENCY] <= 2 * horizon_ms / DAY_MS and features[_VISITS] > 0
    return Example(
        origin=origin,
        at=int(snapshot["at"]),
        labelled_at=ripe.now,
        features=features,
        silent=not snapshot["active"] & soon,
        predicted=float(snapshot["predicted"]),
        heuristic=ripe.heuristic,
        challenger=float(snapshot["challenger"]) or None,
        model=int(snapshot["model"]),
        recent=recent,
        closed=bool(snapshot["closed"] & soon),
        involuntary=_forced(snapshot, soon),
        learned=soon == IN_STEP,
        measured=soon == IN_HORIZON,
        spend=ripe.spent,
        market=ripe.market,
    )


def _forced(snapshot: np.void, soon: int) -> bool:
    """Tell whether the account was closed so soon, and involuntarily."""
    return bool(snapshot["closed"] & soon and snapshot["closed"] & INVOLUNTARY)


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
    label = np.minimum(label, -(-_step_known_at(rows, policy) // SLOT_MS))
    soonest: Slots = np.minimum(snapshot, label).astype(np.int32)
    return soonest


def _turn(rows: Rows, now: Millis, policy: Policy) -> Mask:
    """Tell (n,) who has an open account that is not paused, and is on its mark of its day."""
    slot = now // SLOT_MS
    turn: Mask = slot % SLOTS_A_DAY == phase(rows)
    turn &= _days_to_turn(rows, slot, policy) == 0
    turn &= (rows["closed"] == lifecycle.OPEN) & ~resting(rows)
    return turn


def _days_to_turn(rows: Rows, slot: Millis, policy: Policy) -> Millis:
    """Return the days (n,) from that of ``slot`` to the next on which a snapshot is taken."""
    return -_phased_day(rows, slot) % policy.cadence_days


def _turn_number(rows: Rows, slot: Millis, policy: Policy) -> Millis:
    """Return the number (..., n) of the turn at ``slot`` (..., n) of each customer."""
    return _phased_day(rows, slot) // policy.cadence_days


def _phased_day(rows: Rows, slot: Millis) -> Millis:
    """Return the day of ``slot``, moved by the phase of each customer."""
    day: Millis = slot // SLOTS_A_DAY + (rows["hash"] // np.uint64(SLOTS_A_DAY)).astype(np.int64)
    return day


def _put(rows: Rows, at: Millis, features: Floats, model: Served) -> None:
    """Add a snapshot to each row, in place; rows have a free place.

    An activity may be known already that lies a little ahead of the partition's time.
    """
    here, place, snapshots = np.arange(len(rows)), rows["pending"], rows["snapshots"]
    snapshots["at"][here, place] = at
    pack(features, snapshots, (here, place))
    snapshots["predicted"][here, place] = model.scorer.predict(features)
    shadow = model.challenger
    snapshots["challenger"][here, place] = shadow.predict(features) if shadow else 0.0
    snapshots["model"][here, place] = model.version
    ahead = rows["last_at"] > at
    snapshots["active"][here, place] = ahead * np.uint8(IN_HORIZON | IN_STEP)
    rows["pending"] += 1
