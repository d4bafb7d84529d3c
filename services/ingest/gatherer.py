"""Gathers the events of concurrent requests into few records, and tells each request its fate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Raw

from services.ingest.lane import Chunk, Delivery, Lane, Load, record_bytes, unavailable
from services.ingest.refusal import RETRY_IS_SAFE, RefusedError
from shared.adapters.event_log import EventLog
from shared.adapters.tracing import NO_TRACES, Traces

#: Events by partition, in the order in which they shall be in the log.
Groups = Mapping[int, Sequence[bytes | Raw]]

#: Seconds without an acknowledgement after which a service is not ready.
_STUCK_S: Final = 5.0


class Gatherer:
    """Publishes requests: one record a partition at a time, in the order of arrival.

    Parameters
    ----------
    event_log
        Where records go.
    linger_s
        How long a record waits for more requests.
    max_pending, max_pending_bytes
        Events and bytes waiting for the log above which requests are refused.
    timeout_s
        How long a request waits for the log before it is refused.
    traces
        Tells which requests are followed.

    """

    def __init__(
        self,
        event_log: EventLog,
        *,
        linger_s: float,
        max_pending: int,
        max_pending_bytes: int,
        timeout_s: float,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._log = event_log
        self._linger_s = linger_s
        self._max_pending = max_pending
        self._max_pending_bytes = max_pending_bytes
        self._timeout_s = timeout_s
        self._traces = traces
        self._lanes: dict[int, Lane] = {}
        self._load = Load()
        self._open = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pending(self) -> int:
        """How many events wait for the log."""
        return self._load.events

    def problem(self) -> str | None:
        """Return why records do not get through at present, if so."""
        if (problem := self._log.problem()) is not None:
            return problem
        stuck = {partition: lane.stuck_s() for partition, lane in self._lanes.items()}
        late = {partition: seconds for partition, seconds in stuck.items() if seconds > _STUCK_S}
        if not late:
            return None
        return f"Kafka did not acknowledge for {max(late.values()):.0f} s: partitions {[*late]}"

    def require_room(self, events: int = 0, size: int = 0) -> None:
        """Refuse a request that cannot be taken in now.

        A request larger than the limit is let in when nothing else waits.

        Raises
        ------
        RefusedError
            ``draining``, ``overloaded`` or ``unavailable``.

        """
        if self._draining:
            raise RefusedError(
                "draining", "Shutting down; send it again.", events=events, retry_after_s=1
            )
        full = (
            self._load.events + events > self._max_pending
            or self._load.bytes + size > self._max_pending_bytes
        )
        if full and self._load.events:
            raise RefusedError(
                "overloaded",
                f"{self._load.events} events wait for Kafka. Nothing was written; send it again.",
                events=events,
                retry_after_s=1,
            )
        if not self._log.partitions:
            why = self._log.problem() or "the log has no partitions"
            raise unavailable(f"Nothing was written: {why}.", events)

    async def publish(self, groups: Groups) -> None:
        """Write events, and return when all in-sync replicas have all of them.

        Up to its first await this runs in one go, so requests leave in the order of their calls.

        Raises
        ------
        RefusedError
            As `require_room` does, and ``unavailable`` when the log does not acknowledge all; some
            of the events may then be written.

        """
        events = sum(map(len, groups.values()))
        self.require_room(events, sum(len(raw) for raws in groups.values() for raw in raws))
        if not events:
            return
        delivery = self._enqueue(groups, events)
        try:
            await self._outcome(delivery, events)
        finally:
            self._leave()

    async def drain(self) -> None:
        """Refuse new requests, and return when those that were taken in have their answer."""
        self._draining = True
        await self._idle.wait()

    async def close(self) -> None:
        """End the lanes; call `drain` before."""
        for lane in self._lanes.values():
            await lane.close()

    def _enqueue(self, groups: Groups, events: int) -> Delivery:
        # The brackets of the record's array are two bytes.
        room = record_bytes(self._log) - 2
        pieces = [(p, *piece) for p, raws in groups.items() for piece in _pieces(raws, room)]
        delivery = Delivery(len(pieces), events)
        arrived, trace = asyncio.get_running_loop().time(), self._traces.current()
        for partition, payload, count in pieces:
            self._lane(partition).put(Chunk(payload, count, arrived, delivery, trace))
        self._open += 1
        self._idle.clear()
        return delivery

    def _leave(self) -> None:
        self._open -= 1
        if not self._open:
            self._idle.set()

    async def _outcome(self, delivery: Delivery, events: int) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await delivery.outcome
        except TimeoutError:
            for lane in self._lanes.values():
                lane.drop_abandoned()
            late = f"Kafka did not answer within {self._timeout_s:g} s. {RETRY_IS_SAFE}"
            raise unavailable(late, events) from None

    def _lane(self, partition: int) -> Lane:
        lane = self._lanes.get(partition)
        if lane is None:
            lane = Lane(self._log, partition, self._linger_s, self._load)
            self._lanes[partition] = lane
        return lane


def _pieces(raws: Sequence[bytes | Raw], room: int) -> Iterator[tuple[bytes, int]]:
    """Join events with commas, in pieces of at most ``room`` bytes, with their number of events."""
    piece: list[bytes | Raw] = []
    size = 0
    for raw in raws:
        if piece and size + len(raw) > room:
            yield b",".join(piece), len(piece)
            piece, size = [], 0
        piece.append(raw)
        size += len(raw) + 1
    if piece:
        yield b",".join(piece), len(piece)
