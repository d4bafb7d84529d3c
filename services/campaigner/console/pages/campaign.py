"""One campaign: what it does, what it achieved, who changed it, and the switches."""

from __future__ import annotations

from nicegui import ui

from services.campaigner.console import acts, charts
from services.campaigner.console.acts import Change
from services.campaigner.console.dialogs import ask_change
from services.campaigner.console.frame import Visit, frame
from services.campaigner.console.questions.campaigns import (
    UNBALANCED,
    One,
    arms,
    campaign,
    effects,
    said,
    settings_of,
)
from services.campaigner.console.questions.words import count, moment, money, name_of
from services.campaigner.console.state import Console
from services.campaigner.console.widgets import Banner, Cell, Chart, Figure, Table, button, card
from shared.adapters.api_keys import Caller, Permission
from shared.domain.campaign_report import CampaignReport

_FEW = "Too few are measured yet: a customer is, once the window after the first enrolment ends."


def add(console: Console) -> None:
    """Add the page."""

    @ui.page("/campaigns/{name}")
    def show(name: str) -> None:
        with frame(console, name, within="Campaigns") as visit:
            view = _Campaign(visit, name)
            visit.live(view.refresh, every_s=3.0)


class _Campaign:
    """The page's widgets."""

    def __init__(self, visit: Visit, name: str) -> None:
        self._visit = visit
        self._name = name
        self._version = ""
        self._currency = visit.console.parts.settings.currency
        self._held = Banner()
        self._buttons: dict[str, ui.button] = {}
        with ui.element("div").classes("buttons"):
            if visit.may("operate"):
                self._buttons["pause"] = button("Pause", self._ask_pause, kind="danger")
                self._buttons["resume"] = button("Resume", self._ask_resume, kind="main")
            if visit.may("administer"):
                self._buttons["approve"] = button("Approve", self._ask_approve, kind="main")
            for each in self._buttons.values():
                each.set_visibility(False)
        with ui.element("div").classes("figures"):
            self._state = Figure("State")
            self._fired = Figure("Triggers")
            self._uplift = Figure("More customers stayed")
            self._return = Figure("Return on spend")
            self._cost = Figure("Cost")
            self._budget = Figure("Budget left")
        with ui.element("div").classes("cards"):
            with card("Uplift", note="Contacted against held out; intervals of 95 % that hold at "
                      "every look."):  # fmt: skip
                self._plot = Chart(190)
                self._effects = Table(
                    "Effects by customer", ("by customer", "uplift#", "95 % interval#"), _FEW
                )
            with card("Arms"):
                self._arms = Table(
                    "Both arms",
                    (
                        "arm",
                        "enrolled#",
                        "measured#",
                        "stayed#",
                        "revenue#",
                        "margin#",
                        "opted out#",
                    ),
                    "Nobody is enrolled yet.",
                )
                self._balance = ui.label("").classes("note")
                self._outcomes = Table(
                    "Decisions by outcome",
                    ("decisions", "in all#"),
                    "No decisions yet: nobody has crossed its threshold.",
                )
            with card("What it says"):
                self._says = Table("What the campaign file says", ("field", "value"), "")
            with card("Versions and changes"):
                self._versions = Table(
                    "Versions",
                    ("since (UTC)@", "version", "author", "approved by"),
                    "None yet.",
                )
                self._changes = Table(
                    "Changes",
                    ("when (UTC)@", "who", "did", "what"),
                    "Nobody has changed anything.",
                )

    async def refresh(self) -> None:
        """Show how it stands now."""
        console = self._visit.console
        found = await console.ask(campaign, console.parts, self._name)
        if found is None:
            self._visit.banner.show("No such campaign is in force. See the list of campaigns.")
            return
        self._visit.banner.show()
        self._show_standing(found)
        self._show_effect(found.report)
        self._arms.show(arms(found.report))
        self._says.show(settings_of(found.standing.campaign))
        self._show_history(found)

    def _show_standing(self, found: One) -> None:
        standing = found.standing
        self._version = standing.campaign.version
        self._held.show(f"Stopped: {standing.held}" if standing.held else None)
        shown = {
            "pause": not standing.paused,
            "resume": standing.paused,
            "approve": not standing.approved,
        }
        for name, each in self._buttons.items():
            each.set_visibility(shown[name])
        self._state.show(standing.state, f"version {self._version}")
        fired, held_out = (standing.outcomes.get(each, 0) for each in ("fired", "held_out"))
        self._fired.show(count(fired), f"{held_out:,} held out")
        least = min(standing.budgets, key=lambda each: each.share, default=None)
        if least is None:
            self._budget.show("no limit")
        else:
            left, most = (money(each, self._currency) for each in (least.left, least.most))
            self._budget.show(f"{least.share:.0%}", f"{left} of {most}, {least.span}")
        self._outcomes.show(
            [
                (Cell(name_of(outcome), kind=outcome), count(number))
                for outcome, number in sorted(standing.outcomes.items())
            ]
        )

    def _show_effect(self, report: CampaignReport) -> None:
        stayed = report.retention
        rows = [
            (name, 100 * each.estimate, 100 * each.low, 100 * each.high)
            for name, each in (
                *((f"stayed, {one.offer}", one.retention) for one in report.offers),
                ("accepted", report.acceptance),
                ("stayed", stayed),
            )
            if each is not None
        ]
        self._plot.show(charts.uplift(rows, "points") if rows else None, _FEW)
        self._effects.show(effects(report, self._currency))
        points = "-" if stayed is None else f"{100 * stayed.estimate:+.1f} points"
        between = (
            "too few measured"
            if stayed is None
            else f"95 %: {100 * stayed.low:+.1f} to {100 * stayed.high:+.1f}"
        )
        self._uplift.show(points, between)
        back = report.return_on_spend
        brought = report.incremental_margin
        self._return.show(
            "-" if back is None else f"{back:+.0%}",
            "" if brought is None else f"{money(brought, self._currency)} margin brought",
        )
        self._cost.show(money(report.cost, self._currency), "of customers who are measured")
        trusted = report.balance.p_value >= UNBALANCED
        self._balance.set_text(
            f"{report.balance.control:,} held out, {report.balance.expected_control:,.0f} expected"
            + ("." if trusted else ": the arms are not as they were drawn. Do not trust this.")
        )

    def _show_history(self, found: One) -> None:
        self._versions.show(
            [
                (
                    moment(each.loaded_at),
                    f"{each.version} (in force)" if each.version == self._version else each.version,
                    each.author or "-",
                    each.approved_by or "-",
                )
                for each in found.versions
            ]
        )
        self._changes.show(
            [
                (moment(each.at), each.by, f"{each.action} {each.subject}", said(each, self._name))
                for each in found.changes
            ]
        )

    def _ask_pause(self) -> None:
        text = "Nothing fires, and what waits for Kafka stays until it expires."
        self._ask("operate", f"Pause {self._name}?", text, "Pause", acts.pause)

    def _ask_resume(self) -> None:
        text = "It decides and sends again at once."
        self._ask("operate", f"Resume {self._name}?", text, "Resume", acts.resume)

    def _ask(self, permission: Permission, title: str, text: str, do: str, act: Change) -> None:
        ask_change(
            self._visit, permission, act, self._name, self.refresh, title=title, text=text, do=do
        )

    async def _ask_approve(self) -> None:
        console, version = self._visit.console, self._version

        async def approved(caller: Caller) -> str:
            told = await console.ask(acts.approve, console.parts, self._name, version, caller)
            await self.refresh()
            return told

        await self._visit.change("administer", approved)
