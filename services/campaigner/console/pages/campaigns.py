"""All campaigns in force, and the switch that stops them."""

from __future__ import annotations

from typing import Final

from nicegui import ui

from services.campaigner.console import acts
from services.campaigner.console.dialogs import ask_reason
from services.campaigner.console.frame import Visit, frame
from services.campaigner.console.pages import campaign
from services.campaigner.console.questions.campaigns import Campaigns, Standing, campaigns
from services.campaigner.console.questions.words import count, money
from services.campaigner.console.state import Console
from services.campaigner.console.widgets import Banner, Cell, Figure, Table, Text, button, card
from shared.adapters.api_keys import Caller
from shared.domain.campaign_outputs import Outcome
from shared.domain.controls import ALL

_OUTCOMES: Final[tuple[Outcome, ...]] = ("fired", "held_out", "suppressed", "deferred", "expired")


def add(console: Console) -> None:
    """Add the page, and that of one campaign."""
    campaign.add(console)

    @ui.page("/campaigns")
    def show() -> None:
        with frame(console, "Campaigns") as visit:
            view = _Campaigns(visit)
            visit.live(view.refresh, every_s=3.0)


class _Campaigns:
    """The page's widgets."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._currency = visit.console.parts.settings.currency
        self._stopped = Banner()
        with ui.element("div").classes("buttons"):
            self._stop = self._resume = None
            if visit.may("operate"):
                self._stop = button("Stop all campaigns", self._ask_stop, kind="danger")
            if visit.may("administer"):
                self._resume = button("Resume all campaigns", self._ask_resume, kind="main")
                self._resume.set_visibility(False)
            Text("a", "Try campaigns on the past", "button").props["href"] = visit.href("/simulate")
        with ui.element("div").classes("figures"):
            self._live = Figure("Live")
            self._fired = Figure("Triggers in all")
            self._held = Figure("Held out in all")
            self._budget = Figure("Budget of all left")
        with card("Campaigns in force", wide=True):
            self._table = Table(
                "Campaigns in force",
                (
                    "campaign",
                    "state",
                    "waits for",
                    "offer by channel",
                    *(f"{each.replace('_', ' ')}#" for each in _OUTCOMES),
                    "budget left#",
                ),
                "The campaign file has none. docs/campaigns.md shows how one is written.",
            )

    async def refresh(self) -> None:
        """Show how they stand now."""
        console = self._visit.console
        found = await console.ask(campaigns, console.parts)
        self._show(found)
        self._visit.banner.show()

    def _show(self, found: Campaigns) -> None:
        self._stopped.show(f"All campaigns are stopped {found.stopped}" if found.stopped else None)
        if self._stop is not None:
            self._stop.set_visibility(found.stopped is None)
        if self._resume is not None:
            self._resume.set_visibility(found.stopped is not None)
        live = sum(each.state == "live" for each in found.standings)
        self._live.show(count(live), f"of {len(found.standings)} in the file")
        outcomes = [each.outcomes for each in found.standings]
        self._fired.show(count(sum(each.get("fired", 0) for each in outcomes)))
        self._held.show(count(sum(each.get("held_out", 0) for each in outcomes)))
        least = min(found.budgets, key=lambda each: each.share, default=None)
        if least is None:
            self._budget.show("no limit")
        else:
            most = money(least.most, self._currency)
            self._budget.show(f"{least.share:.0%}", f"of {most}, {least.span}")
        self._table.show([self._row(each) for each in found.standings])

    def _row(self, each: Standing) -> list[str | Cell]:
        own = each.campaign
        least = min(each.budgets, key=lambda left: left.share, default=None)
        return [
            Cell(own.name, self._visit.campaign(own.name)),
            Cell(each.state, kind=each.state),
            str(own.trigger),
            f"{own.offer} by {own.channel}",
            *(count(each.outcomes.get(outcome, 0)) for outcome in _OUTCOMES),
            "-" if least is None else f"{least.share:.0%}",
        ]

    def _ask_stop(self) -> None:
        parts, console = self._visit.console.parts, self._visit.console

        async def stop(caller: Caller, reason: str) -> str:
            return await console.ask(acts.pause, parts, ALL, caller, reason)

        text = "No campaign sends anything from now on, until an admin resumes them."
        title = "Stop all campaigns?"
        ask_reason(self._visit, "operate", stop, title=title, text=text, do="Stop all")

    def _ask_resume(self) -> None:
        parts, console = self._visit.console.parts, self._visit.console

        async def resume(caller: Caller, reason: str) -> str:
            return await console.ask(acts.resume, parts, ALL, caller, reason)

        text = "All but those that are paused themselves go on at once."
        title = "Resume all campaigns?"
        ask_reason(self._visit, "administer", resume, title=title, text=text, do="Resume all")
