"""What is in the topic ``dead-letter``: the letters, and notes on what became of them. No I/O.

A note is a record of the topic too, so it lives as long as the letter and everybody sees it. One is
written before a letter is sent and one after, so that a letter whose outcome nobody knows is never
sent again without anybody noticing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

#: Header of a note: what became of the letter that `LETTER` names.
NOTE: Final = "replay"
LETTER: Final = "letter"


class State(StrEnum):
    """What became of a letter."""

    OPEN = "open"
    SENDING = "sending"  # begun, and no outcome was noted
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True)
class Letter:
    """A dead letter.

    Attributes
    ----------
    number
        Its offset in the topic, which names it.
    at
        When it was written, in milliseconds since 1970.
    facts
        Its headers: ``error``, ``field``, ``reason``, ``remedy``, and where the original is
        (``topic``, ``partition``, ``offset``, ``index``); ``truncated`` where bytes are missing.
    value
        The original bytes.
    state
        What became of it since.

    """

    number: int
    at: int
    facts: Mapping[str, str]
    value: bytes
    state: State = State.OPEN

    @property
    def text(self) -> str:
        """The value for people: bytes that are no UTF-8 are shown escaped."""
        return self.value.decode(errors="backslashreplace")

    @property
    def origin(self) -> str:
        """Where the original is, as ``topic/partition@offset[index]``."""
        index = self.facts.get("index")
        place = "{topic}/{partition}@{offset}".format_map(_Known(self.facts))
        return f"{place}[{index}]" if index else place


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


@dataclass(frozen=True)
class Entry:
    """A record of the topic."""

    number: int
    at: int
    headers: Mapping[str, str]
    value: bytes


def note(letter: int, state: State) -> list[tuple[str, bytes]]:
    """Return the headers of a note."""
    return [(NOTE, state.value.encode()), (LETTER, str(letter).encode())]


def read(entries: Iterable[Entry]) -> dict[int, Letter]:
    """Return the letters by number, as the notes behind them leave them."""
    letters: dict[int, Letter] = {}
    for entry in entries:
        if NOTE not in entry.headers:
            letters[entry.number] = Letter(entry.number, entry.at, entry.headers, entry.value)
            continue
        number = int(entry.headers[LETTER])
        if number in letters:  # else retention took the letter before its note
            state = State(entry.headers[NOTE])
            letters[number] = replace(letters[number], state=state)
    return letters
