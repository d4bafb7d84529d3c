"""How far long work has come, on standard error; nothing where that is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Show(Protocol):
    """Tells how much is done; what is not said stays as it is."""

    def __call__(self, done: int, name: str | None = None, total: int | None = None) -> None:
        """Show that ``done`` of ``total`` are done, under a name."""


@contextmanager
def progress(units: str, total: int | None = None, name: str = "") -> Iterator[Show]:
    """Show a bar while work goes on.

    Parameters
    ----------
    units
        What is counted, in the plural.
    total
        How many there are; None while that is not known.
    name
        What stands before the bar.

    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(units),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=total)

        def show(done: int, name: str | None = None, total: int | None = None) -> None:
            bar.update(task, completed=done, description=name, total=total)

        yield show
