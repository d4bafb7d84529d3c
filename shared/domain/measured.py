"""The predictions of a backtest, with what came of them, as columns."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.churn_scorer import Scorer
from shared.domain.customer import CustomerTable, Indices
from shared.domain.emission import Effects
from shared.domain.features import FEATURES
from shared.domain.forecasts import Forecast, Labels, Outcome
from shared.domain.outputs import Example
from shared.domain.scoring import Served

_ROW: Final = np.dtype(
    [
        ("customer", "<u8"),  # hash of its id
        ("at", "<i8"),
        ("labelled_at", "<i8"),
        ("silent", "?"),
        ("closed", "?"),
        ("involuntary", "?"),
        ("p_silent", "<f8"),
        ("p_closed", "<f8"),
        ("p_involuntary", "<f8"),
        ("heuristic", "<f8"),
        ("challenger", "<f8"),
        ("recent", "?"),
        ("expected_spend", "<f8"),
        ("spend", "<f8"),
        ("features", "<f4", (len(FEATURES),)),
    ]
)

#: Fields of `Forecast` and of `Outcome`, in their order.
_SAID: Final = ("p_silent", "p_closed", "expected_spend", "p_involuntary")
_CAME: Final = ("silent", "closed", "spend", "involuntary")


class Measured:
    """Collects what is known at the end of each horizon.

    A snapshot keeps the probability of silence that was served; that of a closed account and
    expected spend are computed again from its features and the version of the model, bit for bit.

    Parameters
    ----------
    cold
        The scorer before any model was learned, version 0.

    """

    def __init__(self, cold: Scorer) -> None:
        self._cold = cold
        self._scorers = {0: cold}
        self._rows: list[NDArray[np.void]] = []

    def serve(self, model: Served) -> None:
        """Remember a model as far as it is asked again: what is said of plans takes megabytes."""
        kept = replace(model.scorer, plans=self._cold.plans, long_run=None)
        self._scorers[model.version] = kept

    def add(self, effects: Effects) -> None:
        """Take in what a stretch led to."""
        found = zip(effects.examples, effects.example_of, strict=True)
        measured = [(example, customer) for example, customer in found if example.measured]
        for version, some in groupby(measured, key=lambda one: one[0].model):
            self._rows.append(self._measure(version, list(some)))

    def _measure(self, version: int, found: list[tuple[Example, int]]) -> NDArray[np.void]:
        """Return the rows of snapshots that one version of the model scored."""
        features = np.array([example.features for example, _ in found])
        scorer, silent = self._scorers[version], np.array([one.predicted for one, _ in found])
        rows = np.array([_row(*one) for one in found], _ROW)
        rows["p_closed"] = scorer.predict_closed(features)
        rows["p_involuntary"] = scorer.predict_involuntary(features)
        rows["expected_spend"] = scorer.spend(features, silent)
        return rows

    def labels(self, table: CustomerTable) -> Labels:
        """Return all columns."""
        found = np.concatenate([np.empty(0, _ROW), *self._rows])
        return Labels(
            customer=_rows_of(found["customer"], table),
            at=found["at"],
            labelled_at=found["labelled_at"],
            forecast=Forecast(*(found[name] for name in _SAID)),
            outcome=Outcome(*(found[name] for name in _CAME)),
            heuristic=found["heuristic"],
            recent=found["recent"],
            features=found["features"].astype(np.float64),
            challenger=found["challenger"],
        )


def _row(example: Example, customer: int) -> tuple[object, ...]:
    """Return what an example tells itself, in the order of `_ROW`."""
    shadow = example.predicted if example.challenger is None else example.challenger
    return (
        customer, example.at, example.labelled_at, example.silent, example.closed,
        example.involuntary, example.predicted, 0.0, 0.0, example.heuristic, shadow, example.recent,
        0.0, example.spend, example.features,
    )  # fmt: skip


def _rows_of(hashes: NDArray[np.uint64], table: CustomerTable) -> Indices:
    """Return the row (n,) of each customer by the hash of its id."""
    known = table.rows["hash"][: len(table)]
    order = np.argsort(known)
    found: Indices = order[np.searchsorted(known[order], hashes)]
    return found
