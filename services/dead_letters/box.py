"""The topic ``dead-letter`` in Kafka."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from services.dead_letters.letters import Entry, Letter, State, note, of_customers, read
from shared import topics
from shared.adapters.kafka_connection import connection, try_access
from shared.adapters.topic_reader import committed_records
from shared.settings import Settings


class LetterBox:
    """Reads letters and notes what becomes of them. Use it as an asynchronous context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._place = TopicPartition(settings.topic(topics.DEAD_LETTER.name), 0)
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        Raises
        ------
        KafkaAccessError
            With the reason and the remedy.

        """
        await try_access(self._settings)
        self._producer = AIOKafkaProducer(
            **connection(self._settings), enable_idempotence=True, acks="all"
        )
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def letters(self) -> dict[int, Letter]:
        """Return all letters that are there now, by number, the oldest first."""
        records = committed_records(self._settings, self._place)
        return read([_entry(record) async for record in records])

    async def note(self, letter: Letter, state: State) -> None:
        """Return when what became of a letter is written down."""
        if self._producer is None:
            raise RuntimeError("not connected")
        await self._producer.send_and_wait(
            self._place.topic,
            b"",
            key=f"note/{letter.number}".encode(),
            partition=0,
            headers=note(letter.number, state),
        )

    async def erase(self, customers: Iterable[str]) -> int:
        """Take out the letters of customers; return how many there were, once Kafka knows it."""
        found = of_customers((await self.letters()).values(), customers)
        if self._producer is None:
            raise RuntimeError("not connected")
        for letter in found:
            await self._producer.send_and_wait(
                self._place.topic, None, key=letter.key.encode(), partition=0
            )
        return len(found)


def _entry(record: ConsumerRecord) -> Entry:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    key = (record.key or b"").decode(errors="replace")
    return Entry(record.offset, record.timestamp, headers, record.value, key)
