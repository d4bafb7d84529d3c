"""A campaign's report: sums of both arms become uplift, cost and return."""

import pytest

from shared.domain.campaign_outputs import Arm
from shared.domain.campaign_report import UnitSums, report_on
from shared.domain.uplift import Sample


def sums(
    arm: Arm, measured: int, retained: int, *, share: float = 0.5, margin: float = 0.0,
    waiting: int = 0, cost: float = 0.0,
) -> UnitSums:  # fmt: skip
    """Return an arm in which each measured customer brought ``margin`` and ten times the revenue.

    Half of them a little more, half a little less.
    """
    squares = measured * (margin**2 + 0.01)
    return UnitSums(
        arm,
        share,
        measured + waiting,
        Sample(measured, float(retained), float(retained)),
        Sample(measured, 10 * measured * margin, 100 * squares),
        Sample(measured, measured * margin, squares),
        cost,
    )


def test_opt_outs_count_against_a_campaign_by_what_they_are_more_than_without_it() -> None:
    arms = [
        sums("treatment", 1_000, 300)._replace(opted_out=Sample(1_000, 80.0, 80.0)),
        sums("control", 1_000, 300)._replace(opted_out=Sample(1_000, 20.0, 20.0)),
    ]
    found = report_on("early-warning", arms)
    assert (found.treatment.opted_out, found.control.opted_out) == (80, 20)
    assert found.opt_outs is not None
    assert found.opt_outs.estimate == pytest.approx(0.06)
    assert found.opt_outs.low > 0


def test_the_arms_are_compared() -> None:
    found = report_on(
        "early-warning",
        [
            sums("treatment", 1_000, 400, margin=5.0, waiting=7, cost=500.0),
            sums("control", 1_000, 300, margin=4.0, waiting=9),
        ],
    )
    assert (found.treatment.enrolled, found.treatment.measured) == (1_007, 1_000)
    assert (found.control.enrolled, found.control.retained) == (1_009, 300)
    assert found.treatment.revenue == pytest.approx(50_000)
    assert found.retention is not None
    assert found.retention.estimate == pytest.approx(0.1)
    assert found.margin is not None
    assert found.margin.estimate == pytest.approx(1.0)
    assert found.revenue is not None
    assert found.revenue.estimate == pytest.approx(10.0)
    assert found.incremental_margin == pytest.approx(1_000.0)
    assert (found.cost, found.return_on_spend) == (500.0, pytest.approx(1.0))
    assert found.balance.control == 1_009
    assert found.balance.expected_control == pytest.approx(1_008)


def test_a_campaign_that_nobody_was_enrolled_in_has_an_empty_report() -> None:
    found = report_on("new", [])
    assert (found.treatment.enrolled, found.control.enrolled) == (0, 0)
    assert (found.retention, found.incremental_margin, found.return_on_spend) == (None, None, None)
    assert found.balance.p_value == 1.0


def test_without_a_control_group_nothing_is_claimed() -> None:
    found = report_on("all", [sums("treatment", 1_000, 400, share=0.0, margin=5.0, cost=50.0)])
    assert (found.retention, found.margin, found.return_on_spend) == (None, None, None)
    assert found.treatment.retained == 400


def test_shares_are_kept_apart() -> None:
    found = report_on(
        "changed",
        [
            sums("treatment", 900, 810, share=0.1),
            sums("control", 100, 90, share=0.1),
            sums("treatment", 500, 100, share=0.5),
            sums("control", 500, 100, share=0.5),
        ],
    )
    assert found.retention is not None
    assert found.retention.estimate == pytest.approx(0.0)
    assert found.balance.expected_control == pytest.approx(600)
