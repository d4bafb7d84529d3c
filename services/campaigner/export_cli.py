"""`tenure campaigns export`: the decisions of a time as CSV, for who works in spreadsheets."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from services.campaigner.messages import rfc3339
from services.campaigner.simulate_cli import moment
from shared.domain.campaign_outputs import Decision
from shared.settings import load_settings

COLUMNS: Final = (
    "decision", "customer", "campaign", "version", "outcome", "arm", "at", "expires_at",
    "channel", "offer", "stage", "risk", "trigger", "reasons",
)  # fmt: skip
#: What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection").
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def export(
    *,
    since: Annotated[str, typer.Option("--from", help="Begin here, e.g. 2026-01-31.")],
    until: Annotated[
        str | None, typer.Option("--to", help="End before this [default: now]")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write to this file [default: to the terminal]")
    ] = None,
    campaign: Annotated[str | None, typer.Option(help="Only this campaign.")] = None,
    fired: Annotated[bool, typer.Option("--fired", help="Only who was contacted.")] = False,
) -> None:
    """Write the decisions of a time as CSV, the oldest first."""
    from shared.adapters.sql.campaign_history import decisions_between
    from shared.adapters.sql.engine import open_existing

    first = moment("--from", since)
    last = moment("--to", until) if until else round(datetime.now(UTC).timestamp() * 1000)
    database = open_existing(load_settings().database_url)
    try:
        made = (each.decision for each in decisions_between(database, first, last))
        wanted = (
            each
            for each in made
            if campaign in {None, each.campaign} and (not fired or each.outcome == "fired")
        )
        with nullcontext(sys.stdout) if csv_file is None else _opened(csv_file) as out:
            written = write_csv(wanted, out)
    finally:
        database.dispose()
    typer.echo(f"{written:,} decisions", err=True)


def write_csv(decisions: Iterable[Decision], out: TextIO) -> int:
    """Write decisions, and return how many they were."""
    writer, count = csv.writer(out), 0
    writer.writerow(COLUMNS)
    for count, decision in enumerate(decisions, 1):  # noqa: B007  # the last one is the answer
        writer.writerow(_row(decision))
    return count


def guarded(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula.

    >>> guarded("=cmd()"), guarded("anna")
    ("'=cmd()", 'anna')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(decision: Decision) -> list[str | float]:
    texts = (
        decision.id, decision.customer, decision.campaign, decision.version, decision.outcome,
        decision.arm or "", rfc3339(decision.at), rfc3339(decision.expires_at), decision.channel,
        decision.offer, decision.stage,
    )  # fmt: skip
    failed = "; ".join(each.reason or "" for each in decision.checks if not each.passed)
    cells = [guarded(each) for each in texts]
    return [*cells, decision.risk, guarded(decision.trigger), guarded(failed)]


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path} ({error})", param_hint="--csv") from None
