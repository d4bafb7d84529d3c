"""Tariff fit: plans priced by hand for a use that is known."""

from pathlib import Path

import pytest

from services.campaigner.tariffs_cli import PlansFileError, read_plans
from shared.domain.dealings import Dealings, ServiceUse
from shared.domain.outputs import Profile, Score
from shared.domain.tariffs import MONTH_DAYS, Plan, Service, tariff_fit
from tests.campaign_builders import T0, score

PLANS = {
    "small": Plan(5.0, {"data": Service(2.0, 4.0), "voice": Service(100.0, 0.1)}),
    "large": Plan(20.0, {"data": Service(20.0, 1.0), "voice": Service()}),
    "no voice": Plan(1.0, {"data": Service(20.0, 1.0)}),
}


def using(plan: str | None = "small", **a_month: float) -> Score:
    """Return a customer who uses so much of services a month."""
    services = {
        name: ServiceUse(T0, 99.0, much / MONTH_DAYS, 1.0) for name, much in a_month.items()
    }
    return score(profile=Profile(plan=plan), dealings=Dealings(services=services))


def test_each_plan_is_priced_by_the_recorded_use() -> None:
    found = tariff_fit(using(data=6.0, voice=150.0), PLANS)
    assert found.use == pytest.approx({"data": 6.0, "voice": 150.0})
    by_hand = {"small": 5 + 4 * 4 + 50 * 0.1, "large": 20.0, "no voice": 1.0}
    assert {each.plan: each.cost for each in found.plans} == pytest.approx(by_hand)
    savings = {each.plan: each.saving for each in found.plans}
    assert savings["large"] == pytest.approx(6.0)
    assert savings["small"] == 0.0
    # what lacks a service that is used comes last, however cheap
    assert [each.plan for each in found.plans] == ["large", "small", "no voice"]
    assert [each.lacks for each in found.plans] == [[], [], ["voice"]]


@pytest.mark.parametrize(
    ("data", "voice", "signal"),
    [
        (1.9, 1.0, "near_limit"),
        (9.0, 1.0, "near_limit"),
        (1.0, 1.0, None),
        (0.1, 99.0, "near_limit"),
        (0.1, 9.0, "unused"),
        (0.0, 0.0, "unused"),
    ],
)
def test_a_plan_is_near_its_limit_or_unused(data: float, voice: float, signal: str) -> None:
    assert tariff_fit(using(data=data, voice=voice), PLANS).signal == signal


@pytest.mark.parametrize("plan", [None, "gone"])
def test_nothing_is_said_of_a_plan_that_is_not_known(plan: str | None) -> None:
    found = tariff_fit(using(plan, data=1.0), PLANS)
    assert (found.limits, found.signal) == (None, None)
    assert {each.saving for each in found.plans} == {None}


def test_a_plan_without_allowances_has_no_limit() -> None:
    flat = {"small": Plan(9.0, {"data": Service()})}
    found = tariff_fit(using(data=1e6), flat)
    assert (found.limits, found.signal, found.plans[0].cost) == (None, None, 9.0)


def test_the_table_of_plans_is_read_or_refused_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "plans.yaml"
    file.write_text("small: {fee: 5, services: {data: {allowance: 2, price: 4}}}")
    assert read_plans(file) == {"small": Plan(5.0, {"data": Service(2.0, 4.0)})}
    for wrong, said in (
        ("small: {fee: -1}", "small|fee"),
        ("small: {fee: 1, allowance: 2}", "allowance"),
        ("{", "Mend the file"),
        ("", "for example"),
    ):
        file.write_text(wrong)
        with pytest.raises(PlansFileError, match=said):
            read_plans(file)
    with pytest.raises(PlansFileError, match="Name a file that exists"):
        read_plans(tmp_path / "none.yaml")
