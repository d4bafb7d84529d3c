"""The first page: the base as it stands, what moves in it, and whether everything runs."""

from __future__ import annotations

from typing import Final

from nicegui import ui

from services.campaigner.console import charts
from services.campaigner.console.frame import Visit, frame
from services.campaigner.console.kept import Answer
from services.campaigner.console.questions.base import Today, Worth
from services.campaigner.console.questions.fleet import Fleet
from services.campaigner.console.questions.moves import Moves
from services.campaigner.console.questions.words import count, day, moment, money, name_of
from services.campaigner.console.state import Console
from services.campaigner.console.widgets import Cell, Chart, Figure, Table, card
from shared.domain.campaign_outputs import Outcome

_NOBODY: Final = "No customers yet. Post an event to ingest; docs/api.md shows how."
_OUTCOMES: Final[tuple[Outcome, ...]] = ("fired", "held_out", "suppressed", "deferred", "expired")


def add(console: Console) -> None:
    """Add the page."""

    @ui.page("/")
    def overview() -> None:
        with frame(console, "Overview") as visit:
            view = _Overview(visit)
            visit.live(view.refresh)


class _Overview:
    """The page's widgets."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._currency = visit.console.parts.settings.currency
        with ui.element("div").classes("figures"):
            self._customers = Figure("Customers")
            self._equity = Figure("Customer equity")
            self._revenue = Figure("Revenue to date")
            self._today = Figure("Contacted today")
            self._rate = Figure("Events a second")
            self._lag = Figure("Records behind")
        with ui.element("div").classes("cards"):
            with card("Stages"):
                self._stages = Chart(290)
            with card("Moves between stages", note="Left: the stage left. Right: what followed."):
                self._flows = Chart(290)
                self._flow_note = _note()
            with card("Churn risk", wide=True, note="Of customers who are still active, by stage."):
                self._risks = Chart(250)
            with card("Decisions"):
                self._decisions = Table(
                    "Decisions by outcome",
                    ("outcome", "today#", "in all#"),
                    "No decisions yet. A campaign decides when a customer crosses its threshold.",
                )
                self._decision_note = _note()
            with card("Latest decisions"):
                self._latest = Table(
                    "The latest decisions",
                    ("when (UTC)@", "customer", "campaign", "outcome"),
                    "None yet.",
                )
            with card("Segments", note="By recency, frequency and monetary value (RFM)."):
                self._segments = Table(
                    "Segments of the base",
                    ("segment", "customers#", "equity#", "revenue#"),
                    _NOBODY,
                )
            with card("Services"):
                self._services = Table(
                    "Services and whether they are ready", ("service", "state", "why"), ""
                )

    async def refresh(self) -> None:
        """Ask everything anew; each part shows what it last knew where that fails."""
        console = self._visit.console
        worth = await console.ask(console.worth.get)
        risks = await console.ask(console.risks.get)
        today = await console.ask(console.today.get)
        self._show_worth(worth)
        if risks.value is not None:
            self._risks.show(charts.risks(risks.value) if risks.value else None, _NOBODY)
        self._show_today(today)
        fleet = await console.ask(console.fleet.get)
        self._show_fleet(fleet)
        moves = await console.ask(console.moves.get)
        self._show_moves(moves)
        without = f"Moves are left out: {moves.problem}" if moves.problem else None
        answers = (worth.problem, risks.problem, today.problem, fleet.problem)
        self._visit.banner.show(*answers, without)

    def _show_worth(self, answer: Answer[Worth]) -> None:
        if (worth := answer.value) is None:
            return
        self._customers.show(count(worth.customers))
        equity, spend = (
            money(worth.equity, self._currency),
            money(worth.expected_spend, self._currency),
        )
        self._equity.show(equity, f"{spend} expected over the next horizon")
        self._revenue.show(
            money(worth.revenue, self._currency), f"margin {money(worth.margin, self._currency)}"
        )
        stages = {each.name: each.customers for each in worth.stages}
        self._stages.show(charts.stages(stages) if stages else None, _NOBODY)
        self._segments.show(
            [
                (
                    name_of(each.name),
                    count(each.customers),
                    money(each.equity, self._currency),
                    money(each.revenue, self._currency),
                )
                for each in worth.segments
            ]
        )

    def _show_today(self, answer: Answer[Today]) -> None:
        if (today := answer.value) is None:
            return
        fired, held = today.decided.get("fired", 0), today.decided.get("held_out", 0)
        self._today.show(count(fired), f"{held:,} held out")
        self._decision_note.set_text(
            f"Today is {day(today.at)}: the base is at {moment(today.at)} UTC."
            if today.at is not None
            else ""
        )
        self._latest.show(
            [
                (
                    moment(each.at),
                    Cell(each.customer, self._visit.customer(each.customer)),
                    Cell(each.campaign, self._visit.campaign(each.campaign)),
                    Cell(name_of(each.outcome), kind=each.outcome),
                )
                for each in today.latest
            ]
        )
        known = [each for each in _OUTCOMES if each in today.in_all]
        self._decisions.show(
            [
                (
                    Cell(name_of(each), kind=each),
                    count(today.decided.get(each, 0)),
                    count(today.in_all[each]),
                )
                for each in known
            ]
        )

    def _show_fleet(self, answer: Answer[Fleet]) -> None:
        if (fleet := answer.value) is None:
            return
        rates = fleet.per_second or {}
        accepted, scored = rates.get("accepted"), rates.get("scored")
        self._rate.show(count(accepted), f"{count(scored)} scored")
        self._lag.show(count(fleet.scorer_lag), f"campaigner {count(fleet.campaigner_lag)}")
        self._services.show(
            [
                (
                    each.name,
                    Cell(
                        "ready" if each.is_ready else "not ready",
                        kind="good" if each.is_ready else "bad",
                    ),
                    "; ".join(f"{check}: {why}" for check, why in each.reasons.items()) or each.url,
                )
                for each in fleet.services
            ]
        )

    def _show_moves(self, answer: Answer[Moves]) -> None:
        moves = answer.value
        if moves is None or not moves.total:
            self._flows.show(None, "No moves yet: stages change as customers do.")
            return
        self._flows.show(charts.flows(moves.counts))
        times = "move" if moves.total == 1 else "moves"
        self._flow_note.set_text(
            f"{moves.total:,} {times}, {day(moves.first)} to {day(moves.last)}."
        )


def _note() -> ui.label:
    found = ui.label("")
    found.classes("note")
    return found
