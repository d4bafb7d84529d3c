"""`tenure bench products`: how well recommenders foresee what customers buy next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from services.commands.progress import progress

if TYPE_CHECKING:
    from services.evaluate.products import Bought, Hits, ProductReport

#: What is a product in the demo's year of a grocer, from few to many.
_CATALOGUES: Final = ("department", "product_category", "product_type")


def products(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="NDJSON or CSV (also with .gz), or Parquet, with `product` of purchases "
            "[default: the demo's year, by department, category and type]",
            show_default=False,
        ),
    ] = None,
    *,
    mapping: Annotated[
        str | None,
        typer.Option("--map", help="Columns of CSV and Parquet, as for `tenure evaluate`."),
    ] = None,
    customers: Annotated[int, typer.Option(min=1, help="Ask about so many, at the most.")] = 500,
    warm_up: Annotated[int, typer.Option(min=0, help="Days before the first question.")] = 91,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Replay purchases, and ask recommenders before each for five products: how many were right."""
    from services.evaluate.products import measure

    reports = []
    for name, bought in _histories(file, mapping):
        with progress("purchases", len(bought), name) as watch:
            report = measure(name, bought, ask=customers, warm_up_days=warm_up, watch=watch)
        reports.append(report)
        if not as_json:
            _print(report)
    if as_json:
        typer.echo(msgspec.json.encode(reports))


def _histories(file: Path | None, mapping: str | None) -> Iterator[tuple[str, list[Bought]]]:
    from services.evaluate.products import gathered, purchases

    if file is not None:
        yield file.name, gathered(purchases(file, mapping))
        return
    from services.demo.data import demo_products

    for catalogue in _CATALOGUES:
        yield catalogue, gathered(demo_products(catalogue))


def _print(report: ProductReport) -> None:
    table = Table(
        "five named by", "never bought", "above popularity", "any", "above popularity",
        title=f"{report.history}: {report.products:,} products, {report.purchases:,} purchases of "
        f"{report.customers:,} customers; {report.new_cases:,} cases with a product never bought, "
        f"{report.any_cases:,} of any, of {report.asked:,} customers",
        title_justify="left", box=None,
    )  # fmt: skip
    for each in report.recommenders:
        table.add_row(each.name, *_figures(each.new), *_figures(each.any))
    Console().print(table)


def _figures(hits: Hits) -> tuple[str, str]:
    if hits.rate is None:
        return "-", "-"
    return f"{hits.rate:.4f}", f"{hits.gain:+.4f} \u00b1 {hits.error:.4f}"
