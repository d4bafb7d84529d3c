"""Campaigns tried on the past, from a form."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from nicegui import ui

from services.campaigner.campaign_file import campaign_bytes
from services.campaigner.console.frame import Visit, frame
from services.campaigner.console.questions.words import count, day, moment, money
from services.campaigner.console.simulating import simulated
from services.campaigner.console.state import Console
from services.campaigner.console.widgets import Banner, Cell, Table, Text, button, card
from shared.domain.campaign_outputs import Outcome
from shared.domain.errors import TenureError
from shared.domain.simulation_report import CampaignDifference, Simulation

_OUTCOMES: Final[tuple[Outcome, ...]] = ("fired", "held_out", "suppressed", "expired", "deferred")
_NAMED: Final = 100
_DAYS: Final = 7


def add(console: Console) -> None:
    """Add the page."""

    @ui.page("/simulate")
    async def show() -> None:
        with frame(console, "Try campaigns on the past", within="Campaigns") as visit:
            text = await console.ask(campaign_bytes, console.parts.settings.campaigns_file)
            _Form(visit, text.decode(errors="replace"))


class _Form:
    """The form, and what came out."""

    def __init__(self, visit: Visit, text: str) -> None:
        self._visit = visit
        self._currency = visit.console.parts.settings.currency
        self._running: asyncio.Task[Simulation] | None = None
        with ui.element("div").classes("cards"):
            self._lay_out(text)
        self._show_running(running=False)
        ui.context.client.on_delete(self._cancel)

    def _lay_out(self, text: str) -> None:
        now = datetime.now(UTC).date()
        with card("What to try", wide=True, note="Recorded scores run through these campaigns. "
                  "Nothing is sent, and nothing is changed."):  # fmt: skip
            with ui.element("div").classes("buttons"):
                self._since = _date("From (UTC)", (now - timedelta(days=_DAYS)).isoformat())
                self._until = _date("Before (UTC)", (now + timedelta(days=1)).isoformat())
            self._file = ui.textarea("Campaign file", value=text).props(
                'outlined input-class="source" spellcheck=false input-style="min-height: 18rem"'
            )
            self._file.classes("editor")
            with ui.element("div").classes("buttons"):
                self._start = button("Try it", self._run, kind="main")
                self._stop = button("Cancel", self._cancel)
                self._progress = ui.linear_progress(0, show_value=False).props("rounded")
                self._progress.props('aria-label="How far it is"').classes("progress")
            self._problem = Banner()
        with card("What would differ", wide=True):
            self._said = Text("p", "Nothing was tried yet.", "note")
            self._said.props('role="status" aria-live="polite"')
            self._counts = Table(
                "Decisions as they were made and as they would have been",
                ("campaign", "", *(f"{each.replace('_', ' ')}#" for each in _OUTCOMES), "cost#"),
                "",
            )
            self._contacts = Table(
                "Whose contact would differ", ("customer", "campaign", "when (UTC)@", "would"), ""
            )
            self._counts.show([])
            self._contacts.show([])

    async def _run(self) -> None:
        self._problem.show()
        try:
            self._visit.require("read")
            since, until = _stretch(self._since.value, self._until.value)
            self._show_running(running=True)
            self._running = asyncio.create_task(self._simulated(since, until))
            self._show(await self._running)
        except TenureError as error:
            self._problem.show(str(error))
        except asyncio.CancelledError:
            self._said.set_text("Cancelled.")
        finally:
            self._running = None
            self._show_running(running=False)

    async def _simulated(self, since: int, until: int) -> Simulation:
        settings = self._visit.console.parts.settings
        async with self._visit.console.simulating:
            return await simulated(
                settings, self._file.value or "", since, until, self._show_progress
            )

    def _show_progress(self, share: float) -> None:
        self._progress.set_value(share)

    def _cancel(self) -> None:
        if self._running is not None:
            self._running.cancel()

    def _show_running(self, *, running: bool) -> None:
        self._start.set_visibility(not running)
        self._stop.set_visibility(running)
        self._progress.set_visibility(running)
        self._progress.set_value(0)
        if running:
            self._said.set_text("Reading scores and decisions …")

    def _show(self, found: Simulation) -> None:
        self._said.set_text(_verdict(found))
        rows = []
        for each in found.campaigns:
            for name, counts, cost in (
                ("happened", each.happened, each.cost_happened),
                ("simulated", each.simulated, each.cost_simulated),
            ):
                numbers = (count(counts.get(outcome, 0)) for outcome in _OUTCOMES)
                rows.append((each.campaign, name, *numbers, money(cost, self._currency)))
        self._counts.show(rows)
        self._contacts.show([row for each in found.campaigns for row in self._differing(each)])

    def _differing(self, found: CampaignDifference) -> list[tuple[Cell, str, str, str]]:
        return [
            (
                Cell(each.customer, self._visit.customer(each.customer)),
                found.campaign,
                moment(each.at),
                would,
            )
            for contacts, would in (
                (found.gained, "have been contacted, and was not"),
                (found.lost, "not have been contacted, and was"),
            )
            for each in contacts[:_NAMED]
        ]


def _date(label: str, value: str) -> ui.input:
    return ui.input(label, value=value).props('outlined dense type="date"')


def _stretch(since: str | None, until: str | None) -> tuple[int, int]:
    found = _at(since), _at(until)
    if found[0] >= found[1]:
        raise TenureError("The first day must be before the last.")
    return found


def _at(text: str | None) -> int:
    try:
        found = datetime.fromisoformat(text or "").replace(tzinfo=UTC)
    except ValueError:
        raise TenureError(f"{text or 'Nothing'} is no day. Choose one.") from None
    return round(found.timestamp() * 1000)


def _verdict(found: Simulation) -> str:
    told = f"{count(found.scores)} scores, {day(found.since)} to {day(found.until)}. "
    if not found.scores:
        return "No scores are kept of that time: `score-history` reaches 30 days back."
    if found.same:
        return told + "Every decision comes out as it was made."
    gained, lost = (sum(len(getattr(each, side)) for each in found.campaigns)
                    for side in ("gained", "lost"))  # fmt: skip
    return told + f"{gained:,} more would have been contacted, and {lost:,} would not."
