"""Dead letters: followed as they come, one read whole, one sent once more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from services.campaigner.console.parts import Parts
from services.campaigner.console.questions.fleet import ingest_url
from services.campaigner.console.questions.moves import Logs
from services.dead_letters.box import LetterBox
from services.dead_letters.letters import Entry, Letter, State, read
from services.dead_letters.service import Outcome, UnknownLetterError, resend
from services.replay.client import IngestClient, Retries
from shared.adapters.api_keys import Caller
from shared.domain.errors import TenureError
from shared.topics import CUSTOMER_EVENTS, DEAD_LETTER

#: Records of the topic that are followed, the newest; and what of each is kept in memory.
MOST: Final = 2_000
_KEPT_BYTES: Final = 200
_PATIENCE_S: Final = 10.0


class UnsentError(TenureError):
    """A letter was not accepted; the message says why and what to do."""


class Letters:
    """Follows the topic; one thread at a time.

    Parameters
    ----------
    logs
        Kafka.

    """

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._next: dict[Any, int] = {}
        self._entries: list[Entry] = []

    def look(self) -> list[Letter]:
        """Return the letters, the newest first; of their bytes only the beginning."""
        if not self._next:
            places = self._logs.partitions(DEAD_LETTER.name)
            bounds = self._logs.bounds(places)
            self._next = {each: max(low, high - MOST) for each, (low, high) in bounds.items()}
        found, self._next = self._logs.read(self._next, most=MOST)
        self._entries += [_entry(each, _KEPT_BYTES) for each in found]
        del self._entries[:-MOST]
        known = {each.number for each in self._entries}
        return [each for each in reversed(read(self._entries).values()) if each.number in known]


def letter(logs: Logs, known: list[Letter], number: int) -> Letter:
    """Return a letter with all of its bytes.

    Raises
    ------
    UnknownLetterError
        It aged out, or never was.

    """
    listed = next((each for each in known if each.number == number), None)
    (place,) = logs.partitions(DEAD_LETTER.name)
    (low, high) = logs.bounds([place])[place]
    found = logs.read({place: number}, most=1)[0] if low <= number < high else []
    if listed is None or not found or found[0].offset != number:
        raise UnknownLetterError(f"There is no dead letter {number}: it aged out, or never was.")
    return replace(listed, value=found[0].value or b"")


def repaired(whole: Letter, text: str) -> bytes | None:
    """Return what to send instead of a letter, ``None`` where the text is as it was shown."""
    return None if text == whole.text else text.encode()


async def send(
    parts: Parts, caller: Caller, whole: Letter, value: bytes | None, *, again: bool
) -> str:
    """Send a letter through ingest, and return what to tell; the audit log knows of it before.

    Raises
    ------
    UnsentError, ReplayError, KafkaAccessError
        It was not accepted, or not sent.

    """
    detail = {"repaired": value is not None, "again": again}
    subject = f"dead letter {whole.number}"
    await asyncio.to_thread(parts.controls.note, caller.name, "replay", subject, detail)
    settings = parts.settings
    key = settings.console_ingest_key
    client = IngestClient(
        ingest_url(settings),
        key=key.get_secret_value() if key else None,
        retries=Retries(patience_s=_PATIENCE_S),
    )
    async with LetterBox(settings) as box, client as ingest:
        source = settings.topic(CUSTOMER_EVENTS.name)
        outcome = await resend([whole], box, ingest, source=source, repaired=value, again=again)
    return _told(whole.number, outcome)


def _told(number: int, outcome: Outcome) -> str:
    if number in outcome.accepted:
        return f"Letter {number} was accepted: it is on its way to the customer's state."
    if bad := outcome.refused.get(number):
        raise UnsentError("\n".join(f"{each.field}: {each.reason}. {each.remedy}" for each in bad))
    # The rest of the reason is about options of the command line.
    reason = outcome.left[number].partition(";")[0]
    raise UnsentError(f"Letter {number} was not sent: {reason}.")


def needs_again(whole: Letter) -> bool:
    """Tell whether a letter may have arrived already, so that sending it needs a second thought."""
    return whole.state in {State.ACCEPTED, State.SENDING}


def _entry(record: Any, most: int) -> Entry:  # noqa: ANN401  # kafka-python's
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    return Entry(record.offset, record.timestamp, headers, (record.value or b"")[:most])
