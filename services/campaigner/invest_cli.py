"""`tenure customer invest`: how much an offer, or a device, may cost for a customer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any

import typer

from services.campaigner.cli import AsJson, Key, Url, open_client, print_tables, table


def invest(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The customer.")],
    *,
    ceiling: Annotated[
        float | None, typer.Option(help="Share of leavers that the largest offer keeps.")
    ] = None,
    scale: Annotated[float | None, typer.Option(help="The offer that keeps 63% of these.")] = None,
    acceptance: Annotated[float, typer.Option(help="Share that accepts an offer.")] = 1.0,
    contact: Annotated[float, typer.Option(help="What a contact costs.")] = 0.0,
    offer: Annotated[float | None, typer.Option(help="Weigh this offer beside the best.")] = None,
    subsidy: Annotated[float | None, typer.Option(help="Of a device, paid today.")] = None,
    term_days: Annotated[int | None, typer.Option(help="Bound by it for so long.")] = None,
    added_margin: Annotated[float, typer.Option(help="Added by its contract, a year.")] = 0.0,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Weigh an offer, or a subsidised device, against what is at stake with a customer."""
    with closing(open_client(url, key)) as client:
        found = client.investment(
            identity, ceiling=ceiling, scale=scale, acceptance=acceptance, contact=contact,
            offer=offer, subsidy=subsidy, term_days=term_days, added_margin=added_margin,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found))
        return
    weighs_offers = ceiling is not None and found["best"] is None
    print_tables(table("investment", "", rows=_rows(found, weighs_offers=weighs_offers)))


def _rows(found: dict[str, Any], *, weighs_offers: bool) -> Iterator[tuple[str, str]]:
    yield "lifetime value", f"{found['clv']:,.2f}"
    yield "at stake", f"{found['at_stake']:,.2f} if the next horizon were sure"
    if weighs_offers:
        yield "best offer", "none is worth its cost"
    for name, each in (("best offer", found["best"]), ("offer", found["offer"])):
        if each is not None:
            yield name, f"{each['offer']:,.2f} keeps {each['kept']:.1%} of leavers"
            yield "", f"net present value {each['npv']:,.2f}"
            yield "", f"breaks even at {each['break_even']:,.2f}"
    if (device := found["subsidy"]) is not None:
        yield "subsidy", f"{device['subsidy']:,.2f}: net present value {device['npv']:,.2f}"
        both = f"{device['bound']:,.2f} bound, {device['unbound']:,.2f} not"
        yield "", f"{both}, over {device['days']} days"
