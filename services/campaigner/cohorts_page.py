"""The plot of retention by cohort, as a page that asks no other host for anything."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Final

from plotly import graph_objects as go

from shared.domain.errors import TenureError

_ROW_PX: Final = 28
_AROUND_PX: Final = 160


class PageError(TenureError):
    """The page cannot be written."""


def write_page(path: Path, found: dict[str, Any]) -> None:
    """Write the page of what ``GET /v1/base/cohorts`` answered.

    Raises
    ------
    PageError
        With the reason.

    """
    page = retention_plot(found).to_html(include_plotlyjs=True, config={"displayModeBar": False})
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise PageError(f"cannot write {path}: {error.strerror}. Name another file.") from None


def retention_plot(found: dict[str, Any]) -> go.Figure:
    """Draw the share retained, a row for each cohort and a column for each month since."""
    rows = found["cohorts"]
    shares = [
        [kept / reached for kept, reached in zip(row["retained"], row["reached"], strict=True)]
        for row in rows
    ]
    longest = max(map(len, shares), default=0)
    figure = go.Figure(
        go.Heatmap(
            z=[row + [None] * (longest - len(row)) for row in shares],
            x=list(range(longest)),
            # Plotly takes what stands in < > in a label for markup.
            y=[f"{escape(row['name'])} ({row['customers']:,})" for row in rows],
            zmin=0.0,
            zmax=1.0,
            colorscale="Viridis",
            colorbar={"tickformat": ".0%"},
            texttemplate="%{z:.0%}",
            hovertemplate="%{y}, month %{x}: %{z:.1%}<extra></extra>",
            hoverongaps=False,
        )
    )
    return figure.update_layout(
        template="simple_white",
        title=f"Active in that month or later, by {found['by']} of acquisition",
        height=_AROUND_PX + _ROW_PX * len(rows),
        font={"family": "system-ui, sans-serif", "size": 13},
        # Names of months are categories: as dates they would be spaced by their days.
        yaxis={"type": "category", "autorange": "reversed", "automargin": True},
        xaxis={"title": "months since acquisition", "dtick": 1},
    )
