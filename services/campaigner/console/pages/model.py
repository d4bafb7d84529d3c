"""The churn model: how good it was, whether its probabilities can be taken at their word."""

from __future__ import annotations

from typing import Final

from nicegui import ui

from services.campaigner.console import acts, charts
from services.campaigner.console.dialogs import ask_reason
from services.campaigner.console.frame import Visit, frame
from services.campaigner.console.kept import Answer
from services.campaigner.console.questions.fleet import Fleet
from services.campaigner.console.questions.model import Contest, Quality, shown
from services.campaigner.console.questions.words import count, day, moment
from services.campaigner.console.state import Console
from services.campaigner.console.widgets import Cell, Chart, Figure, Table, Text, button, card
from shared.adapters.api_keys import Caller

_FEW: Final = (
    "No labels yet. A prediction is measured once its horizon has passed; "
    "`tenure replay` brings a history's."
)
_NO_VERSION: Final = "None yet: the stated heuristic is served until the model shows a lower loss."


def add(console: Console) -> None:
    """Add the page."""

    @ui.page("/model")
    def show() -> None:
        with frame(console, "Model") as visit:
            view = _Model(visit)
            visit.live(view.refresh, every_s=4.0)


class _Model:
    """The page's widgets."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with ui.element("div").classes("figures"):
            self._served = Figure("Served now")
            self._auc = Figure("AUC")
            self._loss = Figure("Log loss")
            self._ece = Figure("Calibration error")
            self._rate = Figure("Silent for a horizon")
        with ui.element("div").classes("cards"):
            with card("AUC over time", note="How well who leaves is ranked above who stays."):
                self._aucs = Chart(250)
            with card(
                "Log loss over time", note="How much its probabilities miss; less is better."
            ):
                self._losses = Chart(250)
            with card("Reliability", note="On the line, what was predicted came true as often. "
                      "Larger points are of more labels."):  # fmt: skip
                self._reliability = Chart(330)
            with card("Beside the fallback"):
                self._metrics = Table(
                    "Metrics of the model and of the stated heuristic",
                    ("metric", "model#", "heuristic#", "model, recently active#"),
                    _FEW,
                )
                self._labels = ui.label("").classes("note")
            with card("By market", note="A market that is off while all together are not "
                      "differs from the others."):  # fmt: skip
                self._markets = Table(
                    "The model in each market",
                    ("market", "labels#", "silent#", "AUC#", "log loss#", "calibration error#"),
                    _FEW,
                )
            with card("Champion and challenger", wide=True, note="Both learn the same labels. "
                      "The challenger is promoted once it is better with confidence."):  # fmt: skip
                self._contest = Table(
                    "How champion and challenger learn, and their log loss on the same labels",
                    ("", "how it learns", "log loss#"),
                    _NO_VERSION,
                )
                self._difference = ui.label("").classes("note")
                self._promotions = Table(
                    "Challengers that took the champion's place",
                    ("promoted (UTC)@", "in version#", "how it learns", "difference#"),
                    "None has taken the champion's place yet.",
                )
            with card("Versions", wide=True):
                self._versions = Table(
                    "Published versions",
                    ("version#", "published (UTC)@", "labels learned#", "up to@", "signature"),
                    _NO_VERSION,
                )

                if visit.may("administer"):
                    self._choice()

    def _choice(self) -> None:
        self._chosen = ui.number("Version to serve", value=0, min=0, precision=0).props(
            "outlined dense"
        )
        Text("p", "0 is the stated heuristic.", "note")
        with ui.element("div").classes("buttons"):
            button("Serve this version", lambda: self._ask(int(self._chosen.value or 0)))
            button("Serve the newest", lambda: self._ask(None))

    def _ask(self, version: int | None) -> None:
        parts = self._visit.console.parts

        async def serve(caller: Caller, reason: str) -> str:
            return await acts.pin(parts, version, caller, reason)

        if version is None:
            title, text = "Serve the newest version?", "And each that the trainer publishes."
        else:
            title = f"Serve version {version}?"
            text = (
                "Until somebody asks for the newest again, whatever the trainer publishes. "
                "A scorer that cannot trust that version goes on with the one that it has."
            )
        ask_reason(self._visit, "administer", serve, title=title, text=text, do="Serve it")

    async def refresh(self) -> None:
        """Show how good it is by now."""
        console = self._visit.console
        answer = await console.ask(console.model.get)
        fleet = await console.ask(console.fleet.get)
        self._visit.banner.show(answer.problem)
        self._show_served(fleet)
        if answer.value is not None:
            self._show(answer.value)

    def _show_served(self, answer: Answer[Fleet]) -> None:
        read = answer.value.metrics if answer.value else {}
        version, warm = (read.get((f"tenure_model_{each}", "")) for each in ("version", "warm"))
        if version is None or version != version:  # noqa: PLR0124  # NaN on scorers without trainer
            self._served.show("-", "no trainer answers at TENURE_CONSOLE_SCORER_URL")
        elif warm:
            self._served.show(
                f"version {version:.0f}", f"{read.get(_LABELS, 0):,.0f} labels learned"
            )
        else:
            self._served.show("heuristic", f"version {version:.0f} is not better yet")

    def _show(self, found: Quality) -> None:
        model, cold, recent = found.model, found.heuristic, found.recent
        self._auc.show(shown(model.auc), f"heuristic {shown(cold.auc)}")
        self._loss.show(shown(model.log_loss), f"heuristic {shown(cold.log_loss)}")
        self._ece.show(shown(model.ece), f"heuristic {shown(cold.ece)}")
        self._rate.show("-" if not model.n else f"{model.base_rate:.0%}", f"{model.n:,} labels")
        self._metrics.show(
            [
                (name, *(shown(getattr(each, key)) for each in (model, cold, recent)))
                for name, key in _METRICS
                if model.n
            ]
        )
        self._markets.show(
            [
                (
                    market,
                    count(each.n),
                    f"{each.base_rate:.0%}",
                    *map(shown, (each.auc, each.log_loss, each.ece)),
                )
                for market, each in found.markets
            ]
        )
        if found.first is not None:
            self._labels.set_text(
                f"The newest {count(model.n)} labels, {day(found.first)} to {day(found.last)}; "
                f"{count(recent.n)} of customers active within two horizons before."
            )
        self._reliability.show(charts.reliability(found.bins) if found.bins else None, _FEW)
        self._show_contest(found.contest)
        self._show_curves(found)
        self._versions.show(
            [
                (
                    str(each.version),
                    moment(each.at),
                    count(each.labels),
                    day(each.labelled_at),
                    Cell(each.problem or "ours", kind="bad" if each.problem else "good"),
                )
                for each in found.versions
            ]
        )

    def _show_contest(self, found: tuple[int, Contest] | None) -> None:
        if found is None:
            self._contest.show([])
            self._promotions.show([])
            return
        version, contest = found
        self._contest.show(
            [
                (name, learns or "there is none", shown(loss, 4))
                for name, learns, loss in (
                    ("champion", contest.champion, contest.losses[0]),
                    ("challenger", contest.challenger, contest.losses[1]),
                )
            ]
        )
        self._difference.set_text(f"Version {version}: {contest.said}")
        self._promotions.show(
            [
                (day(each.at), str(each.version), each.configuration, str(each.difference))
                for each in contest.promotions
            ]
        )

    def _show_curves(self, found: Quality) -> None:
        few = "Too few labels for a curve yet."
        for chart, key, text in (
            (self._aucs, "auc", "AUC over time"),
            (self._losses, "log_loss", "Log loss over time"),
        ):
            lines = {
                name: [(each.at, getattr(each, field)) for each in found.curve]
                for name, field in (("model", key), ("heuristic", f"heuristic_{key}"))
            }
            chart.show(charts.curves(lines, text) if found.curve else None, few)


_LABELS: Final = ("tenure_model_labels", "")
_METRICS: Final = (
    ("AUC", "auc"),
    ("PR-AUC", "pr_auc"),
    ("log loss", "log_loss"),
    ("Brier score", "brier"),
    ("calibration error", "ece"),
)
