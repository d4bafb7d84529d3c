"""Create the declared topics, and say where those that exist differ from their declaration."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    InvalidReplicationFactorError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)

from shared.adapters.kafka_connection import (
    KafkaAccessError,
    KafkaUnreachableError,
    connection,
    require_access,
)
from shared.domain.errors import TenureError
from shared.settings import Settings
from shared.topics import CUSTOMER_EVENTS, RETENTION_TRIGGERS, TOPICS, Topic, own_triggers

#: In-sync replicas that must hold a record before it counts as written. Two survive the loss of
#: a broker; a cluster with a single replica has no more to give.
DURABLE_REPLICAS = 2
#: Of every topic some service needs each of these; one user for all is what settings provide for.
NEEDED = frozenset({"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"})
_HIDDEN = TopicAuthorizationFailedError.errno
_PROPAGATION_S = 10.0


class TopicsError(TenureError):
    """Kafka cannot be reached, or refused a topic; the message says what to do."""


@dataclass(frozen=True)
class Declared:
    """A topic as this deployment wants it: with its prefix, counts and full configuration."""

    name: str
    partitions: int
    replication_factor: int
    config: dict[str, str]


@dataclass(frozen=True)
class Found:
    """A topic as the cluster has it."""

    partitions: int
    replication_factor: int
    config: dict[str, str]


@dataclass(frozen=True)
class Difference:
    """One point in which a topic is not as declared.

    Attributes
    ----------
    what
        ``missing``, ``partitions``, ``replication factor`` or the key of a configuration.
    mendable
        Whether `TopicAdmin.mend` can set it; the rest needs a decision of an operator.

    """

    topic: str
    what: str
    expected: str
    found: str
    remedy: str
    mendable: bool = False


@dataclass(frozen=True)
class Report:
    """What was created, and what still differs."""

    created: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


def declare(topic: Topic, settings: Settings, events_partitions: int) -> Declared:
    """Return a topic of `shared.topics` with the deployment's prefix, counts and durability."""
    replicas = settings.replication_factor
    return Declared(
        settings.topic(topic.name),
        topic.partitions or events_partitions,
        replicas,
        _durable(replicas) | topic.config,
    )


def _durable(replicas: int) -> dict[str, str]:
    return {"min.insync.replicas": str(min(DURABLE_REPLICAS, replicas))}


def differences(declared: Declared, found: Found | None) -> Iterator[Difference]:
    """Yield each point in which a topic is not as declared."""
    if found is None:
        yield Difference(declared.name, "missing", "a topic", "none", "Run `tenure topics`")
        return
    if found.partitions != declared.partitions:
        yield _partitions_differ(declared, found)
    if found.replication_factor < declared.replication_factor:
        yield _too_few_replicas(declared, found)
    # By the replicas that it has: with more asked for than those, nothing could be written.
    for key, wanted in (declared.config | _durable(found.replication_factor)).items():
        if (has := found.config.get(key, "unknown")) != wanted:
            remedy = "Run `tenure topics --mend`, which sets it"
            yield Difference(declared.name, key, wanted, has, remedy, mendable=True)


def _partitions_differ(declared: Declared, found: Found) -> Difference:
    """Say why partitions are never changed: customers would move away from their state."""
    return Difference(
        declared.name,
        "partitions",
        str(declared.partitions),
        str(found.partitions),
        "Set TENURE_PARTITIONS to what customer-events has, and delete and create this topic "
        "anew where it is another; adding partitions would move customers from their state",
    )


def _too_few_replicas(declared: Declared, found: Found) -> Difference:
    return Difference(
        declared.name,
        "replication factor",
        str(declared.replication_factor),
        str(found.replication_factor),
        "Add replicas with Kafka's kafka-reassign-partitions.sh and run `tenure topics --mend`, "
        "or set TENURE_REPLICATION_FACTOR to what the topic has",
    )


class TopicAdmin:
    """The declared topics of one deployment on its cluster. Use it as a context manager.

    Every method may be repeated, and several processes may call them at once.
    """

    def __init__(self, client: KafkaAdminClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def ensure(self) -> Report:
        """Create the topics that are missing, then report how the others differ."""
        missing = [topic for topic, found in self._compare() if found is None]
        created = self._create(missing) if missing else []
        return Report(created, self.check().differences)

    def ensure_own(self, campaigns: Iterable[str]) -> list[str]:
        """Create the trigger topics of campaigns that have their own; return the new ones."""
        shared = self._settings.topic(RETENTION_TRIGGERS.name)
        like = self._describe([shared])[shared]
        count = like.partitions if like else self._settings.partitions
        declared = [declare(own_triggers(each), self._settings, count) for each in campaigns]
        found = self._describe([each.name for each in declared]) if declared else {}
        missing = [each for each in declared if found[each.name] is None]
        return self._create(missing) if missing else []

    def check(self) -> Report:
        """Report how the cluster differs from the declaration; change nothing."""
        return Report(
            differences=[
                difference
                for declared, found in self._compare()
                for difference in differences(declared, found)
            ]
        )

    def mend(self) -> Report:
        """Set the configuration keys that differ, then report what is left."""
        resources: dict[str, dict[str, str]] = {}
        for difference in self.check().differences:
            if difference.mendable:
                resources.setdefault(difference.topic, {})[difference.what] = difference.expected
        if resources:
            self._alter(resources)
        return self.check()

    def denied(self) -> dict[str, list[str]]:
        """Return the topics of which this user may not do all that services do, and what."""
        names = [self._settings.topic(topic.name) for topic in TOPICS]
        allowed = {
            topic["name"]: set(topic["authorized_operations"] or ())
            for topic in self._client.describe_topics(names)
        }
        return {
            name: sorted(NEEDED - operations)
            for name, operations in allowed.items()
            if NEEDED - operations
        }

    def _compare(self) -> list[tuple[Declared, Found | None]]:
        names = [self._settings.topic(topic.name) for topic in TOPICS]
        found = self._describe(names)
        events = found[self._settings.topic(CUSTOMER_EVENTS.name)]
        own = self._settings.partitions
        # Topics that share partitions with customer-events follow the topic, not the setting.
        shared = events.partitions if events else own
        declared = [
            declare(topic, self._settings, own if topic is CUSTOMER_EVENTS else shared)
            for topic in TOPICS
        ]
        return [(topic, found[topic.name]) for topic in declared]

    def _describe(self, names: list[str]) -> dict[str, Found | None]:
        topics = {topic["name"]: topic for topic in self._client.describe_topics(names)}
        hidden = [name for name in names if topics[name]["error_code"] == _HIDDEN]
        if hidden:
            raise TopicsError(
                f"Kafka hides {', '.join(hidden)} from this user. Allow it to describe, read and "
                "write the topics of TENURE_TOPIC_PREFIX (kafka-acls.sh)"
            )
        there = [name for name in names if topics[name]["error_code"] == NoError.errno]
        configs = self._configs(there)
        found: dict[str, Found | None] = dict.fromkeys(names)
        for name in there:
            partitions = topics[name]["partitions"]
            replicas = min(len(each["replica_nodes"]) for each in partitions)
            found[name] = Found(len(partitions), replicas, configs[name])
        return found

    def _configs(self, names: list[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        described = self._client.describe_configs(resources, config_filter="all")["topic"]
        return {
            name: {key: entry["value"] for key, entry in entries.items()}
            for name, entries in described.items()
        }

    def _create(self, topics: list[Declared]) -> list[str]:
        wanted = {
            topic.name: {
                "num_partitions": topic.partitions,
                "replication_factor": topic.replication_factor,
                "configs": topic.config,
            }
            for topic in topics
        }
        answer = self._client.create_topics(wanted, raise_errors=False)
        created = [each["name"] for each in answer["topics"] if _is_new(each)]
        self._client.wait_for_topics(list(wanted))
        return created

    def _alter(self, configs: dict[str, dict[str, str]]) -> None:
        resources = [
            ConfigResource(ConfigResourceType.TOPIC, name, config)
            for name, config in configs.items()
        ]
        for name, result in self._client.alter_configs(resources)["topic"].items():
            if result != "OK":
                raise TopicsError(f"Kafka refused to change {name}: {result}")
        self._await_configs(configs)

    def _await_configs(self, wanted: dict[str, dict[str, str]]) -> None:
        """Wait until the brokers have heard of a change, which the controller took before them."""
        deadline = time.monotonic() + _PROPAGATION_S
        while not _hold(self._configs(list(wanted)), wanted):
            if time.monotonic() > deadline:
                raise TopicsError(f"the change of {', '.join(wanted)} did not reach the brokers")
            time.sleep(0.05)


def _hold(configs: dict[str, dict[str, str]], wanted: dict[str, dict[str, str]]) -> bool:
    return all(config.items() <= configs[name].items() for name, config in wanted.items())


def _is_new(result: dict[str, Any]) -> bool:
    """Return whether this call created the topic; another process may have been faster."""
    code, name = result["error_code"], result["name"]
    if code == InvalidReplicationFactorError.errno:
        remedy = "Set TENURE_REPLICATION_FACTOR to at most the number of brokers"
        raise TopicsError(f"Kafka refused {name}: {result['error_message']} {remedy}")
    if code not in (NoError.errno, TopicAlreadyExistsError.errno):
        raise TopicsError(f"Kafka refused {name}: {result['error_message']}")
    return bool(code == NoError.errno)


@contextmanager
def topic_admin(settings: Settings, *, timeout_s: float = 10.0) -> Iterator[TopicAdmin]:
    """Connect to the deployment's Kafka for as long as the block runs.

    Raises
    ------
    TopicsError
        No broker answered within ``timeout_s`` seconds, or one refused a request.

    """
    servers = settings.kafka_bootstrap_servers
    client = _connect(settings, timeout_s)
    try:
        yield TopicAdmin(client, settings)
    except KafkaError as error:
        raise TopicsError(f"Kafka at {servers} refused: {error}") from error
    finally:
        client.close()


def _connect(settings: Settings, timeout_s: float) -> KafkaAdminClient:
    # kafka-python leaks the socket of each connection that is refused, so knock first.
    _await_access(settings, time.monotonic() + timeout_s)
    try:
        return KafkaAdminClient(
            **connection(settings), bootstrap_timeout_ms=round(timeout_s * 1000)
        )
    except KafkaError as error:
        servers = settings.kafka_bootstrap_servers
        raise TopicsError(f"Kafka at {servers} went away: {error}") from None


def _await_access(settings: Settings, deadline: float) -> None:
    while True:
        try:
            return require_access(settings)
        except KafkaUnreachableError as error:
            if time.monotonic() > deadline:
                raise TopicsError(str(error)) from None
        except KafkaAccessError as error:
            raise TopicsError(str(error)) from None
        time.sleep(0.1)
