"""A deployment of its own on the shared broker, and what any reader of its topics sees."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.kafka_admin import topic_admin
from shared.settings import Settings
from shared.topics import Topic

READ_S = 30.0


class Cluster:
    """Topics under a prefix.

    Attributes
    ----------
    settings
        This deployment's.

    """

    def __init__(self, kafka: EmbeddedKafka, prefix: str, **settings: Any) -> None:  # noqa: ANN401
        self.settings = Settings(
            kafka_bootstrap_servers=kafka.bootstrap_servers, topic_prefix=prefix, **settings
        )

    def create_topics(self) -> None:
        with topic_admin(self.settings) as admin:
            assert not admin.ensure().differences

    @property
    def environment(self) -> dict[str, str]:
        """Return what makes a process part of this deployment."""
        changed = self.settings.model_dump(exclude_unset=True)
        ours = {f"TENURE_{name.upper()}": str(value) for name, value in changed.items()}
        return {**os.environ, **ours, "PYTHONUNBUFFERED": "1"}

    def read(self, topic: Topic, partition: int | None = None) -> list[ConsumerRecord]:
        """Return all committed records of a topic, or of one partition, in order.

        By another client than the one that wrote them.
        """
        name = self.settings.topic(topic.name)
        consumer = KafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        try:
            numbers = consumer.partitions_for_topic(name) if partition is None else {partition}
            assert numbers, f"no topic {name}"
            return list(
                _all(consumer, [TopicPartition(name, number) for number in sorted(numbers)])
            )
        finally:
            consumer.close()


def _all(consumer: Any, tps: list[TopicPartition]) -> Iterator[ConsumerRecord]:  # noqa: ANN401
    consumer.assign(tps)
    ends = consumer.end_offsets(tps)
    deadline = time.monotonic() + READ_S
    for tp in tps:
        consumer.assign([tp])
        consumer.seek_to_beginning(tp)
        while consumer.position(tp) < ends[tp]:
            assert time.monotonic() < deadline, f"{tp} could not be read to its end, {ends[tp]}"
            for records in consumer.poll(timeout_ms=200).values():
                yield from records
