"""What the calendar of a plan adds to the odds of silence: weeks since it began.

A course has its deadlines, a prepaid plan its validity, a bill its cycle: what a customer on a plan
does next depends on how far the plan is and on how the customer stands in it. Each cell (family,
age of the plan, visits, recency), coarse to fine, has an effect in log odds. All cells of a
customer share in explaining an outcome; each moves by its own information and is shrunk to
nothing where it has seen little (a diagonal Newton step from a normal prior).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.domain.features import FEATURES
from shared.domain.hazard import Steps

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

#: Cells from coarse to fine: which of (family, age, visits, recency) tell them apart.
_LEVELS: Final = (
    (False, False, True, True),
    (True, False, True, True),
    (False, True, False, False),
    (True, True, False, False),
    (True, True, False, True),
    (True, True, True, True),
)
#: Those that families share.
_GENERAL: Final = [level for level, (of_family, *_) in enumerate(_LEVELS) if not of_family]
#: A cell's key is its level's first one, and so much for each (family, age, visits, recency).
_SHAPE: Final = (_FAMILIES + 1, _A, _N, _R)
_LEVEL: Final = math.prod(_SHAPE)
_FIRST_KEYS: Final = np.arange(len(_LEVELS)) * _LEVEL
_STRIDES: Final = np.array([_A * _N * _R, _N * _R, _R, 1])[:, None] * np.array(_LEVELS).T

_CODES: Final = [FEATURES.index(name) for name in ("plan", "family")]
_MET: Final = [FEATURES.index(name) for name in ("plan_days", "day", "visits")]
_PLAN, _COUNT, _RECENCY = (FEATURES.index(name) for name in ("plan", "visits", "recency"))


class Place(NamedTuple):
    """Where a customer on a plan stands.

    Attributes
    ----------
    keys
        Of its cells, coarse to fine.
    left
        The family (its index) that has given its place, with its cells, to this one just now.

    """

    keys: list[int]
    left: int | None


class Plans:
    """The plans and families that were met, and where customers stand on them."""

    def __init__(self) -> None:
        # In the order in which they were last met.
        self._families: dict[int, tuple[int, float]] = {}  # code: index, day
        self._plans: dict[int, tuple[float, float]] = {}  # code: first day, day

    def places(self, features: Floats, steps: Steps) -> list[Place | None]:
        """Return where (n, F) customers stand, each after taking note of the plans up to it.

        None stands for a customer without a plan. A plan on which nobody was active yet is not
        taken note of.
        """
        found: list[Place | None] = [None] * len(features)
        which = np.flatnonzero(features[:, _PLAN])
        if not len(which):
            return found
        some = features[which]
        codes, facts = some[:, _CODES].astype(np.int64).tolist(), some[:, _MET].tolist()
        met = [self._meet(*code, *fact) for code, fact in zip(codes, facts, strict=True)]
        families, ages, left = zip(*met, strict=True)
        age = np.array(ages) / steps.length
        half = np.where(np.isnan(age), 0.0, np.floor(np.minimum(age * 2.0, _A - 2.0)) + 1.0)
        visits = np.searchsorted(VISITS, some[:, _COUNT], side="right")
        recency = np.searchsorted(RECENCY, some[:, _RECENCY] / steps.horizon, side="right")
        bins = np.column_stack([families, half, visits, recency]).astype(np.int64)
        keys = (_FIRST_KEYS + bins @ _STRIDES).tolist()
        for n, known, index, leaves in zip(which.tolist(), keys, families, left, strict=True):
            found[n] = Place(known if index >= 0 else [known[j] for j in _GENERAL], leaves)
        return found

    def _meet(
        self, plan: int, family: int, own: float, day: float, visits: float
    ) -> tuple[int, float, int | None]:
        """Take note of a customer's plan, unless the customer was never active.

        Where there is no place for another, the one that was met least recently gives way, if that
        is a year ago: places that went to and fro would teach nothing.

        Returns
        -------
        The family's index (-1 where it has none), the age of the plan in days (NaN when unknown),
        and the index that was taken from another family.

        """
        left = None
        if visits:
            first, _ = self._plans.pop(plan, (day - own, day))
            if len(self._plans) < _PLANS or _drop_stale(self._plans, day) is not None:
                self._plans[plan] = (min(first, day - own), day)
            left = self._meet_family(family, day)
        index, _ = self._families.get(family, (-1, 0.0))
        return index, self._age(plan, day, own), left

    def _meet_family(self, family: int, day: float) -> int | None:
        """Take note of a family, and return the index that was taken from another one."""
        dropped = None
        if family in self._families:
            index, _ = self._families.pop(family)
        elif len(self._families) < _FAMILIES:
            index = len(self._families)
        else:
            dropped = _drop_stale(self._families, day)
            if dropped is None:
                return None
            index = dropped[0]
        self._families[family] = (index, day)
        return None if dropped is None else index

    def _age(self, plan: int, day: float, own: float) -> float:
        """Return the age of a plan in days, NaN when unknown.

        It is no younger than the customer's own time on it: a new plan is not met before its first
        label is ripe.
        """
        known = day - self._plans.get(plan, (math.inf, 0.0))[0]
        age = max(known, own if own > 0.0 else -math.inf)
        return age if age >= 0.0 else math.nan

    def codes(self) -> tuple[dict[int, int], dict[int, float]]:
        """Return the families' indices and the plans' first days, by their codes."""
        families = {code: index for code, (index, _) in self._families.items()}
        return families, {code: first for code, (first, _) in self._plans.items()}

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values, in its order."""
        return {
            "families": [[code, *found] for code, found in self._families.items()],
            "plans": [[code, *found] for code, found in self._plans.items()],
        }

    def restore(self, state: dict[str, Any], day: float) -> None:
        """Put back what `dump` returned; in the first states all was met by ``day``."""
        if "began" in state:
            state = {
                "families": [[code, n, day] for n, code in enumerate(state["families"])],
                "plans": [[*each, day] for each in state["began"]],
            }
        self._families = {code: (index, met) for code, index, met in state["families"]}
        self._plans = {code: (first, met) for code, first, met in state["plans"]}


#: Effect in log odds, and the information that it rests on.
Cell = list[float]
_NOTHING: Final[Cell] = [0.0, 0.0]


class Cells:
    """Effects by family of plans, age of the plan, visits and recency.

    Parameters
    ----------
    prior
        Information that a cell has to gather before half of it is believed.

    """

    def __init__(self, prior: float) -> None:
        self._prior = prior
        self._cells: OrderedDict[int, Cell] = OrderedDict()  # in the order they were last met
        # What the last table was made of, by level, and the cells that may differ from it since.
        self._parts: list[Floats] = []
        self._changed: dict[int, Cell] = {}

    def meet(self, place: Place) -> list[Cell]:
        """Return the cells of a place; those that it is the first to meet know nothing."""
        if place.left is not None:
            self._forget(place.left)
        cells, found = self._cells, []
        for key in place.keys:
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = [0.0, 0.0]
            else:
                cells.move_to_end(key)
            found.append(cell)
        self._changed.update(zip(place.keys, found, strict=True))
        while len(cells) > _CELLS:
            self._changed[cells.popitem(last=False)[0]] = _NOTHING
        return found

    def _forget(self, family: int) -> None:
        for key in [key for key in self._cells if _is_of(family, key)]:
            del self._cells[key]
            self._changed[key] = _NOTHING

    def learn(self, cells: list[Cell], gradient: float, information: float) -> None:
        """Move what `meet` returned; gradient p - y, information p (1 - p)."""
        for cell in cells:
            cell[1] += information
            cell[0] -= gradient / (self._prior + cell[1])

    def table(self, plans: Plans) -> PlanTable:
        """Return a frozen copy that is looked up by many at once."""
        families, began = plans.codes()
        shape = (len(families) + 1, _A, _N, _R)
        if not self._parts or len(self._parts[-1]) != len(families) + 1:
            self._parts = [np.zeros(np.where(told, shape, 1)) for told in _LEVELS]
            self._changed = dict(self._cells)
        keys = np.fromiter(self._changed, np.int64, len(self._changed))
        added = np.array([cell[0] for cell in self._changed.values()])
        levels, places = np.divmod(keys, _LEVEL)
        effects = np.zeros(shape)
        for level, part in enumerate(self._parts):
            some = levels == level
            part[np.unravel_index(places[some], _SHAPE)] = added[some]
            effects += part
        self._changed.clear()
        return PlanTable(_sorted_map(families), _sorted_map(began), effects)

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values, in its order."""
        return {"cells": [[key, *cell] for key, cell in self._cells.items()]}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `dump` returned."""
        self._cells = OrderedDict((key, [effect, seen]) for key, effect, seen in state["cells"])
        self._parts = []


def effect(cells: list[Cell]) -> float:
    """Return the sum of cells, in log odds."""
    return sum(added for added, _ in cells)


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


def _drop_stale(kept: dict[int, tuple[Any, float]], day: float) -> tuple[Any, float] | None:
    """Take out what was met least recently if that is long ago, and return it."""
    code = next(iter(kept))
    return kept.pop(code) if kept[code][1] < day - _STALE_DAYS else None


def _is_of(family: int, key: int) -> bool:
    """Tell whether a cell is a family's own."""
    level, place = divmod(key, _LEVEL)
    return level not in _GENERAL and place // (_A * _N * _R) == family


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
