"""`tenure bench`: what this machine reaches, on a real Kafka."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

bench = typer.Typer(help="Measure this machine.", no_args_is_help=True)


@bench.callback()
def _root() -> None:
    """Keep `tenure bench` a group, however many benchmarks it has."""


@bench.command()
def scorer(
    events: Annotated[int, typer.Option(min=10_000, help="Events to score.")] = 400_000,
    customers: Annotated[int, typer.Option(min=100, help="Customers they belong to.")] = 100_000,
    record_events: Annotated[int, typer.Option(min=1, help="Events in a record.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """From Kafka to scores with durable state on one core, beside plain Faust and no Kafka."""
    from services.scorer.bench.run import bench_scorer

    console = Console(stderr=True)
    with console.status("starting Kafka") as status:
        measured = bench_scorer(events, customers, record_events, status.update)
    if as_json:
        typer.echo(msgspec.json.encode(measured))
        return
    table = Table("", "events", "events/s", "CPU us/event")
    for one in measured:
        table.add_row(
            one.name, f"{one.events:,}", f"{one.events_per_second:,.0f}",
            f"{one.cpu_us_per_event:.1f}",
        )  # fmt: skip
    Console().print(table)
