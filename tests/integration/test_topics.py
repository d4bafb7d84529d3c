"""The declared topics on a real broker: made once, and compared with what is declared."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.kafka_admin import (
    Found,
    Report,
    TopicsError,
    declare,
    differences,
    topic_admin,
)
from shared.settings import Settings, load_settings
from shared.topics import CUSTOMER_EVENTS, TOPICS

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka: EmbeddedKafka, prefix: str) -> Settings:
    return load_settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers, topic_prefix=prefix, partitions=3
    )


def ensure(settings: Settings) -> Report:
    with topic_admin(settings) as admin:
        return admin.ensure()


def described(settings: Settings) -> dict[str, Any]:
    """Ask the broker itself, past the code under test."""
    client = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    try:
        return {
            each["name"]: each
            for each in client.describe_topics()
            if each["name"].startswith(settings.topic_prefix)
        }
    finally:
        client.close()


def alter(settings: Settings, topic: str, key: str, value: str) -> None:
    client = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    resource = ConfigResource(ConfigResourceType.TOPIC, settings.topic(topic), {key: value})
    client.alter_configs([resource])
    deadline = time.monotonic() + 10
    while _value(client, settings.topic(topic), key) != value:  # brokers hear of it later
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.close()


def _value(client: KafkaAdminClient, topic: str, key: str) -> str:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    return client.describe_configs([resource], config_filter="all")["topic"][topic][key]["value"]


def test_all_declared_topics_are_made_with_their_partitions(settings: Settings) -> None:
    report = ensure(settings)
    assert report.differences == []
    found = described(settings)
    assert sorted(report.created) == sorted(found)
    for topic in TOPICS:
        assert len(found[settings.topic(topic.name)]["partitions"]) == (topic.partitions or 3)


def test_the_second_time_changes_nothing(settings: Settings) -> None:
    ensure(settings)
    before = described(settings)
    assert ensure(settings) == Report()
    assert described(settings) == before


def test_a_campaigns_own_topic_is_made_once_and_like_the_shared_one(settings: Settings) -> None:
    ensure(settings)
    with topic_admin(settings) as admin:
        assert admin.ensure_own([]) == []
        own = settings.topic("retention-triggers.early-warning")
        assert admin.ensure_own(["early-warning"]) == [own]
        assert admin.ensure_own(["early-warning"]) == []
        assert admin.check().differences == []
    found = described(settings)
    shared = found[settings.topic("retention-triggers")]
    assert len(found[own]["partitions"]) == len(shared["partitions"])
    client = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    assert _value(client, own, "retention.ms") == str(7 * 24 * 3600 * 1000)
    client.close()


def test_two_at_once_make_each_topic_once(settings: Settings) -> None:
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(ensure, [settings, settings]))
    created = [name for report in reports for name in report.created]
    assert sorted(created) == sorted(described(settings))
    assert all(report.differences == [] for report in reports)


def test_checking_makes_nothing(settings: Settings) -> None:
    with topic_admin(settings) as admin:
        report = admin.check()
    assert [each.what for each in report.differences] == ["missing"] * len(TOPICS)
    assert described(settings) == {}


def test_a_changed_configuration_is_reported_and_mended(settings: Settings) -> None:
    ensure(settings)
    alter(settings, "customer-events", "message.timestamp.type", "CreateTime")
    (difference,) = ensure(settings).differences
    assert (difference.topic, difference.what) == (
        settings.topic("customer-events"),
        "message.timestamp.type",
    )
    assert (difference.expected, difference.found) == ("LogAppendTime", "CreateTime")
    assert "tenure topics --mend" in difference.remedy
    with topic_admin(settings) as admin:
        assert admin.mend() == Report()
        assert admin.check() == Report()


def test_other_partitions_are_reported_and_never_changed(settings: Settings) -> None:
    ensure(settings)
    more = settings.model_copy(update={"partitions": 5})
    with topic_admin(more) as admin:
        (difference,) = admin.mend().differences
    # The topics beside customer-events follow it as it is, or a customer's records would part.
    assert difference.topic == settings.topic("customer-events")
    assert (difference.what, difference.expected, difference.found) == ("partitions", "5", "3")
    assert "TENURE_PARTITIONS" in difference.remedy
    assert len(described(settings)[difference.topic]["partitions"]) == 3


def test_more_replicas_than_brokers_is_refused_with_a_remedy(settings: Settings) -> None:
    three = settings.model_copy(update={"replication_factor": 3})
    with topic_admin(three) as admin, pytest.raises(TopicsError, match="REPLICATION_FACTOR"):
        admin.ensure()


def test_a_replicated_topic_asks_for_two_in_sync(settings: Settings) -> None:
    three = settings.model_copy(update={"replication_factor": 3})
    assert declare(CUSTOMER_EVENTS, three, 4).config["min.insync.replicas"] == "2"
    assert declare(CUSTOMER_EVENTS, settings, 4).config["min.insync.replicas"] == "1"


def test_a_topic_with_fewer_replicas_than_wanted_stays_writable(settings: Settings) -> None:
    """Mended to two in sync, a topic of one replica would take no record any more."""
    ensure(settings)
    three = settings.model_copy(update={"replication_factor": 3})
    with topic_admin(three) as admin:
        left = admin.mend().differences
    assert [each.what for each in left] == ["replication factor"] * len(TOPICS)
    client = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    assert _value(client, settings.topic("customer-events"), "min.insync.replicas") == "1"
    client.close()


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, "1"), (3, "2")])
def test_durability_is_that_of_the_replicas_a_topic_has(
    settings: Settings, replicas: int, in_sync: str
) -> None:
    """A shell that does not know the replication factor takes none away, either."""
    declared = declare(CUSTOMER_EVENTS, settings, 3)
    found = Found(3, replicas, declared.config | {"min.insync.replicas": in_sync})
    assert list(differences(declared, found)) == []


def test_no_broker_is_said_so_in_time(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with (
        pytest.raises(TopicsError, match="TENURE_KAFKA_BOOTSTRAP_SERVERS"),
        topic_admin(nowhere, timeout_s=1),
    ):
        pytest.fail("connected to nothing")
