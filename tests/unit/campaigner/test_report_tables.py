"""A report as people read it: signs, points, and a warning where the arms are not as meant."""

import io
from typing import Any

import msgspec
from rich.console import Console

from services.campaigner.report_tables import money, report_tables, share
from shared.domain.campaign_report import report_on
from tests.unit.domain.test_campaign_report import sums


def shown(report: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=160)
    for table in report_tables(report):
        console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def as_answered(*parts: Any) -> dict[str, Any]:  # noqa: ANN401
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(report_on("x", list(parts))))
    return found


def test_uplift_is_shown_with_its_interval() -> None:
    text = shown(
        as_answered(
            sums("treatment", 1_000, 400, margin=5.0, cost=500.0),
            sums("control", 1_000, 300, margin=4.0),
        )
    )
    assert "+10.0 points (95 %: +" in text
    assert "+100%" in text
    assert "40.0%" in text
    assert "1,000 held out, 1,000 meant, balanced" in text


def test_what_is_not_known_is_not_shown_as_a_number() -> None:
    assert share(None) == money(None) == "too few measured to tell"
    assert "too few measured to tell" in shown(as_answered(sums("treatment", 10, 4)))


def test_arms_that_are_not_as_meant_are_called_so() -> None:
    lost = as_answered(sums("treatment", 1_000, 400), sums("control", 700, 300))
    assert "NOT BALANCED" in shown(lost)


def test_a_negative_amount_keeps_its_sign() -> None:
    interval = {"estimate": -1.5, "low": -2.0, "high": -1.0}
    assert money(interval) == "-1.50 (95 %: -2.00 to -1.00)"
    assert share(interval) == "-150.0 points (95 %: -200.0 to -100.0)"
