"""Is every event of a request good? All bad ones are found, not only the first.

A batch that is good is decoded in one step. In one that looks suspicious, each event is examined
on its own, so that the sender can mend all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from services.ingest.refusal import Problem, RefusedError
from shared.domain.errors import InvalidEventError
from shared.domain.events import (
    DECODE_ERRORS,
    CustomerEvent,
    decode_customer_event,
    decode_customer_events,
    is_array,
    split,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: How deep an event may nest. Far deeper, and the depth of the reader's own stack would decide
#: whether the scorer can read what was accepted here.
MAX_NESTING: Final = 64
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)

Raws = Sequence[bytes | msgspec.Raw]

_one_value = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True)
class Accepted:
    """Good events, and the bytes that each of them came in."""

    events: list[CustomerEvent]
    raws: Raws


class Validator:
    """Checks requests.

    Parameters
    ----------
    currency
        The reporting currency; amounts in another are refused.
    future_tolerance_s
        How far ahead of ``now`` an event's time may be.
    max_event_bytes
        Returns the largest size of an event.
    now
        Returns the time, in UTC.

    """

    def __init__(
        self,
        *,
        currency: str,
        future_tolerance_s: float,
        max_event_bytes: Callable[[], int],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._currency = currency
        self._tolerance = timedelta(seconds=future_tolerance_s)
        self._max_event_bytes = max_event_bytes
        self._now = now

    def batch(self, body: bytes) -> Accepted:
        """Check a JSON array of events; it may be empty, as CloudEvents allows.

        Raises
        ------
        RefusedError
            ``unreadable`` when the body is no JSON, ``invalid`` when any event is bad.

        """
        _require_utf8(body)
        raws = _elements(body)
        try:
            events = decode_customer_events(body)
        except DECODE_ERRORS:
            events = []
        if len(events) != len(raws) or self._is_suspicious(events, body):
            events = self._examined(raws)
        return Accepted(events, raws)

    def single(self, body: bytes) -> Accepted:
        """Check one event; raises as `batch` does."""
        _require_utf8(body)
        try:
            _one_value.decode(body)
        except DECODE_ERRORS as error:
            raise unreadable(str(error)) from None
        return Accepted(self._examined([body]), [body])

    def check_time(self, time: datetime) -> InvalidEventError | None:
        """Return what is wrong with an event time, if anything."""
        if time <= _EPOCH:
            return InvalidEventError("time", "not after 1970-01-01", "Send when it happened")
        if time > self._now() + self._tolerance:
            return InvalidEventError(
                "time",
                f"more than {self._tolerance.total_seconds():g} s in the future",
                "Send when it happened, and check the sender's clock and time zone",
            )
        return None

    def _is_suspicious(self, events: list[CustomerEvent], body: bytes) -> bool:
        """Say whether any event may be bad; wrong only in being too careful."""
        latest, currencies = self._now() + self._tolerance, (None, self._currency)
        return (
            len(body) > self._max_event_bytes()
            # An event has two braces at least: so few more cannot nest too deep.
            or body.count(b"{") + body.count(b"[") > 2 * len(events) + MAX_NESTING - 2
            or not all(
                _EPOCH < event.time <= latest
                and getattr(event.data, "currency", None) in currencies
                for event in events
            )
        )

    def _examined(self, raws: Raws) -> list[CustomerEvent]:
        """Examine each event on its own, and return them if all are good."""
        events: list[CustomerEvent] = []
        problems: list[Problem] = []
        for index, raw in enumerate(map(bytes, raws)):
            try:
                events.append(decode_customer_event(raw))
                wrong = list(self._wrong(events[-1], raw))
            except InvalidEventError as error:
                wrong = [error]
            problems += [Problem.of(index, error) for error in wrong]
        if problems:
            raise _invalid(problems, len(raws))
        return events

    def _wrong(self, event: CustomerEvent, raw: bytes) -> Iterator[InvalidEventError]:
        """Yield what is wrong with a readable event."""
        if error := self.check_time(event.time):
            yield error
        currency, ours = getattr(event.data, "currency", None), self._currency
        if currency not in (None, ours):
            reason = f"{currency}, but amounts are in {ours} here"
            yield InvalidEventError("data.currency", reason, f"Convert the amount to {ours}")
        if len(raw) > (limit := self._max_event_bytes()):
            reason = f"{len(raw)} bytes, but the log takes {limit}"
            yield InvalidEventError("$", reason, "Leave out what is not needed")
        if nesting(raw) > MAX_NESTING:
            reason = f"nested deeper than {MAX_NESTING} levels"
            yield InvalidEventError("$", reason, "Flatten the extension attributes")


def nesting(raw: bytes) -> int:
    """Return how deep a JSON text nests; an upper bound where it has few brackets at all."""
    if (opened := raw.count(b"{") + raw.count(b"[")) <= MAX_NESTING:
        return opened
    depth = deepest = 0
    for byte in _STRINGS.sub(b"", raw):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def unreadable(why: str) -> RefusedError:
    """Return the refusal of a body that is no JSON."""
    return RefusedError("unreadable", f"The body is no JSON: {why}. Send UTF-8 JSON (RFC 8259).")


def _require_utf8(body: bytes) -> None:
    # Decoders skip what they need not read, invalid bytes included; other readers may not.
    try:
        body.decode()
    except UnicodeDecodeError as error:
        why = f"Byte {error.start} is not UTF-8. Send UTF-8 JSON."
        raise RefusedError("unreadable", why) from None


def _elements(body: bytes) -> list[msgspec.Raw]:
    try:
        return split(body)
    except InvalidEventError as error:
        if not is_array(body) and _is_json(body):
            wrong = Problem(0, "$", "no JSON array", "Send an array, also for one event")
            raise _invalid([wrong], 0) from None
        raise unreadable(error.reason) from None


def _is_json(body: bytes) -> bool:
    try:
        _one_value.decode(body)
    except DECODE_ERRORS:
        return False
    return True


def _invalid(problems: list[Problem], events: int) -> RefusedError:
    bad = len({problem.index for problem in problems})
    detail = f"{bad} of {events} events are bad, and none was accepted. Mend them as `errors` says."
    return RefusedError("invalid", detail, events=events, problems=problems)
