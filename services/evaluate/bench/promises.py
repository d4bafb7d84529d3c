"""What the model is to be, and where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from services.evaluate.bench.findings import OURS, Beside, Measured, Promise
from services.evaluate.report import Figures

#: Whom it is to rank as well as, and whose log loss it may exceed by no more than `SLACK`.
RANKED: Final = ("lightgbm", "lightgbm_plan", "mbg_nbd")
BOOSTED: Final = ("lightgbm", "lightgbm_plan")
SLACK: Final = 0.005
#: The calibration error that is allowed: as a rule, with horizons longer than `LONG` days, and at
#: cuts of customers on plans.
ECE: Final = 0.03
ECE_LONG: Final = 0.05
ECE_PLANS: Final = 0.10
LONG: Final = 91


def promises(measures: Iterable[Measured]) -> list[Promise]:
    """Return every promise of every row of figures, kept or not."""
    return [each for measured in measures for each in _of(measured)]


def ece_bound(measured: Measured, *, at_cut: bool) -> float:
    """Return the calibration error that is allowed."""
    if measured.on_plans and at_cut:
        return ECE_PLANS
    return ECE_LONG if measured.horizon_days > LONG else ECE


def _of(measured: Measured) -> Iterator[Promise]:
    for at_cut, beside in ((False, measured.said.prequential), (True, measured.said.at_cut)):
        if beside and beside[OURS].n:
            bound = ece_bound(measured, at_cut=at_cut)
            yield from _kept(measured.name, beside, bound, at_cut=at_cut)


def _kept(name: str, beside: Beside, ece: float, *, at_cut: bool) -> Iterator[Promise]:
    ours = beside[OURS]

    def held(figure: str, bound: float | None, anchor: str | None) -> Iterator[Promise]:
        found: float | None = getattr(ours, figure)
        if found is not None and bound is not None:
            distance = found - bound if figure == "auc" else bound - found
            yield Promise(name, at_cut, figure, anchor, bound, distance, distance >= 0.0)

    for anchor in RANKED:
        if anchor in beside:
            yield from held("auc", beside[anchor].auc, anchor)
    for anchor in BOOSTED:
        if anchor in beside:
            yield from held("log_loss", _with_slack(beside[anchor]), anchor)
    yield from held("ece", ece, None)


def _with_slack(theirs: Figures) -> float | None:
    return None if theirs.log_loss is None else theirs.log_loss + SLACK
