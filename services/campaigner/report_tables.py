"""A campaign's report as tables for people."""

from __future__ import annotations

from typing import Any, Final

from rich.table import Table
from rich.text import Text

_ARMS: Final = ("treatment", "control")
#: Below this the arms are not what they were meant to be, by convention for this test.
_UNBALANCED: Final = 0.001


def report_tables(report: dict[str, Any]) -> list[Table]:
    """Return the tables of a report, as the API answers it."""
    offers = [_offers(report["offers"])] if report["offers"] else []
    return [_arms(report), _effects(report), *offers]


def share(interval: dict[str, float] | None) -> str:
    """Write an uplift of a share in points, with its interval."""
    return _between(interval, lambda value: f"{100 * value:+.1f}", " points")


def money(interval: dict[str, float] | None) -> str:
    """Write an uplift of an amount, with its interval."""
    return _between(interval, lambda value: f"{value:+,.2f}", "")


def _between(interval: dict[str, float] | None, write: Any, unit: str) -> str:  # noqa: ANN401
    if interval is None:
        return "too few measured to tell"
    low, high = write(interval["low"]), write(interval["high"])
    return f"{write(interval['estimate'])}{unit} (95 %: {low} to {high})"


def _arms(report: dict[str, Any]) -> Table:
    table = Table(
        "arm", "enrolled", "measured", "retained", "revenue", "margin", "accepted", "complained",
        "opted out", "rating", box=None,
    )  # fmt: skip
    for name in _ARMS:
        arm = report[name]
        amounts = (f"{arm[each]:,.2f}" for each in ("revenue", "margin"))
        counts = (f"{arm[each]:,}" for each in ("enrolled", "measured"))
        told = (f"{arm[each]:,}" for each in ("accepted", "complained", "opted_out"))
        rating = "-" if arm["rating"] is None else f"{arm['rating']:.1f} ({arm['rated']:,})"
        table.add_row(name, *counts, _rate(arm, "retained"), *amounts, *told, rating)
    return table


def _rate(arm: dict[str, Any], what: str) -> str:
    return f"{arm[what] / arm['measured']:.1%}" if arm["measured"] else "-"


def _effects(report: dict[str, Any]) -> Table:
    table = Table("per customer", "uplift", box=None)
    table.add_row("retained", share(report["retention"]))
    table.add_row("accepted", share(report["acceptance"]))
    table.add_row("complained", share(report["complaints"]))
    table.add_row("opted out", share(report["opt_outs"]))
    table.add_row("revenue", money(report["revenue"]))
    table.add_row("margin", money(report["margin"]))
    table.add_row("lifetime value", money(report["clv"]))
    table.add_row("cost", f"{report['cost']:,.2f}")
    table.add_row("cost per acceptance", _amount(report["cost_per_acceptance"]))
    table.add_row("margin brought", _amount(report["incremental_margin"]))
    table.add_row("lifetime value brought", _amount(report["incremental_clv"]))
    on_spend = report["return_on_spend"]
    table.add_row("return on spend", "-" if on_spend is None else f"{on_spend:+.0%}")
    table.add_row("arms", _balance(report["balance"]))
    return table


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _offers(found: list[dict[str, Any]]) -> Table:
    table = Table(
        "offer", "got it", "measured", "accepted", "retained", "retained (uplift)",
        "margin (uplift)", "cost", box=None,
    )  # fmt: skip
    for each in found:
        arm = each["treatment"]
        counts = (f"{arm['enrolled']:,}", f"{arm['measured']:,}")
        rates = (_rate(arm, "accepted"), _rate(arm, "retained"))
        effects = (share(each["retention"]), money(each["margin"]))
        table.add_row(Text(each["offer"]), *counts, *rates, *effects, f"{each['cost']:,.2f}")
    return table


def _balance(found: dict[str, Any]) -> str:
    expected = f"{found['control']:,} held out, {found['expected_control']:,.0f} meant"
    if found["p_value"] < _UNBALANCED:
        return f"{expected}: NOT BALANCED (p {found['p_value']:.1g}), do not trust the uplift"
    return f"{expected}, balanced"
