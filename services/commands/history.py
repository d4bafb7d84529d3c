"""How a history in a file is named on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HistoryFile = Annotated[
    Path, typer.Argument(help="NDJSON or CSV (also with .gz), or Parquet.", show_default=False)
]
Mapping = Annotated[
    str | None,
    typer.Option(
        "--map",
        help="Columns of CSV and Parquet: subject=customer,time=ts,type=tenure.purchase,"
        "amount=total. Quote constants: category='plan'.",
    ),
]
