"""The plots of the report, and the page around them: ``report.html``, which asks no other host."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Final

import jinja2
from plotly import graph_objects as go

from services.demo.evidence import Evidence
from services.demo.monitor import STAGES, Sample
from services.demo.report import ArmReport, Report, by_week, reliability, windows
from services.demo.screen import Rate
from services.demo.summary import uplift
from services.evaluate.figures import as_html, laid_out
from shared.domain.campaign_outputs import Outcome

# Okabe and Ito's palette: told apart by colour-blind readers too.
_COLOURS: Final = {
    "prospect": "#bbbbbb",
    "onboarding": "#56b4e9",
    "growth": "#0072b2",
    "maturity": "#009e73",
    "decline": "#f0e442",
    "dormant": "#e69f00",
    "lapsed": "#d55e00",
    "won_back": "#cc79a7",
}
_ARMS: Final[tuple[tuple[Outcome, str], ...]] = (
    ("fired", "#0072b2"),
    ("held_out", "#e69f00"),
    ("suppressed", "#bbbbbb"),
    ("expired", "#d55e00"),
)


def write_page(folder: Path, report: Report, samples: Sequence[Sample], evidence: Evidence) -> Path:
    """Write ``report.html`` into a folder; return its path."""
    figures = {
        "stages": stages_plot(samples),
        "auc": auc_plot(evidence),
        "reliability": reliability_plot(evidence),
        "triggers": triggers_plot(evidence),
        "churn": churn_plot(report.churn_after),
        "speed": speed_plot(samples),
    }
    scripts = ("true", *["false"] * len(figures))
    drawn = {
        name: as_html(figure, with_library=script == "true")
        for (name, figure), script in zip(figures.items(), scripts, strict=False)
    }
    path = folder / "report.html"
    path.write_text(
        _template().render(report=report, plots=drawn, uplift=uplift(report.effect)),
        encoding="utf-8",
    )
    return path


def stages_plot(samples: Sequence[Sample]) -> go.Figure:
    """Draw the customers in each stage as history passed."""
    steps = [after for before, after in pairwise(samples) if before.now and after.at > before.at]
    figure = go.Figure()
    for stage in STAGES:
        figure.add_scatter(
            x=[_moment(each.at) for each in steps],
            y=[each.stages.get(stage, 0) for each in steps],
            name=stage.replace("_", " "),
            mode="lines",
            line={"width": 0.5, "color": _COLOURS[stage]},
            stackgroup="all",
        )
    return _laid_out(figure, y="customers")


def auc_plot(evidence: Evidence) -> go.Figure:
    """Draw prequential AUC by fortnight: the model's beside the heuristic's that it starts from."""
    found = windows(evidence.examples)
    at = [_moment(each.at) for each in found]
    figure = go.Figure()
    figure.add_scatter(
        x=at, y=[each.auc for each in found], name="model", line={"color": "#0072b2"}
    )
    figure.add_scatter(
        x=at,
        y=[each.heuristic_auc for each in found],
        name="heuristic",
        line={"color": "#bbbbbb", "dash": "dash"},
    )
    return _laid_out(figure, y="AUC")


def reliability_plot(evidence: Evidence) -> go.Figure:
    """Draw observed churn against what was predicted: on the line it is calibrated."""
    bins = reliability(evidence.examples)
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="calibrated", line={"color": "#bbbbbb"}
    )
    figure.add_scatter(
        x=[predicted for _, predicted, _ in bins],
        y=[observed for *_, observed in bins],
        customdata=[labels for labels, *_ in bins],
        hovertemplate="predicted %{x:.2f}, observed %{y:.2f}, %{customdata:,} labels",
        mode="lines+markers",
        name="model",
        line={"color": "#0072b2"},
    )
    figure = _laid_out(figure, x="predicted churn", y="observed churn")
    return figure.update_layout(hovermode="closest")


def triggers_plot(evidence: Evidence) -> go.Figure:
    """Draw the decisions of each week by what became of them."""
    figure = go.Figure()
    for outcome, colour in _ARMS:
        weeks = by_week(evidence.decisions, outcome)
        if weeks:
            figure.add_bar(
                x=[_moment(week) for week in sorted(weeks)],
                y=[weeks[week] for week in sorted(weeks)],
                name=outcome.replace("_", " "),
                marker={"color": colour},
            )
    return _laid_out(figure, y="decisions a week").update_layout(barmode="stack")


def churn_plot(arms: dict[str, ArmReport]) -> go.Figure:
    """Draw churn after the decision in both arms, with 95 % intervals."""
    colours = dict(_ARMS)
    figure = go.Figure()
    for arm, told in arms.items():
        if told.rate is None or told.low is None or told.high is None:
            continue
        error = {"array": [told.high - told.rate], "arrayminus": [told.rate - told.low]}
        figure.add_bar(
            x=[f"{arm.replace('_', ' ')} ({told.customers:,})"],
            y=[told.rate],
            error_y=error,
            marker={"color": colours[arm]},  # type: ignore[index]  # both are outcomes
            showlegend=False,
            width=0.4,
        )
    figure = _laid_out(figure, y="bought nothing within the horizon")
    return figure.update_yaxes(tickformat=".0%", rangemode="tozero")


def speed_plot(samples: Sequence[Sample]) -> go.Figure:
    """Draw how many events became durable state a second."""
    rate = Rate()
    steps = [(sample.seconds, rate.of(sample)) for sample in samples]
    figure = go.Figure()
    figure.add_scatter(
        x=[seconds for seconds, _ in steps],
        y=[each for _, each in steps],
        line={"color": "#009e73"},
        name="events/s",
    )
    return _laid_out(figure, x="seconds since the start of the replay", y="events/s")


def _laid_out(figure: go.Figure, *, y: str, x: str = "") -> go.Figure:
    return laid_out(figure, x=x, y=y).update_layout(hovermode="x unified")


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def _template() -> jinja2.Template:
    text = resources.files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)
