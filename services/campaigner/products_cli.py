"""`tenure customer products`, `tenure leads`: what could be sold next, and to whom at all."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated

import msgspec
import typer

from services.campaigner.cli import AsJson, Key, Url, open_client, print_tables, table, time_of
from services.campaigner.profile_tables import NEXT, day, likely
from shared.domain.uptake import NextProduct

Most = Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)]


def products(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The customer.")],
    *,
    limit: Most = 5,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show what a customer holds, and which products are likely to be taken up next."""
    with closing(open_client(url, key)) as client:
        found = client.products(identity, limit)
    if as_json:
        typer.echo(json.dumps(found))
        return
    held = sorted(found["held"].items(), key=lambda each: (-each[1], each[0]))
    following = likely(msgspec.convert(found["next"], list[NextProduct]))
    print_tables(
        table("holds", "first bought", rows=((name, day(at)) for name, at in held)),
        table(*NEXT, rows=following),
        apart=True,
    )
    if not found["at"]:
        typer.echo("Take-ups are not counted yet: nobody holds a product, or it just started.")


def leads(
    *,
    limit: Most = 20,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List who has not paid yet, the likeliest to within the horizon first."""
    with closing(open_client(url, key)) as client:
        found = client.read("leads", limit=limit)
    if as_json:
        typer.echo(json.dumps(found))
        return
    rows = (
        (
            each["customer"],
            each["stage"],
            each["source"],
            day(each["since"]),
            f"{each['chance']:.1%}",
            f"{each['lift']:.2f}",
        )
        for each in found["leads"]
    )
    typer.echo(
        f"{found['waiting']:,} leads; chance to pay within {found['horizon_days']:g} days "
        f"of {time_of(found['at'])}"
    )
    print_tables(table("customer", "stage", "source", "since", "chance", "against mean", rows=rows))
