"""Finding a customer."""

from __future__ import annotations

from nicegui import ui

from services.campaigner.console.frame import frame
from services.campaigner.console.pages import customer
from services.campaigner.console.questions.customers import search
from services.campaigner.console.questions.words import day, name_of
from services.campaigner.console.state import Console
from services.campaigner.console.widgets import Cell, Table, button, card


def add(console: Console) -> None:
    """Add the page, and that of one customer."""
    customer.add(console)

    @ui.page("/customers")
    def customers() -> None:
        with frame(console, "Customers") as visit:
            with card("Find a customer", wide=True):
                with ui.element("div").classes("search").props('role="search"'):
                    text = ui.input("Customer id, or how it begins").props(
                        "outlined dense autofocus"
                    )
                    text.props('maxlength="128"')
                    find = button("Show", lambda: _open(text.value), kind="main")
                    text.on("keydown.enter", lambda: _open(text.value))
                found = Table(
                    "Customers found",
                    ("customer", "stage", "risk#", "last score"),
                    "Nobody here. Ids are told apart by capital letters, too.",
                )
            find.props('type="submit"')

            def _open(name: str) -> None:
                if name.strip():
                    ui.navigate.to(visit.customer(name.strip()).removeprefix(visit.root))

            async def refresh() -> None:
                wanted = text.value or ""
                rows = (
                    await console.ask(search, console.parts, wanted)
                    if wanted.strip()
                    else await console.ask(console.parts.console_queries.heard_last, 20)
                )
                found.show(
                    [
                        (
                            Cell(each.customer, visit.customer(each.customer)),
                            Cell(name_of(each.stage), kind=each.stage),
                            f"{each.risk:.0%}",
                            day(each.at),
                        )
                        for each in rows
                    ]
                )

            text.on_value_change(refresh)
            visit.live(refresh, every_s=5.0)
