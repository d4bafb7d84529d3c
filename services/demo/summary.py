"""The last thing that the demo shows: what came out, in a dozen lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from services.campaigner.report_tables import share
from services.demo.report import Report
from services.demo.screen import number


def summary(report: Report, folder: Path) -> Table:
    """Return the report as a table for people."""
    table = Table(title="Tenure demo", show_header=False, title_justify="left")
    table.add_column(style="dim")
    table.add_column()
    for name, text in _lines(report):
        table.add_row(name, text)
    table.add_row("report", str(folder / "report.html"))
    return table


def uplift(effect: dict[str, Any] | None) -> str:
    """Write the campaign's effect on the share of customers that stay."""
    return share(None if effect is None else effect["retention"])


def _lines(report: Report) -> list[tuple[str, str]]:
    model, triggers = report.model, report.triggers
    quality = (
        f"AUC {number(model.auc)}, log loss {number(model.log_loss)}, "
        f"ECE {number(model.ece)} over {model.labels:,} labels, each predicted first"
    )
    parts = f"{report.events_in_state:,} in the state + {report.dead_letters:,} dead letters"
    if report.duplicates:
        parts += f"; {report.duplicates:,} arrived again and were left out"
    return [
        ("events accepted", f"{report.events_accepted:,}"),
        ("= accounted for" if report.reconciled else "NOT ACCOUNTED FOR", parts),
        ("customers", f"{report.customers:,}"),
        ("stages", ", ".join(f"{stage} {count:,}" for stage, count in report.stages.items())),
        ("churn model", quality),
        ("triggers", ", ".join(f"{name} {count:,}" for name, count in triggers.items())),
        ("measured uplift", f"{uplift(report.effect)}; nobody was contacted, so the truth is 0"),
        ("speed", f"{report.events_per_second:,.0f} events/s as paced"),
        ("time", f"{report.seconds:,.0f} s"),
    ]
