"""`tenure customer`, `tenure decisions`, `tenure campaigns`: what operators ask a campaigner."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.campaigner.campaign_file import CampaignFileError, read_campaigns
from services.campaigner.client import OperatorClient
from services.campaigner.export_cli import export
from services.campaigner.profile_tables import profile_tables
from services.campaigner.report_tables import report_tables
from services.campaigner.simulate_cli import simulate
from shared.domain.outputs import Score
from shared.domain.uptake import NextProduct
from shared.settings import load_settings

customer = typer.Typer(name="customer", help="Look at a customer.", no_args_is_help=True)
campaigns = typer.Typer(
    name="campaigns", help="Check, list and measure campaigns.", no_args_is_help=True
)

Url = Annotated[
    str | None, typer.Option(help="The campaigner's address [default: from the settings]")
]
Key = Annotated[
    str | None, typer.Option(help="API key.", envvar="TENURE_API_KEY", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


#: Products that a customer is likely to take up next.
_NEXT = 3

campaigns.command()(simulate)
campaigns.command()(export)


@customer.command()
def show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The customer.")],
    *,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show a customer: stage, risk with its reasons, activity, value, account and touch points."""
    with closing(open_client(url, key)) as client:
        profile, worth = client.profile(identity), client.investment(identity)
        following = client.products(identity, _NEXT)["next"]
    if as_json:
        typer.echo(json.dumps(profile))
    else:
        score = msgspec.convert(profile, Score)
        likely = msgspec.convert(following, list[NextProduct])
        print_tables(*profile_tables(score, worth["at_stake"], likely), apart=True)


def decisions(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="A customer, or the id of one decision.")
    ],
    *,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 20,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Say why a customer was, or was not, contacted: the newest decision first."""
    with closing(open_client(url, key)) as client:
        found = client.customer_decisions(identity, limit)
        if not found and _is_uuid(identity):
            found = [client.decision(identity)]
    if as_json:
        typer.echo(json.dumps(found))
    elif found:
        print_tables(_decisions_table(found))
    else:
        typer.echo("No decisions: no campaign's threshold was crossed while it was watched.")


@campaigns.command()
def check(
    file: Annotated[Path, typer.Argument(help="A campaign file.", show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Check a campaign file; every error is named with its line and its remedy."""
    try:
        book = read_campaigns(file)
    except CampaignFileError as error:
        if not as_json:
            raise
        problems = [problem._asdict() for problem in error.problems]
        typer.echo(json.dumps({"valid": False, "problems": problems}))
        raise typer.Exit(2) from None
    names = [each.name for each in book.campaigns]
    if as_json:
        typer.echo(json.dumps({"valid": True, "version": book.version, "campaigns": names}))
    else:
        typer.echo(f"{file} is valid: {', '.join(names) or 'no campaigns'}")


@campaigns.command("list")
def list_campaigns(*, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the campaigns in force, with their decisions by outcome."""
    with closing(open_client(url, key)) as client:
        page = client.campaigns()
    if as_json:
        typer.echo(json.dumps(page))
    else:
        print_tables(_campaigns_table(page["campaigns"]))


@campaigns.command()
def report(
    name: Annotated[
        str | None, typer.Argument(help="The campaign [default: all together]", show_default=False)
    ] = None,
    *,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Say what a campaign achieved, or all together: both arms, uplift, cost and return."""
    with closing(open_client(url, key)) as client:
        found = client.report(name)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        print_tables(*report_tables(found))


def open_client(url: str | None, key: str | None) -> OperatorClient:
    """Return a client of the campaigner that is meant."""
    settings = load_settings()
    default = f"http://{settings.campaigner_host}:{settings.campaigner_port}"
    return OperatorClient(url or default, key)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def print_tables(*tables: Table, apart: bool = False) -> None:
    """Print tables to the terminal, with an empty line between them where they are ``apart``."""
    console = Console()
    for number, table in enumerate(tables):
        if apart and number:
            console.print()
        console.print(table)


def table(*columns: str, rows: Iterable[Iterable[object]]) -> Table:
    """Return a table without borders."""
    made = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        # As text: an id may hold what rich would take for markup.
        made.add_row(*(Text(str(each)) for each in row))
    return made


def _decisions_table(found: list[dict[str, Any]]) -> Table:
    rows = (
        (
            time_of(each["at"]),
            each["campaign"],
            each["outcome"],
            f"{each['risk']:.1%}",
            "; ".join(_because(each)),
            each["id"],
        )
        for each in found
    )
    return table("crossed", "campaign", "outcome", "risk", "because", "id", rows=rows)


def _because(decision: dict[str, Any]) -> Iterable[str]:
    """Say what decided: the checks that failed, or else the arm."""
    failed = [each["reason"] for each in decision["checks"] if not each["passed"]]
    if decision["outcome"] == "deferred":
        return [f"waits for {decision['waits_for']}, until {time_of(decision['opens_at'])}"]
    return failed or [f"every check passed, {decision['arm']} arm"]


def _campaigns_table(found: list[dict[str, Any]]) -> Table:
    outcomes = ("fired", "held_out", "suppressed", "expired")
    rows = (
        (
            each["name"],
            "held" if each["held"] else each["state"],
            each["due"],
            each["channel"],
            f"{each['control']:.0%}",
            *(each["outcomes"].get(outcome, 0) for outcome in outcomes),
        )
        for each in found
    )
    return table("campaign", "state", "trigger", "channel", "control", *outcomes, rows=rows)


def time_of(epoch_ms: int) -> str:
    """Return a time in UTC as people read it."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(" ", "seconds")
