"""A campaigner that joins its group owns what there is."""

from collections.abc import Mapping
from threading import Event, Thread
from typing import cast

import pytest
from kafka.admin import KafkaAdminClient
from kafka.coordinator.consumer import ConsumerCoordinator

from services.campaigner import consumer as consumer_module
from services.campaigner.consumer import ScoreConsumer
from services.campaigner.service import Campaigner
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.settings import Settings, load_settings
from shared.topics import CUSTOMER_SCORES
from tests.e2e.running import until
from tests.integration.campaigner_kafka import PARTITIONS, make_topics

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

JOINS = 10
GROWN = PARTITIONS + 2


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


def test_it_owns_what_a_topic_grows_by_however_short_it_polls(
    kafka: EmbeddedKafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(kafka.bootstrap_servers, prefix)
    make_topics(settings)
    # The group's answer comes after the poll that asked for it, and nothing begins it anew.
    monkeypatch.setattr(consumer_module, "_POLL_MS", 0)
    monkeypatch.setattr(consumer_module, "_METADATA_MS", 500)
    monkeypatch.setattr(consumer_module, "_JOIN_GRACE_S", 600)
    owner, stop = Owner(), Event()
    thread = Thread(target=ScoreConsumer(settings, cast("Campaigner", owner)).run, args=[stop])
    thread.start()
    try:
        assert owner.something.wait(60)
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        admin.create_partitions({settings.topic(CUSTOMER_SCORES.name): GROWN})
        admin.close()
        until(lambda: owner.owned[-1] == list(range(GROWN)), 60, lambda: owner.owned)
    finally:
        stop.set()
        thread.join()


def test_a_join_that_the_client_loses_is_begun_anew(
    kafka: EmbeddedKafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(kafka.bootstrap_servers, prefix)
    make_topics(settings)
    monkeypatch.setattr(consumer_module, "_JOIN_GRACE_S", 2 - settings.session_timeout_s)
    needs_to_join = ConsumerCoordinator.need_rejoin
    lost: list[ConsumerCoordinator] = []

    def forget_the_first(self: ConsumerCoordinator) -> bool:
        """Do as a client that takes a join for done before it is."""
        lost.append(self)
        return self is not lost[0] and bool(needs_to_join(self))

    monkeypatch.setattr(ConsumerCoordinator, "need_rejoin", forget_the_first)
    owner, stop = Owner(), Event()
    thread = Thread(target=ScoreConsumer(settings, cast("Campaigner", owner)).run, args=[stop])
    thread.start()
    try:
        assert owner.something.wait(60)
    finally:
        stop.set()
        thread.join()
    assert lost[0] is not lost[-1]
