"""Where one thing alone decides who leaves, the model finds it, and says so."""

from functools import cache

import numpy as np
import pytest

from shared.domain.evaluation import Tally
from shared.domain.features import FEATURES
from shared.domain.outputs import Example
from shared.domain.signals import SIGNALS
from shared.domain.signs import SIGNS
from tests.unit.domain import leaving
from tests.unit.domain.leaving import Cause, day, features, learned

CUT = day(210)
FIRST = FEATURES.index(SIGNS[0])
#: What decides, and the signals that tell of it.
CAUSES: list[tuple[Cause, set[str]]] = [
    (leaving.failed_payments, {"payments_failed"}),
    (leaving.overdue_bills, {"overdue"}),
    (leaving.notices, {"notice_ends"}),
    (leaving.contracts, {"contract_ends"}),
    (leaving.complaints, {"complained"}),
    (leaving.ratings, {"low_rating"}),
    (leaving.limits, {"near_limit", "unused"}),
]


@cache
def known(cause: Cause, seed: int) -> list[Example]:
    return leaving.examples(leaving.stream(cause, 400, seed))


def measured(cause: Cause, seed: int, columns: int | None) -> Tally:
    """Return how well closings after the cut are foretold by what was known then."""
    scorer = learned(known(cause, seed), until=CUT, columns=columns).scorer()
    after = [one for one in known(cause, seed) if one.measured and one.at > CUT]
    found = Tally()
    said = scorer.predict_closed(features(after)[:, :columns])
    for p, one in zip(said.tolist(), after, strict=True):
        found.update(p, one.closed)
    return found


@pytest.mark.parametrize(("cause", "names"), CAUSES, ids=lambda one: getattr(one, "__name__", ""))
def test_who_leaves_is_told_better_than_without(cause: Cause, names: set[str]) -> None:
    """Two streams together have some 350 closings: an AUC's standard error is under .02."""
    knowing, blind = Tally(), Tally()
    for seed in (1, 2):
        knowing.merge(measured(cause, seed, None))
        blind.merge(measured(cause, seed, FIRST))
    assert knowing.positives > 150
    assert knowing.auc() > blind.auc() + 0.05
    weights = learned(known(cause, 1), until=CUT).scorer().closure.signals.weights
    told = {name for name, weight in zip(SIGNALS, weights, strict=True) if weight > 0.7}
    assert names <= told
    if cause in {leaving.notices, leaving.contracts, leaving.limits, leaving.ratings}:
        assert knowing.log_loss() < blind.log_loss() - 0.02


def test_a_notice_ends_an_account_when_it_ends_and_not_before() -> None:
    scorer = learned(known(leaving.notices, 1), until=CUT).scorer()
    x = np.zeros((3, len(FEATURES)))
    x[:] = np.median(features(known(leaving.notices, 1)), axis=0)
    x[:, FIRST:] = 0.0
    x[1:, FEATURES.index("notice")] = 1
    x[1:, FEATURES.index("ends")] = [11, 60]
    none, soon, later = scorer.predict_closed(x)
    assert soon > 0.8
    assert none < 0.2
    assert later < soon / 2
