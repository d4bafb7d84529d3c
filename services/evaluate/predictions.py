"""What is said of each customer at the cut, as a table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from services.evaluate.service import AtCut
from services.evaluate.writing import writing

HEADER: Final = ("customer_id", "p_silent", "p_closed", "p_churn", "expected_spend", "clv")


def write_predictions(path: Path, cut: AtCut) -> None:
    """Write a line for each customer that is not closed by the cut, in the order of their ids.

    Numbers are as short as they can be and exact when read again.

    Raises
    ------
    EvaluationError
        The file cannot be written.

    """
    said = cut.base.forecast
    columns = (said.silent, said.closed, said.churn, said.spend, cut.base.value)
    plain = [each.tolist() for each in columns]
    with writing(path), path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEADER)
        table.writerows(sorted(zip(cut.customers, *plain, strict=True)))
