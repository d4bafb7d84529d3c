"""What ingest does, free of HTTP: check a request as a whole, then publish it as a whole."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import msgspec
import structlog
from msgspec import Raw

from services.ingest.gatherer import Gatherer
from services.ingest.quota import Quotas
from services.ingest.refusal import Problem, RefusedError
from services.ingest.validation import Accepted, Validator, unreadable
from shared import metrics
from shared.adapters.api_keys import Caller
from shared.adapters.event_log import EventLog, customer_partition
from shared.domain.event_data import Time
from shared.domain.events import DECODE_ERRORS, Tick

log = structlog.get_logger(__name__)

#: Event ids that a log line names; the rest are counted.
_LOGGED_IDS = 10


class TickRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request to move time."""

    time: Time


class IngestService:
    """Accepts events and ticks.

    Parameters
    ----------
    event_log
        Where events go; asked for its number of partitions only.
    validator, quotas, gatherer
        The steps of a request.

    """

    def __init__(
        self, event_log: EventLog, *, validator: Validator, quotas: Quotas, gatherer: Gatherer
    ) -> None:
        self._log = event_log
        self._validator = validator
        self._quotas = quotas
        self._gatherer = gatherer

    async def accept(self, caller: Caller, body: bytes, *, batch: bool) -> int:
        """Publish the events of a request, and return how many they are.

        Parameters
        ----------
        caller
            Who sends them.
        body
            One event as JSON, or with ``batch`` a JSON array of them.

        Raises
        ------
        RefusedError
            Nothing was written, or with ``unavailable`` perhaps some of it.

        """
        try:
            return await self._accept(caller, body, batch=batch)
        except RefusedError as refusal:
            metrics.INGEST_REFUSED.labels(refusal.reason).inc(refusal.events)
            if refusal.reason == "invalid":
                metrics.INGEST_INVALID.inc(len({bad.index for bad in refusal.problems}))
            raise

    async def tick(self, body: bytes) -> None:
        """Move the time of every partition, behind all that was accepted before.

        Raises
        ------
        RefusedError
            As for `accept`.

        """
        time = self._tick_time(body)
        event = Tick(
            specversion="1.0", id=f"tick-{time.isoformat()}", source="tenure/ingest", time=time
        )
        raw = msgspec.json.encode(event)
        await self._gatherer.publish({p: [raw] for p in range(self._log.partitions)})

    async def _accept(self, caller: Caller, body: bytes, *, batch: bool) -> int:
        self._gatherer.require_room()  # before the work of reading what cannot be taken anyway
        accepted = self._validator.batch(body) if batch else self._validator.single(body)
        events = len(accepted.events)
        _require_sources(caller, accepted)
        self._quotas.spend(caller, events)
        await self._publish(accepted)
        metrics.INGEST_ACCEPTED.inc(events)
        return events

    async def _publish(self, accepted: Accepted) -> None:
        try:
            await self._gatherer.publish(self._by_partition(accepted))
        except RefusedError as refusal:
            ids = [event.id for event in accepted.events[:_LOGGED_IDS]]
            log.warning("not published", reason=refusal.reason, events=refusal.events, first=ids)
            raise

    def _by_partition(self, accepted: Accepted) -> dict[int, list[bytes | Raw]]:
        partitions = self._log.partitions
        groups: dict[int, list[bytes | Raw]] = defaultdict(list)
        for event, raw in zip(accepted.events, accepted.raws, strict=True):
            groups[customer_partition(event.subject, partitions)].append(raw)
        return groups

    def _tick_time(self, body: bytes) -> datetime:
        try:
            time = msgspec.json.decode(body, type=TickRequest).time
        except msgspec.ValidationError as error:
            raise _bad_tick(str(error)) from None
        except DECODE_ERRORS as error:
            raise unreadable(str(error)) from None
        if wrong := self._validator.check_time(time):
            raise _bad_tick(wrong.reason)
        return time


def _require_sources(caller: Caller, accepted: Accepted) -> None:
    """Refuse events whose source the caller does not speak for, naming each of them."""
    foreign = {
        source
        for source in {event.source for event in accepted.events}
        if not caller.speaks_for(source)
    }
    if not foreign:
        return
    reason = f"the key {caller.name!r} may not send for this source"
    remedy = "Use the key of that source, or have it added to `sources` in the keys file"
    problems = [
        Problem(index, "source", reason, remedy)
        for index, event in enumerate(accepted.events)
        if event.source in foreign
    ]
    detail = f"The key {caller.name!r} may not send for {sorted(foreign)}."
    raise RefusedError("forbidden", detail, events=len(accepted.events), problems=problems)


def _bad_tick(reason: str) -> RefusedError:
    remedy = 'Send {"time": "2026-01-31T12:00:00Z"}, not in the future'
    return RefusedError(
        "invalid", f"{reason}. {remedy}.", problems=[Problem(0, "time", reason, remedy)]
    )
