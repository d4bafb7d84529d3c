"""Dead letters: what could not be processed, to be read, repaired and sent once more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from nicegui import ui

from services.campaigner.console.frame import Visit, frame
from services.campaigner.console.questions.letters import letter, needs_again, repaired, send
from services.campaigner.console.questions.words import count, moment
from services.campaigner.console.state import Console
from services.campaigner.console.widgets import Cell, Figure, Table, Text, button, card
from services.dead_letters.letters import Letter, State
from shared.adapters.api_keys import Caller

_SHOWN: Final = 200
_FACTS: Final = ("field", "reason", "remedy", "error", "truncated")


def add(console: Console) -> None:
    """Add the list, and the page of one letter."""

    @ui.page("/letters")
    def show() -> None:
        with frame(console, "Dead letters") as visit:
            view = _Letters(visit)
            visit.live(view.refresh, every_s=3.0)

    @ui.page("/letters/{number}")
    def show_one(number: int) -> None:
        with frame(console, f"Dead letter {number}", within="Dead letters") as visit:
            view = _Letter(visit, number)
            visit.live(view.refresh, every_s=3.0)


class _Letters:
    """The list's widgets."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with ui.element("div").classes("figures"):
            self._counts = {
                State.OPEN: Figure("Open"),
                State.REFUSED: Figure("Sent, and still bad"),
                State.SENDING: Figure("Sent, outcome unknown"),
                State.ACCEPTED: Figure("Accepted since"),
            }
        note = "The newest first. Whatever could not be processed is here, as it was sent."
        with card("Letters", wide=True, note=note):
            self._table = Table(
                "Dead letters",
                ("letter", "written (UTC)@", "state", "field", "what is wrong", "from"),
                "None: everything that came could be processed.",
            )

    async def refresh(self) -> None:
        """Show what is there now."""
        console = self._visit.console
        answer = await console.ask(console.letters.get)
        self._visit.banner.show(answer.problem)
        if answer.value is None:
            return
        counts = Counter(each.state for each in answer.value)
        for state, figure in self._counts.items():
            figure.show(count(counts[state]))
        self._table.show([self._row(each) for each in answer.value[:_SHOWN]])

    def _row(self, each: Letter) -> list[str | Cell]:
        return [
            Cell(str(each.number), self._visit.href(f"/letters/{each.number}")),
            moment(each.at),
            Cell(each.state, kind=each.state),
            each.facts.get("field", ""),
            each.facts.get("reason", ""),
            each.origin,
        ]


class _Letter:
    """One letter's widgets."""

    def __init__(self, visit: Visit, number: int) -> None:
        self._visit = visit
        self._number = number
        self._whole: Letter | None = None
        with ui.element("div").classes("cards"):
            with card("What is wrong", wide=True):
                self._facts = Table("What is known of the letter", ("", "what"), "")
            with card("What it says", wide=True) as body:
                body.set_visibility(False)
                self._body = body
                may = visit.may("operate")
                self._text = ui.textarea("Bytes, as they were sent").props(
                    'outlined input-class="source" spellcheck=false input-style="min-height: 12rem"'
                )
                self._text.classes("editor")
                if not may:
                    self._text.props("readonly")
                    Text("p", "Repairing and replaying takes the role operator.", "note")
                with ui.element("div").classes("buttons"):
                    self._again = ui.checkbox("Send it although it may have arrived")
                    self._again.set_visibility(False)
                    if may:
                        button("Replay through ingest", self._send, kind="main")
                        button("As it was", self._reset)

    async def refresh(self) -> None:
        """Show the letter, and what became of it."""
        console = self._visit.console
        answer = await console.ask(console.letters.get)
        if answer.value is None or answer.problem:
            self._visit.banner.show(answer.problem)
            return
        if self._whole is None:
            self._whole = await console.ask(letter, console.logs, answer.value, self._number)
            self._reset()
            self._body.set_visibility(True)
        now = next((each for each in answer.value if each.number == self._number), self._whole)
        self._whole = replace(self._whole, state=now.state)
        self._visit.banner.show()
        self._again.set_visibility(needs_again(now) and self._visit.may("operate"))
        facts = {"state": str(now.state), "written": f"{moment(now.at)} UTC", "from": now.origin}
        known = {name: now.facts[name] for name in _FACTS if name in now.facts}
        self._facts.show([(name, text) for name, text in (facts | known).items()])

    def _reset(self) -> None:
        if self._whole is not None:
            self._text.set_value(self._whole.text)

    async def _send(self) -> None:
        await self.refresh()  # somebody else may have sent it meanwhile
        whole, parts = self._whole, self._visit.console.parts
        if whole is None:
            return
        value = repaired(whole, self._text.value or "")
        again = bool(self._again.value)

        async def sent(caller: Caller) -> str:
            return await send(parts, caller, whole, value, again=again)

        await self._visit.change("operate", sent)
        await self.refresh()
