"""How plots look in every page that Tenure writes."""

from __future__ import annotations

from typing import Any, Final

from plotly import graph_objects as go

_LAYOUT: Final[dict[str, Any]] = {
    "template": "simple_white",
    "height": 360,
    "margin": {"l": 60, "r": 20, "t": 50, "b": 45},
    "font": {"family": "system-ui, sans-serif", "size": 13},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
}


def laid_out(figure: go.Figure, *, y: str, x: str = "") -> go.Figure:
    """Return a figure with our layout, and titles of its axes."""
    figure.update_layout(**_LAYOUT)
    figure.update_xaxes(title=x)
    return figure.update_yaxes(title=y)


def as_html(figure: go.Figure, *, with_library: bool) -> str:
    """Return a figure as a part of a page; the first one of a page brings the library."""
    text: str = figure.to_html(
        full_html=False,
        include_plotlyjs=with_library,
        config={"displayModeBar": False, "responsive": True},
        default_width="100%",
    )
    return text
