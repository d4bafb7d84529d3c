"""The `tenure` command: one sub-command for each thing a person does.

Errors that Tenure raises on purpose become a line that says what to do next, and exit code 2;
anything else is a bug and shows its traceback.
"""

import importlib
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from services.campaigner.base_cli import base
from services.campaigner.cli import campaigns, customer, decisions
from services.campaigner.cohorts_cli import cohorts, referrers, sources
from services.campaigner.controls.cli import audit, suppression
from services.campaigner.invest_cli import invest
from services.campaigner.months_cli import cash, months
from services.campaigner.products_cli import leads, products
from services.campaigner.segments_cli import segments
from services.campaigner.tariffs_cli import tariffs
from services.commands.bench import bench
from services.commands.dead_letter import dead_letter
from services.commands.demo import demo
from services.commands.doctor import doctor
from services.commands.erasures import erasures
from services.commands.evaluate import evaluate_file
from services.commands.flows import flows
from services.commands.init import init
from services.commands.model import app as model
from services.commands.replay import replay
from services.commands.schemas import schemas
from services.commands.settings import settings, use_file
from services.commands.thresholds import app as thresholds
from services.commands.topics import topics
from services.commands.up import up
from services.ingest.keys_cli import app as keys
from shared.domain.errors import TenureError

#: Exit code for what the caller can put right; also Click's for wrong arguments.
EXIT_EXPECTED = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="tenure",
    help="Customer lifecycle management as an event stream.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

app.add_typer(bench, name="bench")
app.command()(demo)
app.command()(up)
app.command()(replay)
app.command("evaluate")(evaluate_file)
app.add_typer(customer)
customer.command()(erasures)
customer.command()(invest)
customer.command()(tariffs)
customer.command()(products)
app.command()(decisions)
app.command()(base)
app.command()(segments)
app.command()(months)
app.command()(cash)
app.command()(cohorts)
app.command()(sources)
app.command()(referrers)
app.command()(leads)
app.command()(flows)
app.add_typer(campaigns)
app.add_typer(suppression)
app.command()(audit)
app.add_typer(dead_letter)
app.command()(topics)
app.add_typer(model, name="model")
app.add_typer(thresholds, name="thresholds")
app.command()(settings)
app.command()(doctor)
app.command()(init)
app.command()(schemas)
app.add_typer(keys, name="keys")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tenure {version('tenure')}")
        raise typer.Exit


@app.callback()
def root(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and exit."
        ),
    ] = False,
    settings_file: Annotated[
        Path | None,
        typer.Option("--settings", help="Take settings from this file; `tenure init` writes one."),
    ] = None,
) -> None:
    """Take the options that stand before any command."""
    if settings_file is not None:
        use_file(settings_file, os.environ)


@app.command(rich_help_panel="Services")
def ingest() -> None:
    """Run the HTTP API that takes events."""
    _run("ingest")


@app.command(rich_help_panel="Services")
def scorer() -> None:
    """Run a scorer: customers' states, stages and risks."""
    _run("scorer")


@app.command(rich_help_panel="Services")
def campaigner() -> None:
    """Run the campaigner: decisions, triggers and the operator API."""
    _run("campaigner")


def _run(service: str) -> None:
    sys.exit(importlib.import_module(f"services.{service}.__main__").main())


def main() -> None:
    """Run the command line; the console script's entry point."""
    try:
        app()
    except TenureError as error:
        typer.echo(f"tenure: {error}", err=True)
        sys.exit(EXIT_EXPECTED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
