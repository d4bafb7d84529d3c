"""The bus on Kafka: an idempotent producer that waits for all in-sync replicas."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from services.campaigner.connections import open_consumer, open_producer
from services.campaigner.ports import Message
from shared.adapters.kafka_admin import TopicsError, topic_admin
from shared.adapters.kafka_connection import connection
from shared.settings import Settings
from shared.topics import RETENTION_TRIGGERS, TOPICS

log = structlog.get_logger(__name__)

#: After this a message is given up, so that its expiry is looked at again before the next try.
#: `publisher.GRACE_MS` must be longer.
DELIVERY_TIMEOUT_MS: Final = 10_000
_REQUEST_TIMEOUT_MS: Final = 5_000
_BATCH_BYTES: Final = 262_144
_FIND_TIMEOUT_S: Final = 60.0


class KafkaBus:
    """Publishes to, and reads back from, the topics of a deployment. For one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: KafkaProducer | None = None
        self._declared = {each.name for each in TOPICS}

    def send(self, messages: Sequence[Message]) -> list[bool]:
        """Publish, and return for each message whether every in-sync replica has it."""
        futures: list[Any] = []
        try:
            producer = self._connected()
            for message in messages:
                if self._exists(message.topic):
                    futures.append(self._hand_over(producer, message))
                else:  # that of another campaign keeps nobody waiting
                    futures.append(None)
            producer.flush(timeout=2 * DELIVERY_TIMEOUT_MS / 1000)
        except KafkaError as error:
            log.warning("kafka did not take everything", error=repr(error))
        acknowledged = [future is not None and future.succeeded() for future in futures]
        acknowledged += [False] * (len(messages) - len(futures))
        handed_over = [future for future in futures if future is not None]
        broke_off = len(futures) < len(messages)
        if broke_off or not all(future.succeeded() for future in handed_over):
            self.close()  # its sequence of messages may have a hole; the next one starts anew
        return acknowledged

    def find(self, topic: str, since: int) -> Mapping[str, Mapping[str, str]]:
        """Return the headers of a topic's records by their ``ce_id``.

        Those of campaigns that have a topic of their own are found with the shared one.

        Raises
        ------
        KafkaError
            The topic could not be read to its present end.

        """
        consumer = open_consumer(
            **connection(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        with closing(consumer):
            ends = _seek_since(consumer, self._settings.topic(topic), since)
            return _headers_until(consumer, ends)

    def close(self) -> None:
        """Let go of Kafka."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1)

    def _exists(self, topic: str) -> bool:
        """Tell whether a topic can be written to; a campaign's own is made when it is needed."""
        if topic not in self._declared:
            try:
                with topic_admin(self._settings) as admin:
                    admin.ensure_own([topic.removeprefix(f"{RETENTION_TRIGGERS.name}.")])
            except TopicsError as error:
                log.error("no topic for a campaign's triggers", topic=topic, reason=str(error))  # noqa: TRY400  # it says all there is
                return False
            self._declared.add(topic)
        return True

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = open_producer(
                **connection(self._settings),
                acks="all",
                enable_idempotence=True,
                delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
                max_block_ms=_REQUEST_TIMEOUT_MS,
                allow_auto_create_topics=False,
                batch_size=_BATCH_BYTES,
                linger_ms=2,
            )
        return self._producer

    def _hand_over(self, producer: KafkaProducer, message: Message) -> Any:  # noqa: ANN401
        topic, key, value, headers = message
        return producer.send(
            self._settings.topic(topic),
            value,
            key=None if key is None else key.encode(),
            headers=[(name, text.encode()) for name, text in headers],
        )


def _seek_since(consumer: KafkaConsumer, topic: str, since: int) -> dict[TopicPartition, int]:
    """Assign a topic, and those of its own below it, from a time; return where they end now."""
    names = [each for each in consumer.topics() if each == topic or each.startswith(f"{topic}.")]
    partitions = [
        TopicPartition(name, number)
        for name in sorted(names)
        for number in sorted(consumer.partitions_for_topic(name) or ())
    ]
    consumer.assign(partitions)
    ends: dict[TopicPartition, int] = consumer.end_offsets(partitions)
    found = consumer.offsets_for_times(dict.fromkeys(partitions, max(since, 0)))
    for partition in partitions:
        start = found.get(partition)
        consumer.seek(partition, ends[partition] if start is None else start.offset)
    return ends


def _headers_until(
    consumer: KafkaConsumer, ends: Mapping[TopicPartition, int]
) -> dict[str, dict[str, str]]:
    deadline = time.monotonic() + _FIND_TIMEOUT_S
    found: dict[str, dict[str, str]] = {}
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        if time.monotonic() > deadline:
            raise KafkaTimeoutError("could not read a topic back to its end")
        polled = consumer.poll(timeout_ms=500, max_records=10_000)
        if polled:  # however much there is: only a standstill is an error
            deadline = time.monotonic() + _FIND_TIMEOUT_S
        for records in polled.values():
            for record in records:
                headers = {name: value.decode() for name, value in record.headers}
                found[headers.get("ce_id", "")] = headers
    return found
