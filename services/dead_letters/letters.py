"""What is in the topic ``dead-letter``: the letters, and notes on what became of them. No I/O.

A note is a record of the topic too, so it lives as long as the letter and everybody sees it. One is
written before a letter is sent and one after, so that a letter whose outcome nobody knows is never
sent again without anybody noticing.
"""

from __future__ import annotations

import json
import re
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
    key
        The record's key, by which it can be taken out.

    """

    number: int
    at: int
    facts: Mapping[str, str]
    value: bytes
    state: State = State.OPEN
    key: str = ""

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
    """A record of the topic; one without a value takes the letter of its key out."""

    number: int
    at: int
    headers: Mapping[str, str]
    value: bytes | None
    key: str = ""


def note(letter: int, state: State) -> list[tuple[str, bytes]]:
    """Return the headers of a note."""
    return [(NOTE, state.value.encode()), (LETTER, str(letter).encode())]


def read(entries: Iterable[Entry]) -> dict[int, Letter]:
    """Return the letters by number, as the notes behind them leave them."""
    letters: dict[int, Letter] = {}
    numbers: dict[str, int] = {}
    for entry in entries:
        if entry.value is None:
            letters.pop(numbers.pop(entry.key, -1), None)
            continue
        if NOTE not in entry.headers:
            letters[entry.number] = Letter(
                entry.number, entry.at, entry.headers, entry.value, key=entry.key
            )
            numbers[entry.key] = entry.number
            continue
        number = int(entry.headers[LETTER])
        if number in letters:  # else retention took the letter before its note
            state = State(entry.headers[NOTE])
            letters[number] = replace(letters[number], state=state)
    return letters


def of_customers(letters: Iterable[Letter], customers: Iterable[str]) -> list[Letter]:
    """Return the letters that have one of the customers as ``subject`` or ``customer``.

    They are searched as bytes: what is in them may be no JSON at all.
    """
    ids = "|".join(re.escape(form) for each in customers for form in _forms(each))
    about = re.compile(rf'"(?:subject|customer)"\s*:\s*"?(?:{ids})(?=["\s,}}\]]|$)'.encode())
    return [each for each in letters if about.search(each.value)]


def _forms(customer: str) -> set[str]:
    """Return how JSON may write an id: as it is, and with escapes."""
    return {json.dumps(customer)[1:-1], json.dumps(customer, ensure_ascii=False)[1:-1]}
