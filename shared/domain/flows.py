"""Flows between stages: who moved where, how long a stage lasted, and how many were won back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from msgspec import Struct

from shared.domain.lifecycle import STAGES
from shared.domain.outputs import Stage, Transition
from shared.domain.policy import DAY_MS


class Left(Struct, frozen=True):
    """What became of those who left a stage.

    Attributes
    ----------
    stage, moves
        The stage, and how often somebody left it.
    median_days
        How long it had lasted.
    to
        Moves by the stage that followed; those that nobody made are not in it.

    """

    stage: Stage
    moves: int
    median_days: float
    to: dict[Stage, int]


class Flows(Struct, frozen=True):
    """Moves between stages over some time.

    Attributes
    ----------
    first, last
        Times of the first and the last move, epoch milliseconds; ``None`` without any.
    customers
        How many moved.
    stages
        The stages that somebody left, in the order of the life cycle.
    lapsed, won_back
        How often somebody lapsed in that time, and how many of these lapses were won back in it.
    win_back_reach
        The share of the latter; ``None`` when nobody lapsed.
    median_days_to_win_back
        How long those had been lapsed; ``None`` without any.

    """

    first: int | None
    last: int | None
    customers: int
    stages: list[Left]
    lapsed: int
    won_back: int
    win_back_reach: float | None
    median_days_to_win_back: float | None


def flows(moves: Iterable[Transition]) -> Flows:
    """Add moves up, in any order; one that comes twice, by its origin, counts once."""
    distinct = {each.origin: each for each in moves}.values()
    lasted: defaultdict[Stage, list[int]] = defaultdict(list)
    to: defaultdict[Stage, defaultdict[Stage, int]] = defaultdict(lambda: defaultdict(int))
    for each in distinct:
        lasted[each.before].append(each.lasted_ms)
        to[each.before][each.after] += 1
    lapses = {(each.customer, each.at) for each in distinct if each.after == "lapsed"}
    returns = [
        each.lasted_ms
        for each in distinct
        if each.after == "won_back" and (each.customer, each.at - each.lasted_ms) in lapses
    ]
    times = [each.at for each in distinct]
    return Flows(
        first=min(times, default=None),
        last=max(times, default=None),
        customers=len({each.customer for each in distinct}),
        stages=[
            Left(stage, len(lasted[stage]), _median_days(lasted[stage]), _in_order(to[stage]))
            for stage in STAGES
            if stage in lasted
        ],
        lapsed=len(lapses),
        won_back=len(returns),
        win_back_reach=len(returns) / len(lapses) if lapses else None,
        median_days_to_win_back=_median_days(returns) if returns else None,
    )


def _median_days(lasted_ms: list[int]) -> float:
    return median(lasted_ms) / DAY_MS


def _in_order(counts: dict[Stage, int]) -> dict[Stage, int]:
    return {stage: counts[stage] for stage in STAGES if stage in counts}
