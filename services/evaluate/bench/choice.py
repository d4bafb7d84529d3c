"""Which configuration would be chosen, were one of the sets not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean

from services.evaluate.bench.findings import LeftOut, Measured, Row
from services.evaluate.bench.rows import DEPLOYED

#: By set and configuration: its log loss less that of the one deployed.
Differences = dict[str, dict[str, float]]


def left_out(measures: Iterable[Measured]) -> list[LeftOut]:
    """Leave each set out in turn; nothing is found where there are no others.

    The others choose the configuration with the lowest mean of its differences over them. Where
    none is below it, that is the one deployed.
    """
    known = differences(measures)
    if len(known) < 2:  # noqa: PLR2004 - one, and another
        return []
    return [_without(known, name) for name in known]


def differences(measures: Iterable[Measured]) -> Differences:
    """Return what each configuration's log loss is above that of the one deployed, by set.

    A set's is the mean over its measures, prequential and at cuts alike.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for measured in measures:
        of_set = found.setdefault(measured.data_set, {})
        deployed = measured.rows[DEPLOYED]
        for name, row in measured.rows.items():
            of_set.setdefault(name, []).extend(_above(row, deployed))
    return {
        data_set: {name: fmean(each) for name, each in of_set.items() if each}
        for data_set, of_set in found.items()
        if of_set.get(DEPLOYED)
    }


def means(known: Differences) -> dict[str, float]:
    """Return the mean over sets of each configuration's differences."""
    names = next(iter(known.values()), {})
    return {name: fmean(each[name] for each in known.values()) for name in names}


def _without(known: Differences, name: str) -> LeftOut:
    others = means({each: found for each, found in known.items() if each != name})
    row = min(others, key=others.__getitem__)  # the first of equals, so rather what is deployed
    return LeftOut(name, row, others[row], known[name][row])


def _above(row: Row, deployed: Row) -> Iterator[float]:
    pairs = ((row.prequential, deployed.prequential), (row.at_cut, deployed.at_cut))
    for ours, theirs in pairs:
        if ours and theirs and ours.log_loss is not None and theirs.log_loss is not None:
            yield ours.log_loss - theirs.log_loss
