"""Sending letters once more, through ingest, which checks them like any other event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from services.dead_letters.letters import Letter, State
from services.replay.client import RefusedError
from shared.adapters.event_files import Bad, Good
from shared.domain.errors import TenureError


class UnknownLetterError(TenureError):
    """A number that no letter has."""


class Notes(Protocol):
    """Where what becomes of a letter is written down."""

    async def note(self, letter: Letter, state: State) -> None:
        """Return when it is durable."""


class Ingest(Protocol):
    """Takes events."""

    async def post(self, events: list[Good]) -> None:
        """Return when they are accepted; raise `RefusedError` when one is bad."""


@dataclass
class Outcome:
    """What became of letters: each is in exactly one of the lists.

    Attributes
    ----------
    accepted
        Ingest has them.
    refused
        Still bad, each with what is wrong. They stay, and may be sent again.
    left
        Not sent, each with the reason.

    """

    accepted: list[int] = field(default_factory=list)
    refused: dict[int, list[Bad]] = field(default_factory=dict)
    left: dict[int, str] = field(default_factory=dict)


def chosen(letters: Mapping[int, Letter], numbers: Iterable[int]) -> list[Letter]:
    """Return the letters with these numbers.

    Raises
    ------
    UnknownLetterError
        There is none of one of them.

    """
    if missing := [str(each) for each in numbers if each not in letters]:
        raise UnknownLetterError(
            f"There is no dead letter {', '.join(missing)}: it aged out, or never was. "
            "`tenure dead-letter list` shows those that are there"
        )
    return [letters[each] for each in dict.fromkeys(numbers)]


async def resend(
    letters: Iterable[Letter],
    notes: Notes,
    ingest: Ingest,
    *,
    source: str,
    repaired: bytes | None = None,
    again: bool = False,
) -> Outcome:
    """Send letters one by one, in order, and note what becomes of each.

    Parameters
    ----------
    letters
        What to send.
    notes, ingest
        Where to.
    source
        Topic that ingest writes; letters from elsewhere are not for it.
    repaired
        Sent in place of the letter's own bytes.
    again
        Also those that were accepted already, or of which nobody knows.

    Raises
    ------
    ReplayError
        Ingest cannot be reached, or refuses the request as such; what was sent is noted.

    """
    outcome = Outcome()
    for letter in letters:
        value = letter.value if repaired is None else repaired
        reason = _not_now(letter, source, again=again) or _incomplete(letter, value)
        if reason is not None:
            outcome.left[letter.number] = reason
            continue
        event = Good(line=letter.number, at=letter.at, value=_within_array(value))
        await notes.note(letter, State.SENDING)
        try:
            await ingest.post([event])
        except RefusedError as error:
            await notes.note(letter, State.REFUSED)
            outcome.refused[letter.number] = error.bad
        else:
            await notes.note(letter, State.ACCEPTED)
            outcome.accepted.append(letter.number)
    return outcome


def _not_now(letter: Letter, source: str, *, again: bool) -> str | None:
    """Return why a letter is not sent."""
    topic = letter.facts.get("topic", source)
    if topic != source:
        return f"it is from {topic}, which only services write: they are of versions that differ"
    if letter.state is State.ACCEPTED and not again:
        return "it was accepted before; --again sends it anyway"
    if letter.state is State.SENDING and not again:
        return "it was sent before, and nobody noted what became of it; --again sends it anyway"
    return None


def _incomplete(letter: Letter, value: bytes) -> str | None:
    """Return why there is nothing that could be sent."""
    if not value.strip():
        return "it is empty; --with FILE sends what should have been in it"
    if "truncated" in letter.facts and value is letter.value:
        return f"it is {letter.facts['truncated']}; --with FILE sends the whole event"
    return None


def _within_array(value: bytes) -> bytes:
    """Return what makes this value when it is put in an array, as the client will: its events."""
    value = value.strip()
    return value[1:-1] if value.startswith(b"[") and value.endswith(b"]") else value
