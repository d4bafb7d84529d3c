"""`tenure base`: who the customers are now, what they brought, and what is to come."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.table import Table

from services.campaigner.cli import AsJson, Key, Url, open_client, print_tables, table
from shared.domain.base_report import By

_MONEY = ("revenue", "margin", "cost", "expected_spend", "equity")


def base(
    *,
    by: Annotated[By, typer.Option(help="What the customers of a group have in common.")] = "stage",
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show the base in groups: customers, revenue, margin, cost, expected spend and value."""
    with closing(open_client(url, key)) as client:
        found = client.read("base", by=by)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        print_tables(_groups_table(found))


def _groups_table(found: dict[str, Any]) -> Table:
    everybody = sum(each["customers"] for each in found["groups"]) or 1
    rows = [
        (
            each["name"],
            f"{each['customers']:,}",
            f"{each['customers'] / everybody:.1%}",
            *(f"{each[money]:,.2f}" for money in _MONEY),
            f"{each['margin'] / each['customers']:,.2f}",
        )
        for each in found["groups"]
    ]
    money = [name.replace("_", " ") for name in _MONEY]
    columns = (found["by"], "customers", "share", *money, "margin of each")
    return table(*columns, rows=rows)
