"""The fold: how one event changes a customer's row; one event a row, many rows at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.domain import labels
from shared.domain.batch import Events
from shared.domain.customer import DEDUP_WINDOW, Rows
from shared.domain.features import fold_activity
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
    rows["untold"] = 1
    rows["purchases"] += events["bought"]
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
        _fold_activity(rows, events, policy)
    elif len(active):
        some = rows[active]
        _fold_activity(some, events[active], policy)
        rows[active] = some


def _fold_activity(rows: Rows, events: Events, policy: Policy) -> None:
    labels.mark(rows, events["at"], policy)
    fold_activity(rows, events["at"], events["amount"], events["service"], events["quantity"])
