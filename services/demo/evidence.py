"""What the topics hold when all is done: decisions, and labels with the predictions made for them.

The report rests on these rather than on what services counted, since counters begin anew with
their process.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaConsumer

from shared import topics
from shared.adapters.event_files import Good
from shared.adapters.kafka_connection import connection
from shared.domain import events
from shared.domain.campaign_outputs import Decision
from shared.domain.errors import TenureError
from shared.domain.outputs import Example, Training
from shared.settings import Settings
from shared.topics import Topic

_PATIENCE_S = 60.0


class EvidenceError(TenureError):
    """A topic could not be read."""


@dataclass(frozen=True)
class Evidence:
    """What was decided, what was learned, and what was bought.

    Attributes
    ----------
    decisions
        Every decision once, in the order of crossings.
    examples
        Every label once, in the order in which they became known.
    purchases
        Each customer's times of purchase in milliseconds since 1970, ascending.
    ended_at
        Time of the last purchase.

    """

    decisions: list[Decision]
    examples: list[Example]
    purchases: dict[str, list[int]] = field(default_factory=dict)

    @property
    def ended_at(self) -> int:
        """When the history ended, in milliseconds since 1970."""
        return max((times[-1] for times in self.purchases.values()), default=0)

    def silent_after(self, decision: Decision, horizon_ms: int) -> bool | None:
        """Tell whether a customer bought nothing for a horizon; ``None`` while it is too early."""
        end = decision.at + horizon_ms
        if end > self.ended_at:
            return None
        times = self.purchases.get(decision.customer, [])
        return bisect_right(times, end) == bisect_right(times, decision.at)


async def read_evidence(settings: Settings, history: list[Good]) -> Evidence:
    """Read the topics from their beginnings to where they end now."""
    decisions = {
        decision.id: decision
        for value in await _values(settings, topics.CAMPAIGN_DECISIONS)
        for decision in [msgspec.json.decode(value, type=Decision)]
    }
    examples = [
        example
        for value in await _values(settings, topics.TRAINING_EXAMPLES)
        for example in msgspec.json.decode(value, type=Training).examples
        if example.measured
    ]
    return Evidence(
        sorted(decisions.values(), key=lambda each: (each.at, each.id)),
        sorted(examples, key=lambda each: (each.labelled_at, each.origin)),
        _purchases(history),
    )


def _purchases(history: list[Good]) -> dict[str, list[int]]:
    times: dict[str, list[int]] = {}
    for each in history:
        event = events.decode_customer_event(each.value)
        if isinstance(event, events.Purchase) and event.data.amount >= 0:
            times.setdefault(event.subject, []).append(each.at)
    return times


async def _values(settings: Settings, topic: Topic) -> list[bytes]:
    """Return the values of all committed records of a topic."""
    consumer = AIOKafkaConsumer(
        settings.topic(topic.name),
        **connection(settings),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return [value async for value in _read(consumer)]
    except TimeoutError:
        raise EvidenceError(f"{topic.name} could not be read to its end") from None
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer) -> AsyncIterator[bytes]:
    partitions = consumer.assignment()
    ends = await consumer.end_offsets(partitions)
    # A position passes the markers of transactions too, so it does reach the end.
    while any([await consumer.position(each) < ends[each] for each in partitions]):
        for records in (await consumer.getmany(timeout_ms=100)).values():
            for record in records:
                if record.value is not None:
                    yield record.value
