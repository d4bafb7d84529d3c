"""The fold: how one event changes a customer's row. One event per row at a time, many rows at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.domain.batch import Events
from shared.domain.customer import DEDUP_WINDOW, PENDING, Rows
from shared.domain.features import Floats, Millis, fold_activity
from shared.domain.policy import Policy

Mask = NDArray[np.bool_]


def repeated(rows: Rows, events: Events) -> Mask:
    """Tell (n,) which events were folded into their row already."""
    same: Mask = (rows["seen"] == events["identity"][:, None]).any(axis=1)
    return same


def fold_events(rows: Rows, events: Events, policy: Policy) -> None:
    """Fold one event into each row, in place; rows (n,) are copies of distinct customers."""
    _remember(rows, events)
    rows["first_seen"] = np.where(
        rows["events"] == 0, events["at"], np.minimum(rows["first_seen"], events["at"])
    )
    rows["events"] += 1
    for name, column in (("revenue", "amount"), ("margin", "margin"), ("cost", "cost")):
        rows[name] += events[column]
    _fold_activities(rows, events, policy)


def _remember(rows: Rows, events: Events) -> None:
    here = np.arange(len(rows))
    rows["seen"][here, rows["seen_next"]] = events["identity"]
    rows["seen_next"] = (rows["seen_next"] + 1) % DEDUP_WINDOW


def _fold_activities(rows: Rows, events: Events, policy: Policy) -> None:
    active = np.flatnonzero(events["active"])
    if len(active) == len(rows):
        _mark_snapshots(rows, events["at"], policy)
        fold_activity(rows, events["at"], events["amount"])
    elif len(active):
        some = rows[active]
        _mark_snapshots(some, events["at"][active], policy)
        fold_activity(some, events["at"][active], events["amount"][active])
        rows[active] = some


def _mark_snapshots(rows: Rows, at: Millis, policy: Policy) -> None:
    """Mark pending snapshots whose horizon this activity falls into: the customer came back."""
    taken = rows["snapshots"]["at"]
    inside = (taken < at[:, None]) & (at[:, None] <= taken + policy.horizon_ms)
    rows["snapshots"]["active"] |= inside


def take_snapshots(
    rows: Rows, at: Millis, features: Floats, predicted: Floats, heuristic: Floats, model: int
) -> None:
    """Add a label snapshot to each row, in place; rows have a free place."""
    here, place = np.arange(len(rows)), rows["pending"]
    snapshots = rows["snapshots"]
    snapshots["at"][here, place] = at
    snapshots["features"][here, place] = features
    snapshots["predicted"][here, place] = predicted
    snapshots["heuristic"][here, place] = heuristic
    snapshots["model"][here, place] = model
    snapshots["active"][here, place] = 0
    rows["pending"] += 1


def ripe(rows: Rows, now: Millis, policy: Policy) -> Mask:
    """Tell (n,) whether the oldest pending snapshot's label is known at ``now``."""
    due = rows["snapshots"]["at"][:, 0] + policy.horizon_ms + policy.grace_ms <= now
    known: Mask = due & (rows["pending"] > 0)
    return known


def drop_oldest(rows: Rows) -> NDArray[np.void]:
    """Remove the oldest pending snapshot from each row, in place, and return them (n,)."""
    oldest = rows["snapshots"][:, 0].copy()
    rows["snapshots"][:, : PENDING - 1] = rows["snapshots"][:, 1:].copy()
    rows["snapshots"][:, PENDING - 1] = np.zeros((), rows["snapshots"].dtype)
    rows["pending"] -= 1
    return oldest
