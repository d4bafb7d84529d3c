"""A campaign's report as tables for people."""

from __future__ import annotations

from typing import Any, Final

from rich.table import Table

_ARMS: Final = ("treatment", "control")
#: Below this the arms are not what they were meant to be, by convention for this test.
_UNBALANCED: Final = 0.001


def report_tables(report: dict[str, Any]) -> list[Table]:
    """Return the tables of a report, as the API answers it."""
    return [_arms(report), _effects(report)]


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
        "arm", "enrolled", "measured", "retained", "revenue", "margin", "opted out", box=None
    )
    for name in _ARMS:
        arm = report[name]
        rate = f"{arm['retained'] / arm['measured']:.1%}" if arm["measured"] else "-"
        amounts = (f"{arm[each]:,.2f}" for each in ("revenue", "margin"))
        counts = (f"{arm[each]:,}" for each in ("enrolled", "measured"))
        table.add_row(name, *counts, rate, *amounts, f"{arm['opted_out']:,}")
    return table


def _effects(report: dict[str, Any]) -> Table:
    table = Table("per customer", "uplift", box=None)
    table.add_row("retained", share(report["retention"]))
    table.add_row("opted out", share(report["opt_outs"]))
    table.add_row("revenue", money(report["revenue"]))
    table.add_row("margin", money(report["margin"]))
    table.add_row("cost", f"{report['cost']:,.2f}")
    gained, on_spend = report["incremental_margin"], report["return_on_spend"]
    table.add_row("margin brought", "-" if gained is None else f"{gained:,.2f}")
    table.add_row("return on spend", "-" if on_spend is None else f"{on_spend:+.0%}")
    table.add_row("arms", _balance(report["balance"]))
    return table


def _balance(found: dict[str, Any]) -> str:
    expected = f"{found['control']:,} held out, {found['expected_control']:,.0f} meant"
    if found["p_value"] < _UNBALANCED:
        return f"{expected}: NOT BALANCED (p {found['p_value']:.1g}), do not trust the uplift"
    return f"{expected}, balanced"
