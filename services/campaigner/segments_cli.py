"""`tenure segments`: how many customers are in each, and where quintiles end."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import typer
from rich.table import Table

from services.campaigner.cli import AsJson, Key, Url, open_client, print_tables, table
from services.campaigner.profile_tables import minute

_QUINTILES = ("1 to 2", "2 to 3", "3 to 4", "4 to 5")


def segments(*, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show how many customers are in each segment, and where the quintiles of the base end."""
    with closing(open_client(url, key)) as client:
        found = client.read("segments")
    if as_json:
        typer.echo(json.dumps(found))
        return
    print_tables(_counts(found["segments"], found["conditions"]))
    typer.echo()
    if found["boundaries"]:
        print_tables(_ends(found["boundaries"]))
    else:
        typer.echo("No quintiles yet: they need 25 active customers, and a few seconds.")


def _counts(counts: dict[str, int], conditions: dict[str, str]) -> Table:
    rows = (
        (name, f"{count:,}", conditions.get(name, "")) for name, count in sorted(counts.items())
    )
    return table("segment", "customers", "who", rows=rows)


def _ends(boundaries: dict[str, Any]) -> Table:
    rows = (
        (name, *(f"{each:,.6g}" for each in boundaries[field]))
        for name, field in (
            ("days of silence", "silence_days"),
            ("days with activity", "visits"),
            ("money spent", "spend"),
            ("lifetime value", "clv"),
        )
    )
    of = f"of {boundaries['customers']:,} at {minute(boundaries['version'])}"
    return table(of, *_QUINTILES, rows=rows)
