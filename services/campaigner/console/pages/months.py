"""The base month by month: who came and went, recurring revenue, cash to come."""

from __future__ import annotations

from collections.abc import Iterator

from nicegui import ui

from services.campaigner.console import charts
from services.campaigner.console.frame import Visit, frame
from services.campaigner.console.questions.months import AHEAD, Months
from services.campaigner.console.questions.words import count, money, name_of
from services.campaigner.console.state import Console
from services.campaigner.console.widgets import Chart, Table, card
from shared.domain.base_book import MonthsBy
from shared.domain.base_months import Bridge, Month, Part

_NOTHING = "Nothing was booked yet. A month begins with the first customer who came in it."
_BY: dict[MonthsBy, str] = {
    "all": "the whole base", "market": "market", "brand": "brand", "plan": "plan"
}  # fmt: skip


def add(console: Console) -> None:
    """Add the page."""

    @ui.page("/months")
    def show() -> None:
        with frame(console, "Months") as visit:
            view = _Months(visit)
            visit.live(view.refresh, every_s=4.0)


class _Months:
    """The page's widgets."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._currency = visit.console.parts.settings.currency
        with ui.element("div").classes("cards"):
            with card("Recurring revenue", wide=True, note="Of the whole base, by what moved it."):
                self._bridge = Chart(280)
            with card("Customers", wide=True):
                self._by = ui.select(_BY, value="all", label="Months of").props("outlined dense")
                self._moves = Table(
                    "Who came and went each month",
                    ("part", "month@", "opening#", "came#", "closed#", "were closed#",
                     "fell silent#", "closing#", "churn#", "revenue#", "margin#"),
                    _NOTHING,
                )  # fmt: skip
            with card("Recurring revenue by month", wide=True):
                self._recurring = Table(
                    "How recurring revenue moved each month",
                    ("part", "month@", "opening#", "new#", "won back#", "expansion#",
                     "contraction#", "churned#", "moved#", "closing#"),
                    _NOTHING,
                )  # fmt: skip
            ahead = (f"month {number}#" for number in range(1, AHEAD + 1))
            with card("Cash expected", wide=True, note="Of who is in the base now, by stage."):
                self._cash = Table(
                    "Cash expected in the next months",
                    ("stage", "customers#", *ahead),
                    _NOTHING,
                )
        self._by.on_value_change(self.refresh)

    async def refresh(self) -> None:
        """Ask anew."""
        by: MonthsBy = self._by.value
        answer = await self._visit.console.ask(self._visit.console.months[by].get)
        self._visit.banner.show(answer.problem)
        if answer.value is not None:
            self._show(answer.value, by)

    def _show(self, found: Months, by: MonthsBy) -> None:
        if by == "all":
            whole = found.parts[0].months if found.parts else []
            self._bridge.show(charts.bridge(whole) if whole else None, _NOTHING)
        self._moves.show([self._move(part, each) for part, each in _newest_first(found.parts)])
        self._recurring.show(
            [
                (part.name, each.month, *self._amounts(each.recurring))
                for part, each in _newest_first(found.parts)
            ]
        )
        self._cash.show(
            [
                (name_of(each.name), count(each.customers), *map(self._money, each.months))
                for each in found.cash
            ]
        )

    def _move(self, part: Part, month: Month) -> tuple[str, ...]:
        came = month.gained + month.returned + month.moved_in
        return (
            part.name,
            month.month,
            count(month.opening),
            count(came),
            count(month.lost_voluntary),
            count(month.lost_involuntary),
            count(month.lost_silent),
            count(month.closing),
            "-" if month.churn is None else f"{month.churn:.1%}",
            self._money(float(month.revenue)),
            self._money(float(month.margin)),
        )

    def _amounts(self, bridge: Bridge) -> Iterator[str]:
        moved = bridge.moved_in + bridge.moved_out
        for each in (
            bridge.opening, bridge.new, bridge.won_back, bridge.expansion, bridge.contraction,
            bridge.churned, moved, bridge.closing,
        ):  # fmt: skip
            yield self._money(float(each))

    def _money(self, amount: float) -> str:
        return money(amount, self._currency)


def _newest_first(parts: list[Part]) -> Iterator[tuple[Part, Month]]:
    return ((part, each) for part in parts for each in reversed(part.months))
