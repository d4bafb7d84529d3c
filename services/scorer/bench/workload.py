"""Made-up events in records as ingest writes them: a steady stream from many customers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from services.scorer.bootstrap import owner_of

_EVENT = (
    '{"specversion":"1.0","type":"tenure.purchase","id":"%d","source":"bench","subject":"%s",'
    '"time":"%s","data":{"amount":%.2f,"currency":"USD","category":"recharge"}}'
)


#: More than the events of one stream: their ids begin at a multiple of it.
_IDS = 1_000_000_000


@dataclass(frozen=True)
class Workload:
    """How many events of how many customers, and how they are put into records.

    Attributes
    ----------
    customers, partitions
        How many; customers are drawn at random, the partition is the one they hash to.
    record_events
        Events in one record.

    """

    customers: int = 100_000
    partitions: int = 4
    record_events: int = 200

    def warm_up(self, start: float) -> Iterator[tuple[int, bytes]]:
        """Yield one event of each customer, a hundred a second from ``start`` (epoch seconds)."""
        ids = (self._customer(number) for number in range(self.customers))
        yield from self._records(ids, 0, start, a_second=100.0)

    def stream(
        self, events: int, start: float, a_second: float, seed: int = 1
    ) -> Iterator[tuple[int, bytes]]:
        """Yield events of customers drawn at random; another seed, other events.

        Parameters
        ----------
        events
            How many.
        start, a_second
            When they happened: epoch seconds of the first, and how many in a second.

        """
        draw = random.Random(seed)  # noqa: S311  # no secret
        ids = (self._customer(draw.randrange(self.customers)) for _ in range(events))
        yield from self._records(ids, seed * _IDS, start, a_second)

    def _customer(self, number: int) -> str:
        return f"customer-{number:08d}"

    def _records(
        self, ids: Iterator[str], first_id: int, start: float, a_second: float
    ) -> Iterator[tuple[int, bytes]]:
        owner = owner_of(self.partitions)
        waiting: dict[int, list[str]] = {partition: [] for partition in range(self.partitions)}
        for number, customer in enumerate(ids):
            at = datetime.fromtimestamp(start + number / a_second, UTC).isoformat()
            partition = owner(customer)
            event = _EVENT % (first_id + number, customer, at, number % 5000 / 100)
            waiting[partition].append(event)
            if len(waiting[partition]) == self.record_events:
                yield partition, _join(waiting[partition])
                waiting[partition] = []
        for partition, events in waiting.items():
            if events:
                yield partition, _join(events)


def _join(events: list[str]) -> bytes:
    return f"[{','.join(events)}]".encode()
