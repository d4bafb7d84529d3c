"""`tenure campaigns simulate`: rules tried on the past."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.campaigner.campaign_file import read_campaigns
from shared.domain.simulation_report import CampaignDifference, Simulation
from shared.settings import load_settings

#: Customers whom a table names; `--json` names all.
_NAMED: Final = 10
_OUTCOMES: Final = ("fired", "held_out", "suppressed", "expired", "deferred")


def moment(option: str, text: str) -> int:
    """Return a time that was given on the command line, epoch milliseconds.

    Raises
    ------
    typer.BadParameter
        It is no time.

    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time. Write it like 2026-01-31 or 2026-01-31T12:00:00Z",
            param_hint=option,
        ) from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def simulate(
    *,
    since: Annotated[str, typer.Option("--from", help="Begin here, e.g. 2026-01-31.")],
    until: Annotated[
        str | None, typer.Option("--to", help="End before this [default: now]")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--with", help="Campaign file to try [default: the one in force]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try campaigns on the past: who would have been contacted, at what cost, and what differs.

    Reads scores from Kafka and decisions from the database; sends nothing, and writes nothing.
    """
    from services.campaigner.simulation import run_simulation

    settings = load_settings()
    first = moment("--from", since)
    last = moment("--to", until) if until else round(datetime.now(UTC).timestamp() * 1000)
    if first >= last:
        raise typer.BadParameter("--from must be before --to")
    book = read_campaigns(file or settings.campaigns_file)
    found = run_simulation(settings, book, first, last)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    console = Console()
    console.print(_counts(found.campaigns))
    for each in found.campaigns:
        for table in _contacts(each):
            console.print(table)
    console.print(_verdict(found))


def _counts(campaigns: Iterable[CampaignDifference]) -> Table:
    table = Table("campaign", "", *_OUTCOMES, "cost", box=None)
    for each in campaigns:
        happened, simulated = each.happened, each.simulated
        for name, counts, cost in (
            ("happened", happened, each.cost_happened),
            ("simulated", simulated, each.cost_simulated),
        ):
            figures = (f"{dict(counts).get(outcome, 0):,}" for outcome in _OUTCOMES)
            table.add_row(Text(each.campaign), name, *figures, f"{cost:,.2f}")
    return table


def _contacts(found: CampaignDifference) -> Iterable[Table]:
    for title, contacts in (
        (f"{found.campaign} would have contacted, and did not", found.gained),
        (f"{found.campaign} contacted, and would not have", found.lost),
    ):
        if contacts:
            table = Table("customer", "at", "decision", box=None, title=title, title_justify="left")
            for each in contacts[:_NAMED]:
                at = datetime.fromtimestamp(each.at / 1000, UTC).isoformat(" ", "seconds")
                table.add_row(Text(each.customer), at, each.decision)
            if len(contacts) > _NAMED:
                table.add_row(f"and {len(contacts) - _NAMED:,} more (--json names all)")
            yield table


def _verdict(found: Simulation) -> str:
    if not found.scores:
        return "No scores are kept of that time: `score-history` reaches 30 days back."
    if found.same:
        return "Every decision comes out as it was made."
    return "Decisions differ from those that were made."
