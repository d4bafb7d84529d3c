"""`tenure bench`: what this machine reaches, and what can be known of a campaign."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from services.commands.bench_churn import churn
from services.commands.bench_products import products

bench = typer.Typer(help="Measure this machine.", no_args_is_help=True)
bench.command()(churn)
bench.command()(products)


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


@bench.command()
def model(
    labels: Annotated[int, typer.Option(min=1_000, help="Labels to learn.")] = 50_000,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Learn labels and score a million customers on one core, without and with plans and signs."""
    from services.scorer.bench.model import bench_model

    with Console(stderr=True).status("measuring"):
        measured = [bench_model(labels, *shares) for shares in ((0.0,), (1.0,), (0.0, 1.0))]
    if as_json:
        typer.echo(msgspec.json.encode(measured))
        return
    table = Table("CPU time", "no plans", "all on plans", "signs of all")
    for name, attribute in (
        ("us a label learned, as deployed", "learned_us"),
        ("us a label learned, without a challenger", "alone_us"),
        ("customers scored a second, in bulk", "customers_per_second"),
        ("bytes of state of each", "state_bytes"),
        ("bytes of each waiting snapshot", "snapshot_bytes"),
    ):
        table.add_row(name, *(f"{getattr(one, attribute):,.0f}" for one in measured))
    Console().print(table)


@bench.command()
def state(
    customers: Annotated[int, typer.Option(min=100, help="Customers to hold.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Write customers' states to Kafka, restore them, and see what each takes (Linux)."""
    from services.scorer.bench.state import bench_state

    with Console(stderr=True).status("starting Kafka") as status:
        found = bench_state(customers, status.update)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    table = Table("", "measured")
    table.add_row("customers", f"{found.customers:,}")
    table.add_row("label snapshots of each", f"{found.snapshots:.2f}")
    table.add_row("bytes in memory of each", f"{found.resident_bytes:,.0f}")
    table.add_row("bytes in the changelog of each", f"{found.changelog_bytes:,.0f}")
    table.add_row("the same on Kafka's disk", f"{found.disk_bytes:,.0f}")
    table.add_row("restored a second", f"{found.restored_per_second:,.0f}")
    table.add_row("restored a second of CPU time", f"{found.restored_per_cpu_second:,.0f}")
    Console().print(table)


@bench.command()
def uplift(
    runs: Annotated[int, typer.Option(min=1, help="Campaigns to simulate of each kind.")] = 200,
    every: Annotated[int, typer.Option(min=1, help="Customers between two looks.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Simulate campaigns whose effect is known: is it in the interval at every look."""
    from services.campaigner.bench.uplift import POPULATIONS, watch

    console = Console(stderr=True)
    with console.status("simulating"):
        measured = {name: watch(each, runs=runs, every=every) for name, each in POPULATIONS.items()}
    if as_json:
        typer.echo(msgspec.json.encode(measured))
        return
    table = Table("", "looks", "held at every look", "effect found", "after customers")
    for name, seen in measured.items():
        after = seen.customers_until_found
        table.add_row(
            name, f"{seen.looks:,}", f"{seen.held} of {seen.runs}", f"{seen.found} of {seen.runs}",
            "-" if after is None else f"{after:,.0f}",
        )  # fmt: skip
    Console().print(table)


@bench.command()
def offers(
    runs: Annotated[int, typer.Option(min=1, help="Campaigns to simulate of each kind.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Simulate offers whose acceptance is known: what is missed by choosing, and by lot."""
    from services.campaigner.bench.offers import TRUTHS, measure

    with Console(stderr=True).status("simulating"):
        measured = {name: measure(*each, runs=runs) for name, each in TRUTHS.items()}
    if as_json:
        typer.echo(msgspec.json.encode(measured))
        return
    table = Table(
        "", "customers", "accepted at best", "missed by lot", "missed by choosing",
        "of the last tenth", "not the best known",
    )  # fmt: skip
    for name, seen in measured.items():
        table.add_row(
            name, f"{seen.customers:,}", f"{seen.best:,.0f}", f"{seen.uniform:,.0f}",
            f"{seen.learned:,.0f} (saved {seen.uniform - seen.learned:,.0f} ± {seen.error:,.0f})",
            f"{seen.last:,.1f}", f"at most {seen.explored:.1%}",
        )  # fmt: skip
    Console().print(table)


@bench.command()
def campaigns(
    changes: Annotated[int, typer.Option(min=1_000, help="Score changes to weigh.")] = 100_000,
    decisions: Annotated[int, typer.Option(min=1_000, help="Decisions to record.")] = 20_000,
    database: Annotated[
        str | None, typer.Option(help="Empty database to record in [default: SQLite, thrown away]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Weigh score changes against ten campaigns on one core, and record decisions in SQL."""
    from tempfile import TemporaryDirectory

    from services.campaigner.bench.throughput import decide, weigh, weigh_each_kind

    with TemporaryDirectory() as folder, Console(stderr=True).status("measuring"):
        url = database or f"sqlite:///{folder}/bench.db"
        measured = [weigh(changes), weigh_each_kind(changes), decide(url, decisions)]
    if as_json:
        typer.echo(msgspec.json.encode(measured))
        return
    table = Table("", "count", "a second")
    for each in measured:
        table.add_row(each.name, f"{each.count:,}", f"{each.a_second:,.0f}")
    Console().print(table)


@bench.command()
def latency(
    *,
    rate: Annotated[int, typer.Option(min=10, help="Events a second.")] = 1_000,
    seconds: Annotated[int, typer.Option(min=1, help="How long to measure.")] = 60,
    request_events: Annotated[int, typer.Option(min=1, help="Events in a request.")] = 50,
    triggers: Annotated[
        int, typer.Option(min=1, help="Events of a second that make a trigger each.")
    ] = 50,
    customers: Annotated[int, typer.Option(min=100, help="Customers the others are of.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Post events at fixed times to all of Tenure, and see when their triggers can be read."""
    from services.latency.load import Load
    from services.latency.service import measure
    from services.standalone.run import run

    load = Load(rate, seconds, request_events, min(triggers, rate), customers)
    with Console(stderr=True).status("starting") as status:
        measured = run(measure(load, status.update))
    if as_json:
        typer.echo(msgspec.json.encode(measured))
        return
    table = Table("milliseconds", "events", "p50", "p90", "p99", "max")
    for each in measured:
        figures = (f"{one:,.0f}" for one in (each.p50, each.p90, each.p99, each.max))
        table.add_row(each.name, f"{each.count:,}", *figures)
    Console().print(table)
