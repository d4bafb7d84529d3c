"""The `tenure` command: one sub-command for each thing a person does."""

from importlib.metadata import version
from typing import Annotated

import typer

app = typer.Typer(
    name="tenure",
    help="Customer lifecycle management as an event stream.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


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
) -> None:
    """Take the options that stand before any command."""


def main() -> None:
    """Run the command line; the console script's entry point."""
    app()
