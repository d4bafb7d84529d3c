"""`tenure doctor`: what keeps this deployment from working, each with a remedy."""

import json
import logging
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.doctor.findings import Finding, Outcome

_STYLES = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAILED: "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Check settings, broker, topics, permissions, clock, database, campaigns and keys.

    Changes nothing. Exit code 1 when something keeps Tenure from working.
    """
    from services.doctor.service import examine

    # What the client says while it tries is in what was found, in words that help.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    found = examine()
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=2))
    else:
        Console().print(_table(found))
    if any(each.outcome is Outcome.FAILED for each in found):
        raise typer.Exit(1)


def _table(found: list[Finding]) -> Table:
    table = Table("Check", "Result", "What was seen", "Remedy")
    for each in found:
        outcome = Text(each.outcome, style=_STYLES[each.outcome])
        table.add_row(each.check, outcome, Text(each.text), Text(each.remedy))
    return table
