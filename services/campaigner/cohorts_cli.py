"""`tenure cohorts`, `tenure sources`, `tenure referrers`: who stays, what winning them cost."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from services.campaigner.cli import AsJson, Key, Url, open_client, print_tables, table
from shared.domain.cohorts import CohortBy

#: As many months as fit beside each other; the page and the JSON have all.
_SHOWN: Final = 12


def cohorts(
    *,
    by: Annotated[CohortBy, typer.Option(help="What the customers of a cohort share.")] = "month",
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page with a plot to this file.", show_default=False),
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show retention by month of acquisition, or by source: who was active then or later."""
    found = _read("base/cohorts", url, key, by=by)
    if html is not None:
        # Plotly takes half a second to import.
        from services.campaigner.cohorts_page import write_page

        write_page(html, found)
    _show(found, _cohorts_table(found), as_json=as_json)


def sources(*, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show what each acquisition source cost and brought: conversion, trials, CAC, payback."""
    found = _read("base/sources", url, key)
    _show(found, _sources_table(found), as_json=as_json)


def referrers(
    *,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 20,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show who brought other customers, by how many of these paid for something."""
    found = _read("base/referrers", url, key, limit=limit)
    _show(found, _referrers_table(found), as_json=as_json)


def _read(what: str, url: str | None, key: str | None, **query: str | int) -> dict[str, Any]:
    with closing(open_client(url, key)) as client:
        return client.read(what, **query)


def _show(found: dict[str, Any], shown: Table, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found))
    elif shown.row_count:
        print_tables(shown)
    else:
        typer.echo("None so far.")


def _cohorts_table(found: dict[str, Any]) -> Table:
    longest = max((len(each["reached"]) for each in found["cohorts"]), default=0)
    months = range(min(longest, _SHOWN + 1))
    rows = [
        (each["name"], f"{each['customers']:,}", *_retention(each, months))
        for each in found["cohorts"]
    ]
    return table(found["by"], "customers", *(f"m{k}" for k in months), rows=rows)


def _retention(cohort: dict[str, Any], months: range) -> list[str]:
    shares = [
        f"{kept / reached:.0%}"
        for kept, reached in zip(cohort["retained"], cohort["reached"], strict=True)
    ]
    return [shares[k] if k < len(shares) else "" for k in months]


def _sources_table(found: dict[str, Any]) -> Table:
    rows = [
        (
            each["source"],
            f"{each['known']:,}",
            f"{each['converted']:,}",
            _share(each["conversion"]),
            f"{each['trials']:,}",
            _share(each["trial_conversion"]),
            *(_amount(each[name]) for name in ("cost", "cac", "monthly_margin")),
            _amount(each["payback_months"], 1),
            *(_amount(each[name]) for name in ("margin", "equity", "return_on_cost")),
        )
        for each in found["sources"]
    ]
    columns = (
        "source", "known", "paid", "share", "trials", "of them paid", "cost", "CAC",
        "margin a month", "payback (months)", "margin", "equity", "return on cost",
    )  # fmt: skip
    return table(*columns, rows=rows)


def _referrers_table(found: dict[str, Any]) -> Table:
    rows = [
        (
            each["customer"],
            f"{each['brought']:,}",
            f"{each['converted']:,}",
            _amount(each["margin"]),
            _amount(each["equity"]),
        )
        for each in found["referrers"]
    ]
    return table("customer", "brought", "of them paid", "their margin", "equity", rows=rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _amount(value: float | None, places: int = 2) -> str:
    return "-" if value is None else f"{value:,.{places}f}"
