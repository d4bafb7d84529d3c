"""One customer: who that is, why the risk is what it is, and all that happened, live."""

from __future__ import annotations

from typing import Final

from nicegui import ui

from services.campaigner.console import acts, charts
from services.campaigner.console.acts import Change
from services.campaigner.console.dialogs import ask_change
from services.campaigner.console.frame import Visit, frame
from services.campaigner.console.questions.customers import Customer, customer, entries, why
from services.campaigner.console.questions.trail import Past, Trail
from services.campaigner.console.questions.words import ago, count, day, moment, money, name_of
from services.campaigner.console.state import Console
from services.campaigner.console.widgets import Cell, Chart, Figure, Table, button, card
from services.campaigner.profile_tables import (
    NEXT,
    PRODUCTS,
    SERVICES,
    in_words,
    products,
    services,
)
from shared.adapters.api_keys import Permission
from shared.domain.outputs import Score

#: Lines of the timeline at the most; the newest are shown.
_LINES: Final = 120
_MANY: Final = 60


def add(console: Console) -> None:
    """Add the page."""

    @ui.page("/customers/{name:path}")
    def show(name: str) -> None:
        with frame(console, name, within="Customers") as visit:
            view = _Customer(visit, name)
            visit.live(view.refresh)


class _Customer:
    """The page's widgets, and how far the customer's logs are read."""

    def __init__(self, visit: Visit, name: str) -> None:
        self._visit = visit
        self._name = name
        self._trail = Trail(visit.console.logs, name)
        self._currency = visit.console.parts.settings.currency
        self._suppress = self._unsuppress = None
        with ui.element("div").classes("buttons"):
            if visit.may("operate"):
                self._suppress = button("Suppress", self._ask_suppress, kind="danger")
                self._suppress.set_visibility(False)
            if visit.may("administer"):
                self._unsuppress = button("Take off the suppression list", self._ask_unsuppress)
                self._unsuppress.set_visibility(False)
        with ui.element("div").classes("figures"):
            self._stage = Figure("Stage")
            self._risk = Figure("Churn risk")
            self._value = Figure("Value to come")
            self._spend = Figure("Revenue to date")
            self._active = Figure("Last activity")
        with ui.element("div").classes("cards"):
            with card("Why this risk"):
                self._reasons = Table(
                    "Reasons of the risk",
                    ("reason", "effect#"),
                    "No reasons: nothing stands out, or there is no score yet.",
                )
                self._model = ui.label("").classes("note")
            with card("Risk over time"):
                self._history = Chart(230)
            with card("Profile and dealings"):
                self._facts = Table("What is known", ("about", "fact", "value"), "Nothing yet.")
                self._services = Table("Services used", SERVICES, "")
                self._products = Table("Products bought last", PRODUCTS, "")
                self._next = Table("Products likely to be taken up next", NEXT, "")
            with card("Decisions"):
                self._decisions = Table(
                    "Decisions about this customer",
                    ("when@", "campaign", "outcome", "why"),
                    "None: no campaign's threshold was crossed.",
                )
            with card("Timeline", wide=True) as timeline:
                timeline.classes("tall")
                self._timeline = Table(
                    "What happened, the newest first",
                    ("when (UTC)@", "what", "", "details"),
                    "Nothing yet. Post an event for this customer, and it appears here by itself.",
                )
                with ui.element("div").classes("buttons"):
                    self._more = button("Look further back", self._look_back)
                    self._looked = ui.label("").classes("note")

    async def refresh(self) -> None:
        """Show what is new."""
        console = self._visit.console
        found = await console.ask(customer, console.parts, self._name)
        self._show(found)
        self._show_past(found, await console.ask(self._trail.look))

    async def _look_back(self) -> None:
        console = self._visit.console
        self._more.props("loading")
        past = await console.ask(self._trail.look_back)
        self._more.props(remove="loading")
        self._show_past(await console.ask(customer, console.parts, self._name), past)

    def _show(self, found: Customer | None) -> None:
        if found is None:
            for figure in (self._stage, self._risk, self._value, self._spend, self._active):
                figure.show("-")
            self._stage.show("unknown", "No score of this id yet")
            for table in (self._reasons, self._facts, self._decisions):
                table.show([])
            self._services.show([])
            self._products.show([])
            self._next.show([])
            return
        if self._suppress is not None:
            self._suppress.set_visibility(not found.suppressed)
        if self._unsuppress is not None:
            self._unsuppress.set_visibility(found.suppressed)
        self._show_figures(found.score, suppressed=found.suppressed)
        self._reasons.show(
            [
                (in_words(each), Cell(f"{each.contribution:+.2f}"))
                for each in sorted(found.score.reasons, key=lambda each: -abs(each.contribution))
            ]
        )
        self._model.set_text(_said_of_model(found.score))
        self._facts.show(
            [
                ("" if place else name, fact, value)
                for name, rows in found.facts
                for place, (fact, value) in enumerate(rows)
            ]
        )
        self._services.show(services(found.score.dealings))
        self._products.show(products(found.score.dealings))
        self._next.show(found.following)
        self._decisions.show(
            [
                (
                    moment(each.at),
                    Cell(each.campaign, self._visit.campaign(each.campaign)),
                    Cell(name_of(each.outcome), kind=each.outcome),
                    why(each),
                )
                for each in found.decisions[:_MANY]
            ]
        )

    def _ask_suppress(self) -> None:
        text = "No campaign contacts this customer from now on, whatever it decides."
        self._ask("operate", "Suppress this customer?", text, "Suppress", acts.suppress)

    def _ask_unsuppress(self) -> None:
        text = "Campaigns may contact this customer again."
        self._ask("administer", "Take off the list?", text, "Take off", acts.unsuppress)

    def _ask(self, permission: Permission, title: str, text: str, do: str, act: Change) -> None:
        ask_change(
            self._visit, permission, act, self._name, self.refresh, title=title, text=text, do=do
        )

    def _show_figures(self, score: Score, *, suppressed: bool) -> None:
        note = "on the suppression list" if suppressed else f"since {day(score.stage_since)}"
        if score.segment:
            note = f"{note}; {name_of(score.segment)}"
        self._stage.show(name_of(score.stage), note)
        horizon = self._visit.console.parts.settings.horizon_days
        before = score.risk_7d_ago
        self._risk.show(
            f"{score.risk:.0%}",
            f"of silence within {horizon} days"
            + ("" if before is None else f"; a week ago {before:.0%}"),
        )
        expected = money(score.expected_spend, self._currency)
        self._value.show(money(score.clv, self._currency), f"{expected} over the next horizon")
        self._spend.show(
            money(score.revenue, self._currency),
            f"margin {money(score.margin, self._currency)}, "
            f"cost {money(score.cost, self._currency)}",
        )
        last = score.last_activity
        self._active.show(
            ago(last, score.at) if last else "never",
            f"{count(score.visits)} active days since {day(score.first_activity or None)}",
        )

    def _show_past(self, found: Customer | None, past: Past) -> None:
        now = [] if found is None else [(found.score.at, found.score.risk)]
        points = sorted({*past.risks, *now})
        self._history.show(
            charts.risk_history(points) if points else None,
            "No scores in what Kafka keeps of the last 30 days.",
        )
        everything = sorted([*past.entries, *(entries(found) if found else ())], reverse=True)
        self._timeline.show(
            [
                (moment(each.at), Cell(each.kind, kind=each.kind), each.title, each.detail)
                for each in everything[:_LINES]
            ]
        )
        self._looked.set_text(_searched(past, len(everything)))
        self._more.set_visibility(not past.complete and past.problem is None)
        self._visit.banner.show(
            f"Events and history are left out: {past.problem}" if past.problem else None
        )


def _said_of_model(score: Score) -> str:
    who = f"Model version {score.model}" if score.model else "The stated heuristic (no model yet)"
    return f"{who}, {moment(score.at)} UTC. Effects are in log-odds: plus raises the risk."


def _searched(past: Past, lines: int) -> str:
    parts = []
    if lines > _LINES:
        parts.append(f"The newest {_LINES} of {lines:,} lines.")
    if past.complete:
        parts.append("All that Kafka keeps was looked at.")
    elif past.since is not None:
        parts.append(f"Looked through what Kafka got since {moment(past.since)} UTC.")
    return " ".join(parts)
