"""`tenure months`, `tenure cash`: the base month by month, and the cash that is to come."""

from __future__ import annotations

import json
from contextlib import closing
from decimal import Decimal
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from services.campaigner.cli import AsJson, Key, Url, open_client, print_tables, table
from shared.domain.base_book import MonthsBy
from shared.domain.base_report import By

_CAME: Final = ("gained", "returned", "moved_in")
_WENT: Final = ("lost_voluntary", "lost_involuntary", "lost_silent", "lost_erased", "moved_out")
_BRIDGE: Final = (
    "opening", "new", "won_back", "expansion", "contraction", "churned", "moved_in", "moved_out",
    "closing",
)  # fmt: skip


def months(
    *,
    by: Annotated[MonthsBy, typer.Option(help="What the customers of a part share.")] = "all",
    last: Annotated[int, typer.Option(help="At most so many months.", min=1)] = 12,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show who came and went each month, churn, and how recurring revenue moved."""
    found = _read("base/months", url, key, by=by)
    for part in found["parts"]:
        part["months"] = part["months"][-last:]
    if as_json:
        typer.echo(json.dumps(found))
    elif found["parts"]:
        shown = (one for part in found["parts"] for one in (_moves(part), _bridge(part)))
        print_tables(*shown, apart=True)
    else:
        typer.echo("No customers so far.")


def cash(
    *,
    by: Annotated[By, typer.Option(help="What the customers of a group share.")] = "stage",
    months: Annotated[int, typer.Option(help="So many months.", min=1, max=60)] = 6,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show what the base is expected to spend in each of the next months."""
    found = _read("base/cash", url, key, by=by, months=months)
    if as_json:
        typer.echo(json.dumps(found))
        return
    rows = [
        (each["name"], f"{each['customers']:,}", *(f"{one:,.2f}" for one in each["months"]))
        for each in found["groups"]
    ]
    ahead = (f"month {k + 1}" for k in range(months))
    print_tables(table(by, "customers", *ahead, rows=rows))


def _read(what: str, url: str | None, key: str | None, **query: str | int) -> dict[str, Any]:
    with closing(open_client(url, key)) as client:
        return client.read(what, **query)


def _moves(part: dict[str, Any]) -> Table:
    rows = [
        (
            each["month"],
            *(f"{each[name]:,}" for name in ("opening", *_CAME, *_WENT, "closing")),
            _share(each["churn"]),
            *(f"{Decimal(each[name]):,.2f}" for name in ("revenue", "margin")),
            *(_amount(each[name]) for name in ("revenue_each", "margin_each")),
        )
        for each in part["months"]
    ]
    columns = (
        "opening", *_CAME, *_WENT, "closing", "churn", "revenue", "margin", "revenue each",
        "margin each",
    )  # fmt: skip
    return table(part["name"], *(each.replace("_", " ") for each in columns), rows=rows)


def _bridge(part: dict[str, Any]) -> Table:
    rows = [
        (each["month"], *(f"{Decimal(each['recurring'][name]):,.2f}" for name in _BRIDGE))
        for each in part["months"]
    ]
    names = (each.replace("_", " ") for each in _BRIDGE)
    return table(f"{part['name']}: recurring", *names, rows=rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
