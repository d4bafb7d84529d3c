"""Checks of Kafka: is it there, are the topics as declared, may we do what we must, and its clock.

The broker's clock is read off a record in a transaction that is aborted: no scorer ever sees it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from services.doctor.findings import Finding, bad, good
from services.scorer.records import POSITION_KEY
from services.scorer.state_store import read_to_end
from shared import topics
from shared.adapters.kafka_admin import Difference, TopicsError, topic_admin
from shared.adapters.kafka_connection import connection
from shared.adapters.topic_reader import committed_records
from shared.domain.customer import REBUILD, CustomerTable, StateFormatError
from shared.schemas.snapshots import SIGNATURE_HEADER, SnapshotError, decode_snapshot
from shared.settings import Settings

#: What the domain forgives (`Settings.policy`): an event that ingest took stays good so far.
LARGEST_CLOCK_DIFFERENCE_S: Final = 60.0
GROUPS: Final = ("tenure-scorer", "tenure-trainer", "tenure-campaigner")
_STATES: Final = 1_000
_CONNECT: Final = (
    "Start it, or correct TENURE_KAFKA_BOOTSTRAP_SERVERS and what `tenure settings` lists beside it"
)
_ALLOW: Final = (
    "Allow them with kafka-acls.sh: docs/operations.md lists all of them below `Your own Kafka`"
)
_TRANSACTION_TIMEOUT_MS: Final = 10_000


def examine_topics(settings: Settings) -> Iterator[Finding]:
    """Yield whether a broker lets us in, how its topics are, and what we may do with them."""
    servers = settings.kafka_bootstrap_servers
    try:
        with topic_admin(settings, timeout_s=5) as admin:
            yield good("broker", f"{servers} answers")
            found = [_difference(each) for each in admin.check().differences]
            yield from found or [good("topics", f"all {len(topics.TOPICS)} are as declared")]
            if not found:
                yield _permissions(admin.denied())
    except TopicsError as error:
        yield bad("broker", str(error), _CONNECT)


def _permissions(denied: dict[str, list[str]]) -> Finding:
    if not denied:
        return good("permissions", "every topic may be read and written")
    text = "; ".join(f"{name}: {', '.join(operations)}" for name, operations in denied.items())
    return bad("permissions", f"not allowed: {text}", _ALLOW)


def _difference(found: Difference) -> Finding:
    text = f"{found.topic}: {found.what} is {found.found}, declared {found.expected}"
    return bad("topics", text, found.remedy)


async def examine_use(settings: Settings) -> AsyncIterator[Finding]:
    """Yield whether we can work with the topics, and understand what they hold."""
    yield await _clock(settings)
    yield await _groups(settings)
    yield await _states(settings)
    yield await _models(settings)


async def _clock(settings: Settings) -> Finding:
    """Compare the clocks by a record in a transaction, as the scorer writes."""
    try:
        ahead = await _ahead_of_broker(settings)
    except KafkaError as error:
        return bad(
            "transactions",
            f"cannot be made: {error}",
            "Allow Tenure's user to write and describe the transactional ids that start with "
            "TENURE_TOPIC_PREFIX (kafka-acls.sh)",
        )
    if abs(ahead) <= LARGEST_CLOCK_DIFFERENCE_S:
        return good("clock", f"within {LARGEST_CLOCK_DIFFERENCE_S:.0f} s of the broker's")
    relation = "ahead of" if ahead > 0 else "behind"
    return bad(
        "clock",
        f"this machine is {abs(ahead):.0f} s {relation} the broker",
        "Let both follow a time server (NTP): events that seem to come from the future are refused",
    )


async def _ahead_of_broker(settings: Settings) -> float:
    """Return by how many seconds our clock is ahead of the one that stamps events."""
    producer = AIOKafkaProducer(
        **connection(settings),
        transactional_id=settings.topic("doctor"),
        transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
        linger_ms=0,
    )
    events = settings.topic(topics.CUSTOMER_EVENTS.name)
    try:
        await producer.start()
        await producer.begin_transaction()
        record = await producer.send_and_wait(events, b"[]", partition=0)
        ours = time.time()
        await producer.abort_transaction()
    finally:
        await producer.stop()
    return ours - float(record.timestamp) / 1000


async def _groups(settings: Settings) -> Finding:
    refused = []
    for group in map(settings.topic, GROUPS):
        consumer = AIOKafkaConsumer(
            **connection(settings), group_id=group, enable_auto_commit=False
        )
        place = TopicPartition(settings.topic(topics.CUSTOMER_EVENTS.name), 0)
        try:
            await consumer.start()
            await consumer.committed(place)
        except KafkaError:
            refused.append(group)
        finally:
            await consumer.stop()
    if refused:
        remedy = "Allow Tenure's user to read these groups (kafka-acls.sh)"
        return bad("groups", f"may not use {', '.join(refused)}", remedy)
    return good("groups", "consumer groups can be used")


async def _states(settings: Settings) -> Finding:
    """Read some states, to see whether this version understands them."""
    place = TopicPartition(settings.topic(topics.CUSTOMER_STATE.name), 0)
    table, read = CustomerTable(), 0
    try:
        async with aclosing(read_to_end(settings, place)) as records:
            async for key, value in records:
                if key is not None and value is not None and key != POSITION_KEY:
                    table.restore(key, value)
                    read += 1
                if read == _STATES:
                    break
    except KafkaError as error:
        remedy = "Allow Tenure's user to read it (kafka-acls.sh)"
        return bad("states", f"{place.topic} cannot be read: {error}", remedy)
    except StateFormatError as error:
        return bad("states", error.reason, REBUILD)
    return good("states", f"the {read} that were read are of this version" if read else "none yet")


async def _models(settings: Settings) -> Finding:
    """Check the signature of the newest model, by which it shows whether the key is the same."""
    place, newest = TopicPartition(settings.topic(topics.CHURN_MODELS.name), 0), None
    try:
        async for record in committed_records(settings, place):
            newest = record if record.headers and record.value else newest
    except KafkaError as error:
        remedy = "Allow Tenure's user to read it (kafka-acls.sh)"
        return bad("models", f"{place.topic} cannot be read: {error}", remedy)
    if newest is None:
        return good("models", "none is published yet; the heuristic serves")
    secret = settings.model_key.get_secret_value().encode()
    try:
        signature = dict(newest.headers).get(SIGNATURE_HEADER, b"")
        snapshot = decode_snapshot(newest.key, newest.value, signature, secret)
    except SnapshotError as error:
        remedy = "Set TENURE_MODEL_KEY to the key of the scorers that signed it"
        return bad("models", str(error), remedy)
    return good("models", f"version {snapshot.version} is signed with our key")
