"""The plots of an evaluation, in one page that asks no other host for anything."""

from __future__ import annotations

from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Final

import jinja2
from plotly import graph_objects as go

from services.evaluate.figures import as_html, laid_out
from services.evaluate.report import Report, Target
from services.evaluate.writing import writing

# Okabe and Ito's palette: told apart by colour-blind readers too.
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73")


def write_page(path: Path, report: Report, name: str) -> None:
    """Write the page of a report on the file called ``name``.

    Raises
    ------
    EvaluationError
        The page cannot be written.

    """
    drawn = {
        "auc": as_html(auc_plot(report), with_library=True),
        "reliability": as_html(reliability_plot(report), with_library=False),
    }
    page = _template().render(report=report, name=name, plots=drawn)
    with writing(path):
        path.write_text(page, encoding="utf-8")


def auc_plot(report: Report) -> go.Figure:
    """Draw prequential AUC by four weeks: silence, and accounts closed where any were."""
    figure = go.Figure()
    targets = {"silent": report.prequential, "closed": report.prequential_closed}
    for (name, target), colour in zip(targets.items(), _COLOURS, strict=False):
        if any(each.auc is not None for each in target.over_time):
            figure.add_scatter(
                x=[datetime.fromisoformat(each.until) for each in target.over_time],
                y=[each.auc for each in target.over_time],
                customdata=[each.n for each in target.over_time],
                hovertemplate="%{y:.3f}, %{customdata:,} labels",
                name=name,
                line={"color": colour},
            )
    return laid_out(figure, y="AUC")


def reliability_plot(report: Report) -> go.Figure:
    """Draw what came true against what was predicted: on the line it is calibrated."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="calibrated", line={"color": "#bbbbbb"}
    )
    targets: dict[str, Target | None] = {
        "silent, prequential": report.prequential,
        "silent, at the cut": report.cut,
        "closed, prequential": report.prequential_closed if _has_closed(report) else None,
    }
    for (name, target), colour in zip(targets.items(), _COLOURS, strict=True):
        if target is not None and target.n:
            figure.add_scatter(
                x=[each.predicted for each in target.reliability],
                y=[each.observed for each in target.reliability],
                customdata=[each.n for each in target.reliability],
                hovertemplate="predicted %{x:.2f}, came true %{y:.2f}, %{customdata:,} labels",
                mode="lines+markers",
                name=name,
                line={"color": colour},
            )
    return laid_out(figure, x="predicted", y="came true")


def _has_closed(report: Report) -> bool:
    return bool(report.prequential_closed.base_rate)


def _template() -> jinja2.Template:
    text = resources.files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)
