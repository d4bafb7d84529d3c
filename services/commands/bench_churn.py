"""`tenure bench churn`: all tables about the churn model, on several data sets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from services.commands.progress import progress
from shared.adapters.event_files import Good

#: By it the demo's year is moved by no week at all: it ends two days before.
_TODAY: Final = datetime(2018, 1, 3, tzinfo=UTC)


def churn(
    sets: Annotated[
        Path, typer.Argument(help="TOML that names the data sets.", show_default=False)
    ],
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the files that SETS names [default: that of SETS]"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the tables to this file [default: print them]")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures for programs.")
    ] = False,
) -> None:
    """Measure the churn model on data sets, beside others and other configurations: all tables.

    Each set is driven through the scorer's own code, one process a core.
    """
    from services.evaluate.bench.document import document
    from services.evaluate.bench.rows import rows
    from services.evaluate.bench.run import Source, bench
    from services.evaluate.bench.sets import read_sets
    from services.evaluate.writing import writing
    from shared.settings import load_settings

    named = read_sets(sets)
    source = Source(data or sets.parent, demo_purchases)
    with progress("backtests") as show:
        found = bench(
            named,
            source,
            load_settings().policy(),
            rows(),
            command=_command(sets, data, out),
            show=lambda done, of: show(done, total=of),
        )
    if out is not None:
        with writing(out):
            out.write_text(document(found), encoding="utf-8")
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    elif out is None:
        typer.echo(document(found), nl=False)


def demo_purchases() -> list[Good]:
    """Return the purchases of the demo's year, as they were, of households by their number.

    Mailings and coupons are left out, so that what is measured is what an order history tells. An
    id decides on which days its snapshots are taken, so ids are those of the data itself.
    """
    from services.demo.data import demo_events

    events = demo_events(_TODAY)
    return [
        Good(each.line, each.at, each.value.replace(b'"household-', b'"', 1))
        for each in events
        if b'"type":"tenure.purchase"' in each.value
    ]


def _command(sets: Path, data: Path | None, out: Path | None) -> str:
    """Return the command as a reader would type it: of places on this machine there is nothing."""
    folder = "" if data is None else " --data FOLDER"
    target = "" if out is None else f" --out {_shown(out)}"
    return f"tenure bench churn {_shown(sets)}{folder}{target}"


def _shown(path: Path) -> str:
    return path.name if path.is_absolute() else str(path)
