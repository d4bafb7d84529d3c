"""What a dashboard is made of, in few words, and how Grafana is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import (
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TimeZoneBrowser,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef

_DATA_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT: Final = 8

Built = timeseries.Panel | stat.Panel


@dataclass(frozen=True)
class Query:
    """A query of a panel.

    Attributes
    ----------
    expr
        PromQL; ``$__rate_interval`` is Grafana's.
    legend
        What a line is called, with labels in double braces.
    empty_until
        What has to happen before it returns anything; ``None`` when it always does.

    """

    expr: str
    legend: str = ""
    empty_until: str | None = None


@dataclass(frozen=True)
class Panel:
    """A graph over time, or the newest value as a number.

    Attributes
    ----------
    unit
        Grafana's name of it.
    width
        Of 24 columns.
    number
        Whether it shows numbers and not a graph.
    stacked
        Whether the lines add up to a whole.

    """

    title: str
    text: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    number: bool = False
    stacked: bool = False

    @property
    def description(self) -> str:
        """The text, and what it may be empty for."""
        waiting = [query.empty_until for query in self.queries if query.empty_until]
        return " ".join([self.text, *(f"Empty until {reason}." for reason in waiting)])

    def build(self) -> Built:
        """Return it as Grafana's."""
        panel = self._number() if self.number else self._graph()
        panel.title(self.title).description(self.description).datasource(_DATA_SOURCE)
        panel.unit(self.unit).span(self.width).height(_HEIGHT if not self.number else _HEIGHT // 2)
        for letter, query in zip("ABCDEFGH", self.queries, strict=False):
            panel.with_target(self._target(letter, query))
        return panel

    def _graph(self) -> timeseries.Panel:
        legend = common.VizLegendOptions().show_legend(show_legend=True)
        legend.display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
        tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI)
        stacking = StackingMode.NORMAL if self.stacked else StackingMode.NONE
        return (
            timeseries.Panel()
            .legend(legend)
            .tooltip(tooltip)
            .stacking(common.StackingConfig().mode(stacking))
            .fill_opacity(30 if self.stacked else 5)
            .min(0)
        )

    @staticmethod
    def _number() -> stat.Panel:
        return stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))

    @staticmethod
    def _target(letter: str, query: Query) -> prometheus.Dataquery:
        target = prometheus.Dataquery().ref_id(letter).expr(query.expr).datasource(_DATA_SOURCE)
        return target.range().legend_format(query.legend or "__auto")


@dataclass(frozen=True)
class Section:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """A dashboard; ``uid`` is its name in addresses and of its file."""

    uid: str
    title: str
    text: str
    sections: tuple[Section, ...] = field(default_factory=tuple)

    def build(self) -> dashboard.Dashboard:
        """Return it as Grafana's."""
        built = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.text)
            .tags(["tenure"])
            .readonly()
            .refresh("15s")
            .time("now-1h", "now")
            .timezone(TimeZoneBrowser)
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .with_variable(
                dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
            )
        )
        numbers = count(1)
        for section in self.sections:
            built.with_row(dashboard.Row(section.title).id(next(numbers)))
            for panel in section.panels:
                built.with_panel(panel.build().id(next(numbers)))
        return built


def quantile(share: float, histogram: str, selector: str, empty_until: str | None = None) -> Query:
    """Return a quantile of a histogram over all instances, in its own unit."""
    rate = f"sum by (le) (rate({histogram}_bucket{{{selector}}}[$__rate_interval]))"
    name = f"p{100 * share:g}"
    return Query(f"histogram_quantile({share}, {rate})", name, empty_until)
