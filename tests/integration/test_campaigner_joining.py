"""A campaigner that joins its group owns what there is."""

from collections.abc import Mapping
from threading import Event, Thread
from typing import cast

import pytest

from services.campaigner.consumer import ScoreConsumer
from services.campaigner.service import Campaigner
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.settings import Settings, load_settings
from tests.integration.campaigner_kafka import PARTITIONS, make_topics

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

JOINS = 10


class Owner:
    """Takes what it is given, and remembers each time."""

    def __init__(self) -> None:
        self.owned: list[list[int]] = []
        self.something = Event()

    def own(self, partitions: list[int]) -> dict[int, int]:
        self.owned.append(partitions)
        if partitions:
            self.something.set()
        return dict.fromkeys(partitions, 0)

    def disown(self) -> None:
        """Forget nothing."""

    def process(self, records: Mapping[int, object]) -> int:
        return len(records)


def settings_of(bootstrap_servers: str, prefix: str) -> Settings:
    return load_settings(
        kafka_bootstrap_servers=bootstrap_servers, topic_prefix=prefix, partitions=PARTITIONS
    )


def test_it_owns_everything_at_once_each_time(kafka: EmbeddedKafka, prefix: str) -> None:
    for number in range(JOINS):
        settings = settings_of(kafka.bootstrap_servers, f"{prefix}{number}-")
        make_topics(settings)
        owner, stop = Owner(), Event()
        consumer = ScoreConsumer(settings, cast("Campaigner", owner))
        thread = Thread(target=consumer.run, args=[stop])
        thread.start()
        try:
            assert owner.something.wait(20)
        finally:
            stop.set()
            thread.join()
        assert owner.owned == [list(range(PARTITIONS))]
