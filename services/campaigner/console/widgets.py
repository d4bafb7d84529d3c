"""The few things that pages consist of; each is made once and shows new data in place.

In place, so that whoever is on a link with the keyboard, or reads a table, stays there. Texts are
set as texts and never as HTML: ids and reasons are whatever producers wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from services.campaigner.console.charts import Options

_LOADING: Final = "Loading …"
_KINDS: Final = {"#": "number", "@": "time"}


class Text(TextElement):
    """A text in an element of some kind, such as ``h2`` or ``td``."""

    def __init__(self, tag: str, text: str = "", classes: str = "") -> None:
        super().__init__(tag=tag, text=text)
        if classes:
            self.classes(classes)


@dataclass(frozen=True)
class Cell:
    """A text of a table, with the address that it leads to, or the kind that colours it."""

    text: str
    href: str = ""
    kind: str = ""


Row = Sequence[str | Cell]


@contextmanager
def card(title: str, *, wide: bool = False, note: str = "") -> Iterator[ui.element]:
    """Open a part of a page, with its heading."""
    with ui.element("section").classes("card wide" if wide else "card") as section:
        Text("h2", title)
        if note:
            Text("p", note, "note")
        yield section


class Banner:
    """Says what is wrong, and what to do about it; screen readers hear it when it comes."""

    def __init__(self) -> None:
        self._text = Text("div", "", "banner").props('role="status" aria-live="polite"')
        self._text.set_visibility(False)

    def show(self, *problems: str | None) -> None:
        """Show problems, or nothing."""
        text = "\n".join(dict.fromkeys(each for each in problems if each))
        self._text.set_text(text)
        self._text.set_visibility(bool(text))


class Figure:
    """One figure with its name, and a remark below."""

    def __init__(self, name: str) -> None:
        with ui.element("div").classes("figure"):
            Text("div", name, "figure-name")
            self._value = Text("div", _LOADING, "figure-value")
            self._note = Text("div", "", "figure-note")

    def show(self, value: str, note: str = "", kind: str = "") -> None:
        """Show the figure."""
        self._value.set_text(value)
        self._value.props["data-kind"] = kind
        self._note.set_text(note)


class Chart:
    """A chart, or why there is none.

    Parameters
    ----------
    height
        In pixels.

    """

    def __init__(self, height: int = 260) -> None:
        self._chart = ui.echart({"series": []}, renderer="svg").style(f"height: {height}px")
        self._chart.set_visibility(False)
        self._instead = Text("p", _LOADING, "empty")
        self._shown: Options = {}

    def show(self, options: Options | None, instead: str = "") -> None:
        """Show other data; without any, the text instead."""
        self._chart.set_visibility(options is not None)
        self._instead.set_text("" if options is not None else instead)
        self._instead.set_visibility(options is None)
        if options is not None and options != self._shown:
            self._shown = options
            self._chart.options.clear()
            self._chart.options.update(options)
            description = options.get("aria", {}).get("label", {}).get("description", "")
            self._chart.props["role"], self._chart.props["aria-label"] = "img", description
            self._chart.update()


class Table:
    """A table.

    Parameters
    ----------
    caption
        What is in it, for screen readers.
    columns
        Their headings; one that ends in ``#`` is of figures, in ``@`` of times.
    empty
        Said where there are no rows: what to do to have some.

    """

    def __init__(self, caption: str, columns: Sequence[str], empty: str) -> None:
        self._kinds = [_KINDS.get(each[-1:], "") for each in columns]
        self._rows: list[list[ui.element]] = []
        self._lines: list[ui.element] = []
        self._shown: list[tuple[Cell, ...]] = []
        with ui.element("div").classes("table").props('tabindex="0" role="region"') as self._box:
            self._box.props["aria-label"] = caption
            with ui.element("table"):
                Text("caption", caption, "unseen")
                with ui.element("thead"), ui.element("tr"):
                    for name, kind in zip(columns, self._kinds, strict=True):
                        Text("th", name.rstrip("#@"), kind).props('scope="col"')
                self._body = ui.element("tbody")
        self._box.set_visibility(False)
        self._instead = Text("p", _LOADING, "empty")
        self._empty = empty

    def show(self, rows: Sequence[Row]) -> None:
        """Show other rows."""
        cells = [
            tuple(each if isinstance(each, Cell) else Cell(each) for each in row) for row in rows
        ]
        self._box.set_visibility(bool(cells))
        self._instead.set_text(self._empty)
        self._instead.set_visibility(not cells)
        for number, row in enumerate(cells):
            if number == len(self._lines):
                self._add_line()
            if number >= len(self._shown) or self._shown[number] != row:
                self._fill(self._rows[number], row)
        while len(self._lines) > len(cells):
            self._lines.pop().delete()
            self._rows.pop()
        self._shown = cells

    def _add_line(self) -> None:
        with self._body, ui.element("tr") as line:
            own = [ui.element("td").classes(kind) for kind in self._kinds]
        self._lines.append(line)
        self._rows.append(own)

    @staticmethod
    def _fill(places: Sequence[ui.element], row: tuple[Cell, ...]) -> None:
        for place, cell in zip(places, row, strict=True):
            inner = next(iter(place), None)
            tag = "a" if cell.href else "span"
            if not isinstance(inner, Text) or inner.tag != tag:
                place.clear()
                with place:
                    inner = Text(tag)
            inner.set_text(cell.text)
            if cell.href:
                inner.props["href"] = cell.href
            inner.props["data-kind"] = cell.kind
            inner.classes(replace="mark" if cell.kind else "")


def button(text: str, act: Callable[..., Any], *, kind: str = "plain", name: str = "") -> ui.button:
    """Show a button; ``name`` says more than its text to those who do not see what is beside."""
    found = ui.button(text, on_click=act, color=None).props("no-caps unelevated")
    found.classes(f"button {kind}")
    if name:
        found.props["aria-label"] = name
    return found
