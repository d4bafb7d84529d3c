"""Charts as ECharts takes them: plain dictionaries, in colours that are readable on light and dark.

They are drawn as SVG, so that texts take the page's colour from its style sheet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.campaigner.console.questions.words import name_of
from shared.domain.base_months import Month
from shared.domain.lifecycle import STAGES
from shared.domain.outputs import Stage

Options = dict[str, Any]

#: From not yet a customer, by growth and maturity (green), to gone (grey) and back (violet).
COLOURS: Final[dict[Stage, str]] = {
    "prospect": "#7c8ba1",
    "onboarding": "#3b9ddb",
    "growth": "#12a594",
    "maturity": "#3f9f5f",
    "decline": "#e2a100",
    "dormant": "#e5703a",
    "lapsed": "#a35a6d",
    "won_back": "#8e6bd8",
}
ACCENT: Final = "#12a594"
WARM: Final = "#e5703a"
_LINE: Final = "rgba(128, 140, 158, 0.28)"
_FONT: Final = {"fontSize": 12}
_TOOLTIP: Final = {
    "backgroundColor": "#1d2733",
    "borderWidth": 0,
    "textStyle": {"color": "#f2f5f8", "fontSize": 12},
}
_GRID: Final = {"left": 8, "right": 16, "top": 24, "bottom": 8, "containLabel": True}


def _axis(kind: str, **more: object) -> Options:
    return {
        "type": kind,
        "axisLabel": _FONT,
        "axisLine": {"lineStyle": {"color": _LINE}},
        "axisTick": {"show": False},
        "splitLine": {"lineStyle": {"color": _LINE}},
        "nameTextStyle": {**_FONT, "color": "#7c8ba1"},
        **more,
    }


def _chart(text: str, series: Sequence[Options], **more: object) -> Options:
    """Return what charts have in common; ``text`` is what a screen reader says."""
    return {
        "animationDuration": 300,
        "aria": {"enabled": True, "label": {"description": text}},
        "tooltip": _TOOLTIP,
        "series": list(series),
        **more,
    }


def flows(counts: Mapping[tuple[Stage, Stage], int]) -> Options:
    """Return a Sankey diagram: left the stages that were left, right those that followed."""
    # A trailing space tells a stage on the right from its namesake on the left.
    befores = [each for each in STAGES if any(pair[0] == each for pair in counts)]
    afters = [each for each in STAGES if any(pair[1] == each for pair in counts)]
    nodes = [
        *({"name": name_of(each), "itemStyle": {"color": COLOURS[each]}} for each in befores),
        *(
            {
                "name": f"{name_of(each)} ",
                "itemStyle": {"color": COLOURS[each]},
                "label": {"position": "left"},
            }
            for each in afters
        ),
    ]
    links = [
        {"source": name_of(before), "target": f"{name_of(after)} ", "value": count}
        for (before, after), count in sorted(counts.items())
    ]
    series = {
        "type": "sankey",
        "data": nodes,
        "links": links,
        "left": 0,
        "right": 0,
        "top": 8,
        "bottom": 8,
        "nodeGap": 10,
        "draggable": False,
        "layoutIterations": 0,
        "emphasis": {"focus": "adjacency"},
        "label": {"fontSize": 12},
        "lineStyle": {"color": "gradient", "opacity": 0.35},
    }
    return _chart(f"Moves between stages: {_said(counts)}", [series])


def _said(counts: Mapping[tuple[Stage, Stage], int]) -> str:
    return ", ".join(
        f"{name_of(before)} to {name_of(after)} {count}"
        for (before, after), count in sorted(counts.items())
    )


def stages(counts: Mapping[str, int]) -> Options:
    """Return a bar for each stage."""
    names = [each for each in STAGES if each in counts]
    bars = [
        {"value": counts[each], "itemStyle": {"color": COLOURS[each], "borderRadius": 3}}
        for each in names
    ]
    series = {
        "type": "bar",
        "data": bars,
        "barMaxWidth": 26,
        "label": {"show": True, "position": "right", "fontSize": 12},
    }
    said = ", ".join(f"{name_of(each)} {counts[each]}" for each in names)
    return _chart(
        f"Customers in each stage: {said}",
        [series],
        grid={**_GRID, "top": 4, "right": 56},
        xAxis=_axis("value", show=False),
        yAxis=_axis("category", data=[name_of(each) for each in names], inverse=True),
    )


def risks(by_stage: Mapping[Stage, Sequence[int]]) -> Options:
    """Return how many customers are in each band of risk, stacked by stage."""
    bands = len(next(iter(by_stage.values()), ()))
    labels = [f"{round(100 * n / bands)}-{round(100 * (n + 1) / bands)} %" for n in range(bands)]
    series = [
        {
            "type": "bar",
            "name": name_of(stage),
            "stack": "all",
            "data": list(counts),
            "itemStyle": {"color": COLOURS[stage]},
            "barCategoryGap": "12%",
        }
        for stage, counts in by_stage.items()
    ]
    totals = [sum(each) for each in zip(*by_stage.values(), strict=True)]
    said = ", ".join(f"{label} {total}" for label, total in zip(labels, totals, strict=True))
    return _chart(
        f"Customers by churn risk: {said}",
        series,
        tooltip={**_TOOLTIP, "trigger": "axis"},
        legend={"top": 0, "itemWidth": 12, "itemHeight": 10, "textStyle": _FONT},
        grid={**_GRID, "top": 40},
        xAxis=_axis("category", data=labels),
        yAxis=_axis("value", minInterval=1),
    )


def risk_history(points: Sequence[tuple[int, float]]) -> Options:
    """Return the risk of one customer over time (epoch ms, risk)."""
    series = {
        "type": "line",
        "step": "end",
        "data": [[at, round(risk, 4)] for at, risk in points],
        "showSymbol": len(points) < 2,  # noqa: PLR2004  # one point makes no line
        "lineStyle": {"color": WARM, "width": 2},
        "itemStyle": {"color": WARM},
        "areaStyle": {"color": WARM, "opacity": 0.12},
    }
    last = f", {points[-1][1]:.0%} at last" if points else ""
    return _chart(
        f"Risk over time{last}",
        [series],
        tooltip={**_TOOLTIP, "trigger": "axis"},
        grid=_GRID,
        xAxis=_axis("time", splitLine={"show": False}),
        yAxis=_axis("value", min=0, max=1, interval=0.25),
    )


def uplift(rows: Sequence[tuple[str, float, float, float]], unit: str) -> Options:
    """Return estimates with their intervals: (of what, estimate, low, high), a line for nothing."""
    names = [name for name, *_ in rows]
    series: list[Options] = [
        {
            "type": "line",
            "data": [[low, name], [high, name]],
            "symbol": "rect",
            "symbolSize": [3, 16],
            "lineStyle": {"width": 4, "color": _sign(low, high)},
            "itemStyle": {"color": _sign(low, high)},
            "silent": True,
        }
        for name, _, low, high in rows
    ]
    points = {
        "type": "scatter",
        "data": [[round(estimate, 1), name] for name, estimate, _, _ in rows],
        "symbolSize": 13,
        "itemStyle": {"color": "#3b9ddb"},
        "label": {"show": True, "position": "top", "formatter": "{@[0]}", "fontSize": 12},
        "markLine": {
            "silent": True,
            "symbol": "none",
            "data": [{"xAxis": 0}],
            "label": {"formatter": "no effect", "fontSize": 11},
            "lineStyle": {"color": "#7c8ba1", "type": "dashed"},
        },
    }
    said = "; ".join(
        f"{name} {estimate:+.2f} {unit}, between {low:+.2f} and {high:+.2f}"
        for name, estimate, low, high in rows
    )
    return _chart(
        f"Uplift: {said}",
        [*series, points],
        grid={**_GRID, "top": 28, "right": 24},
        xAxis=_axis("value", name=unit, nameLocation="middle", nameGap=26),
        yAxis=_axis("category", data=names, splitLine={"show": False}),
    )


def reliability(bins: Sequence[tuple[int, float, float]]) -> Options:
    """Return predicted against observed: (labels, predicted, observed) of each tenth."""
    most = max((n for n, _, _ in bins), default=1)
    points = [
        {
            "value": [round(predicted, 4), round(observed, 4), n],
            "symbolSize": 8 + 22 * (n / most) ** 0.5,
        }
        for n, predicted, observed in bins
    ]
    perfect = {
        "type": "line",
        "data": [[0, 0], [1, 1]],
        "symbol": "none",
        "silent": True,
        "lineStyle": {"color": "#7c8ba1", "type": "dashed", "width": 1},
    }
    series = {
        "type": "scatter",
        "data": points,
        "itemStyle": {"color": ACCENT, "opacity": 0.85},
    }
    said = ", ".join(f"{said:.0%} came true {true:.0%}" for _, said, true in bins)
    shares = {"min": 0, "max": 1, "interval": 0.2}
    return _chart(
        f"Reliability: {said}",
        [perfect, series],
        grid={**_GRID, "bottom": 24},
        xAxis=_axis("value", **shares, name="predicted", nameLocation="middle", nameGap=26),
        yAxis=_axis("value", **shares, name="came true"),
    )


def curves(lines: Mapping[str, Sequence[tuple[int, float]]], text: str) -> Options:
    """Return lines over time (epoch ms); what is not a number is a gap."""
    colours = (ACCENT, "#7c8ba1", WARM)
    series = [
        {
            "type": "line",
            "name": name,
            "data": [[at, round(y, 4) if y == y else None] for at, y in points],  # noqa: PLR0124
            "showSymbol": False,
            "lineStyle": {"width": 2, "color": colour},
            "itemStyle": {"color": colour},
        }
        for (name, points), colour in zip(lines.items(), colours, strict=False)
    ]
    return _chart(
        text,
        series,
        tooltip={**_TOOLTIP, "trigger": "axis"},
        legend={"top": 0, "itemWidth": 14, "itemHeight": 10, "textStyle": _FONT},
        grid={**_GRID, "top": 36},
        xAxis=_axis("time", splitLine={"show": False}),
        yAxis=_axis("value", scale=True),
    )


def bridge(months: Sequence[Month]) -> Options:
    """Return what moved recurring revenue each month, stacked, and the line where it closed."""
    moves = {
        "new": ACCENT, "won_back": COLOURS["won_back"], "expansion": "#3b9ddb",
        "contraction": COLOURS["decline"], "churned": COLOURS["lapsed"],
    }  # fmt: skip
    bars = [
        {
            "type": "bar",
            "name": name_of(name),
            "stack": "moves",
            "data": [float(getattr(each.recurring, name)) for each in months],
            "itemStyle": {"color": colour},
            "barMaxWidth": 34,
        }
        for name, colour in moves.items()
    ]
    closing = {
        "type": "line",
        "name": "closing",
        "data": [float(each.recurring.closing) for each in months],
        "lineStyle": {"width": 2, "color": "#7c8ba1"},
        "itemStyle": {"color": "#7c8ba1"},
    }
    said = ", ".join(f"{each.month} {each.recurring.closing:,.2f}" for each in months)
    return _chart(
        f"Recurring revenue at the end of each month: {said}",
        [*bars, closing],
        tooltip={**_TOOLTIP, "trigger": "axis"},
        legend={"top": 0, "itemWidth": 12, "itemHeight": 10, "textStyle": _FONT},
        grid={**_GRID, "top": 40},
        xAxis=_axis("category", data=[each.month for each in months]),
        yAxis=_axis("value"),
    )


def _sign(low: float, high: float) -> str:
    if low > 0:
        return "#1f9d55"
    return "#d64545" if high < 0 else "#7c8ba1"
