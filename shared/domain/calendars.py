"""What a calendar adds to the odds of silence: weeks since a plan began, and the season.

A course has its deadlines, a prepaid plan its validity, a bill its cycle: what a customer on a plan
does next depends on how far the plan is and on how the customer stands in it. Each cell (family,
age of the plan, visits, recency), coarse to fine, has an effect in log odds. All cells of a
customer share in explaining an outcome; each moves by its own information and is shrunk to
nothing where it has seen little (a diagonal Newton step from a normal prior).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RECENCY: Final = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)  # in horizons
VISITS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 25, 32, 45, 64, 100, 200)
_R, _N, _A = len(RECENCY) + 1, len(VISITS) + 1, 122  # recencies, visits, ages (0: unknown)
_FAMILIES: Final = 64  # families with cells of their own; others share the general ones
_PLANS: Final = 4096
#: Cells that are kept: some 6 MB of a snapshot, which has two models and must not pass
#: `topics.LARGEST_MODEL_BYTES`.
_CELLS: Final = 100_000
_STALE_DAYS: Final = 365.0  # a plan or family not met for so long gives its place to a new one
_SEASONS: Final = 13
_YEAR: Final = 365.25
_SEASON_PRIOR: Final = 1 / 10  # the same for a season, as a share of the labels in a horizon

#: Cells from coarse to fine: which of (family, age, visits, recency) tell them apart.
_LEVELS: Final = (
    (False, False, True, True),
    (True, False, True, True),
    (False, True, False, False),
    (True, True, False, False),
    (True, True, False, True),
    (True, True, True, True),
)


class Place(NamedTuple):
    """Where a customer stands: family (index, -1 for others), and keys of cells, coarse to fine."""

    family: int
    keys: list[int]


class Plans:
    """Effects by family of plans, age of the plan, visits and recency.

    Parameters
    ----------
    prior
        Information that a cell has to gather before half of it is believed.
    """

    def __init__(self, prior: float) -> None:
        self._prior = prior
        # All of these in the order in which they were last met.
        self._families: dict[int, tuple[int, float]] = {}  # code: index, day
        self._plans: dict[int, tuple[float, float]] = {}  # code: first day, day
        self._cells: OrderedDict[int, list[float]] = OrderedDict()  # key: effect, information

    def meet(self, plan: int, family: int, began: float, day: float) -> None:
        """Take note of a plan on which somebody was active.

        Where there is no place for another, the one that was met least recently gives way, if that
        is a year ago: places that went to and fro would teach nothing.

        Parameters
        ----------
        plan, family
            Their codes.
        began
            Days since 1970 of somebody's first activity on it.
        day
            Days since 1970, now.
        """
        first, _ = self._plans.pop(plan, (began, day))
        if len(self._plans) < _PLANS or _drop_stale(self._plans, day) is not None:
            self._plans[plan] = (min(first, began), day)
        index = self._index_of(family, day)
        if index is not None:
            self._families[family] = (index, day)

    def _index_of(self, family: int, day: float) -> int | None:
        """Take a family's index out, or one for a new family; None where there is none left."""
        if family in self._families:
            return self._families.pop(family)[0]
        if len(self._families) < _FAMILIES:
            return len(self._families)
        dropped = _drop_stale(self._families, day)
        if dropped is None:
            return None
        index = int(dropped[0])
        own = [key for key in self._cells if _is_of(index, key)]
        for key in own:
            del self._cells[key]
        return index

    def age(self, plan: int, day: float, own: float) -> float:
        """Return the age of a plan in days, NaN when unknown.

        Parameters
        ----------
        plan
            Its code.
        day
            Days since 1970.
        own
            Days since the customer's own first activity on it, 0 for none: a plan is no younger,
            and a new one is not met before its first label is ripe.
        """
        known = day - self._plans.get(plan, (math.inf, 0.0))[0]
        age = max(known, own if own > 0.0 else -math.inf)
        return age if age >= 0.0 else math.nan

    def place(self, family: int, age: float, visits: float, silent: float) -> Place:
        """Return where a customer stands; plan's age in steps, recency in horizons."""
        index = self._families.get(family, (-1, 0.0))[0]
        half = 0 if math.isnan(age) else int(min(age * 2.0, _A - 2.0)) + 1
        bins = (half, bisect_right(VISITS, visits), bisect_right(RECENCY, silent))
        return Place(index, _keys(index, *bins))

    def effect(self, place: Place) -> float:
        """Return the sum of the place's cells, in log odds."""
        known = filter(None, map(self._cells.get, place.keys))
        return math.fsum([effect for effect, _ in known])

    def learn(self, place: Place, gradient: float, information: float) -> None:
        """Move the place's cells; gradient p - y, information p (1 - p)."""
        for key in place.keys:
            cell = self._cells.setdefault(key, [0.0, 0.0])
            cell[1] += information
            cell[0] -= gradient / (self._prior + cell[1])
            self._cells.move_to_end(key)
        while len(self._cells) > _CELLS:
            self._cells.popitem(last=False)

    def table(self) -> PlanTable:
        """Return a frozen copy that is looked up by many at once."""
        effects = np.zeros((len(self._families) + 1, _A, _N, _R))
        for key in sorted(self._cells):
            level, family, where = _unpack(key)
            if level in {0, 2}:
                effects[(slice(None), *where)] += self._cells[key][0]
            else:
                effects[(family, *where)] += self._cells[key][0]
        families = {code: index for code, (index, _) in self._families.items()}
        began = {code: first for code, (first, _) in self._plans.items()}
        return PlanTable(_sorted_map(families), _sorted_map(began), effects)

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values, in its order."""
        return {
            "families": [[code, *found] for code, found in self._families.items()],
            "plans": [[code, *found] for code, found in self._plans.items()],
            "cells": [[key, *cell] for key, cell in self._cells.items()],
        }

    def restore(self, state: dict[str, Any], day: float) -> None:
        """Put back what `dump` returned; in the first states all was met by ``day``."""
        if "began" in state:
            state = state | {
                "families": [[code, n, day] for n, code in enumerate(state["families"])],
                "plans": [[*each, day] for each in state["began"]],
            }
        self._families = {code: (index, met) for code, index, met in state["families"]}
        self._plans = {code: (first, met) for code, first, met in state["plans"]}
        self._cells = OrderedDict((key, [effect, seen]) for key, effect, seen in state["cells"])


@dataclass(frozen=True)
class PlanTable:
    """`Plans` at one moment, as arrays.

    Attributes
    ----------
    families, began
        Sorted codes, and what belongs to each: index of a family, first day of a plan.
    effects
        (families + 1, ages, visits, recencies) sums of all levels; the last is for other families.
    """

    families: tuple[Ints, Ints]
    began: tuple[Ints, Floats]
    effects: Floats

    def rows(self, family: Ints, visits: Floats) -> Ints:
        """Return the part of a place that silence does not change, as (n,) numbers."""
        known, index = _look_up(self.families, family)
        number = np.where(known, index, len(self.effects) - 1).astype(np.int64)
        return number * (_A * _N * _R) + np.searchsorted(VISITS, visits, side="right") * _R

    def ages(self, plan: Ints, day: Floats, own: Floats) -> Floats:
        """Return the ages of plans (n,) as `Plans.age` does."""
        known, began = _look_up(self.began, plan)
        age = np.maximum(np.where(known, day - began, -np.inf), np.where(own > 0.0, own, -np.inf))
        return np.where(age >= 0.0, age, np.nan)

    def effect(self, rows: Ints, age: Floats, silent: Floats) -> Floats:
        """Return the effects (n,) of places; plan's age in steps, recency in horizons."""
        half = np.where(np.isnan(age), -1.0, np.minimum(np.floor(age * 2.0), _A - 2.0))
        bins = (half.astype(np.int64) + 1) * (_N * _R)
        places = rows + bins + np.searchsorted(RECENCY, silent, side="right")
        found: Floats = self.effects.ravel()[places]
        return found


class Seasons:
    """Effect of each four weeks of the year, learned once a whole horizon has been seen.

    In the first year a season only keeps its own weeks from moving the level of the others; after
    that it is what to expect.
    """

    def __init__(self) -> None:
        self._effects = [0.0] * _SEASONS
        self._seen = [0.0] * _SEASONS

    def effect(self, day: float) -> float:
        """Return the log odds that the season of a day (since 1970) adds."""
        return self._effects[season(day)]

    def learn(self, day: float, gradient: float, information: float, pace: float) -> None:
        """Move the season of a day; ``pace`` is the number of labels in a horizon."""
        index = season(day)
        self._seen[index] += information
        self._effects[index] -= gradient / (_SEASON_PRIOR * pace + self._seen[index])

    def table(self) -> Floats:
        """Return the effects (13,)."""
        return np.array(self._effects)

    def dump(self) -> list[list[float]]:
        """Return the state as JSON values."""
        return [self._effects[:], self._seen[:]]

    def restore(self, state: list[list[float]]) -> None:
        """Put back what `dump` returned."""
        self._effects, self._seen = state[0][:], state[1][:]


def season(day: float) -> int:
    """Return the season (0-12) of a day since 1970."""
    return int((day % _YEAR) / _YEAR * _SEASONS)


def seasons(day: Floats) -> Ints:
    """Return the season of each of (n,) days."""
    return ((day % _YEAR) / _YEAR * _SEASONS).astype(np.int64)


def _keys(family: int, age: int, visits: int, recency: int) -> list[int]:
    """Return the keys of a place's cells, coarse to fine."""
    keys = []
    for level, (of_family, of_age, of_visits, of_recency) in enumerate(_LEVELS):
        if of_family and family < 0:
            continue
        key = level * (_FAMILIES + 1) + (family if of_family else 0)
        key = (key * _A + (age if of_age else 0)) * _N + (visits if of_visits else 0)
        keys.append(key * _R + (recency if of_recency else 0))
    return keys


def _drop_stale(kept: dict[int, tuple[Any, float]], day: float) -> tuple[Any, float] | None:
    """Take out what was met least recently if that is long ago, and return it."""
    code = next(iter(kept))
    return kept.pop(code) if kept[code][1] < day - _STALE_DAYS else None


def _is_of(family: int, key: int) -> bool:
    """Tell whether a cell is a family's own."""
    level, found, _ = _unpack(key)
    return _LEVELS[level][0] and found == family


def _unpack(key: int) -> tuple[int, int, tuple[Any, ...]]:
    """Return level, family, and the place's index into (ages, visits, recencies)."""
    key, recency = divmod(key, _R)
    key, visits = divmod(key, _N)
    key, age = divmod(key, _A)
    level, family = divmod(key, _FAMILIES + 1)
    used = _LEVELS[level][1:]
    where = zip(used, (age, visits, recency), strict=True)
    return level, family, tuple(at if told else slice(None) for told, at in where)


def _sorted_map(found: Mapping[int, float]) -> tuple[Ints, NDArray[Any]]:
    codes = sorted(found)
    return np.array(codes, np.int64), np.array([found[code] for code in codes])


def _look_up(
    table: tuple[Ints, NDArray[Any]], codes: Ints
) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Tell (n,) which codes are known, and return what belongs to each."""
    known, values = table
    if not len(known):
        return np.zeros(len(codes), np.bool_), np.zeros(len(codes), values.dtype)
    at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return known[at] == codes, values[at]
