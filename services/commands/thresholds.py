"""`tenure thresholds`: where a stage of the lifecycle ends and another begins, for each market."""

from __future__ import annotations

import asyncio
import getpass
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from services.commands.scorer_status import partitions_of
from services.commands.thresholds_file import read_thresholds
from shared.domain.thresholds import LifecycleThresholds, Thresholds
from shared.schemas.control_events import thresholds_event
from shared.settings import load_settings

app = typer.Typer(help="Show and set where the stages of the lifecycle end.", no_args_is_help=True)


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="YAML with `default` and `markets`.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the log.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Only look for errors.")] = False,
) -> None:
    """Let other thresholds hold, from one place of every partition's log on."""
    now = time.time_ns() // 1_000_000
    thresholds = read_thresholds(file, version=now)
    if check:
        typer.echo(f"{file} is valid: the default, and {len(thresholds.markets)} markets")
        return
    from shared.adapters.control_log import tell_every_partition

    event = thresholds_event(thresholds, getpass.getuser(), reason, "tenure/cli")
    told = asyncio.run(tell_every_partition(load_settings(), event))
    typer.echo(
        f"Version {now} is in the log of {told} partitions. A customer's stage follows with the "
        "next event, or within a day."
    )


@app.command()
def show(
    *,
    url: Annotated[
        str | None, typer.Option(help="A scorer's address [default: the settings'].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show the thresholds that a scorer's partitions go by."""
    held = in_force(partitions_of(url))
    if as_json:
        typer.echo(msgspec.json.encode(held).decode())
        return
    if not held:
        typer.echo("The scorer owns no partition now. Ask another, with --url")
        return
    newest = max(held.values(), key=lambda each: each.version)
    behind = [number for number, each in held.items() if each.version < newest.version]
    _print(newest)
    if behind:
        typer.echo(f"Not there yet: partitions {', '.join(behind)}")


def in_force(partitions: dict[str, dict[str, Any]]) -> dict[str, LifecycleThresholds]:
    """Return the thresholds that each partition goes by."""
    return {
        number: msgspec.convert(partition["thresholds"], LifecycleThresholds)
        for number, partition in partitions.items()
    }


def _print(held: LifecycleThresholds) -> None:
    columns = {"default": held.default, **held.markets}
    table = Table("threshold", *columns, box=None, pad_edge=False)
    for name in Thresholds.__struct_fields__:
        table.add_row(name, *(f"{getattr(each, name):g}" for each in columns.values()))
    Console().print(table)
    since = datetime.fromtimestamp(held.version / 1000, UTC)
    typer.echo(f"Set {since:%Y-%m-%d %H:%M} UTC" if held.version else "Built in; none was set")
