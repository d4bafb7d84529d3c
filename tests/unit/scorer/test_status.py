"""When a scorer is ready: not before it has partitions, and all of them are restored."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from services.scorer.status import Status
from shared.settings import load_settings


def status(assigned: set[int], restored: set[int], **changes: bool) -> Status:
    app: dict[str, Any] = {"rebalancing": False, "started": True, "unassigned": False} | changes
    tps = {TP("customer-events", number) for number in assigned} | {TP("another", 7)}
    app["consumer"] = SimpleNamespace(assignment=lambda: tps)
    scorer = SimpleNamespace(workers=dict.fromkeys(restored))
    return Status(SimpleNamespace(**app), scorer, SimpleNamespace(), load_settings())


def test_a_scorer_is_ready_when_all_it_was_assigned_is_restored() -> None:
    assert status({0, 1}, {0, 1}).unready() is None


@pytest.mark.parametrize("restored", [set(), {0}, {0, 1, 2}])
def test_it_is_not_while_it_restores(restored: set[int]) -> None:
    assert status({0, 1}, restored).unready() == "restoring state"


@pytest.mark.parametrize(
    "changes", [{}, {"rebalancing": True}, {"unassigned": True}, {"started": False}]
)
def test_it_is_not_while_it_has_nothing(changes: dict[str, bool]) -> None:
    """Before its first assignment Faust says neither that it rebalances nor that it has none."""
    assert status(set(), set(), **changes).unready() == "waiting for an assignment of partitions"


@pytest.mark.parametrize("changes", [{"rebalancing": True}, {"unassigned": True}])
def test_it_is_not_while_partitions_are_shared_out_anew(changes: dict[str, bool]) -> None:
    assert status({0}, {0}, **changes).unready() == "waiting for an assignment of partitions"
