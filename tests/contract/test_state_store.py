"""What every state store promises: one suite over memory and over transactions of a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Protocol

import msgspec
import pytest

from services.scorer.memory import MemoryPartitionStore, MemoryStateStore
from services.scorer.ports import OwnershipLostError, PartitionStore, StateStore
from services.scorer.records import Entry, moved_from, writes
from services.scorer.state_store import KafkaPartitionStore, KafkaStateStore
from shared import topics
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.domain.batch import read_batch
from shared.domain.customer import CustomerTable, describe
from shared.domain.emission import Effects, Misplaced
from shared.domain.erasure import pseudonym
from shared.domain.learner import Learner
from shared.domain.outputs import (
    Clock,
    DeadLetter,
    Example,
    Identity,
    Score,
    Training,
    Transition,
    Watermark,
)
from shared.domain.partition import Partition
from shared.domain.policy import DAY_MS, Policy
from shared.domain.position import Counts, Position
from tests.support.cluster import Cluster
from tests.unit.domain.histories import T0, account, erasure, purchase, record, tick, usage

PARTITIONS = 2


class Bench(Protocol):
    """A store, and what readers of its topics see."""

    stores: StateStore

    def read(self, topic: topics.Topic, partition: int = 0) -> list[Entry]: ...

    async def kill_within_commit(
        self, store: PartitionStore, effects: Effects, position: Position
    ) -> None:
        """Stop a commit when all is written and nothing is decided, as ``kill -9`` would."""


class MemoryBench:
    def __init__(self) -> None:
        self.stores = MemoryStateStore()

    def read(self, topic: topics.Topic, partition: int = 0) -> list[Entry]:
        return self.stores.logs[topic.name, partition]

    async def kill_within_commit(
        self, store: PartitionStore, effects: Effects, position: Position
    ) -> None:
        assert isinstance(store, MemoryPartitionStore)
        commit = asyncio.create_task(store.commit([effects], position))
        await asyncio.sleep(0)
        commit.cancel()
        await asyncio.wait([commit])
        assert commit.cancelled()


class KafkaBench:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.stores = KafkaStateStore(cluster.settings)

    def read(self, topic: topics.Topic, partition: int = 0) -> list[Entry]:
        records = self.cluster.read(topic, partition)
        return [Entry(one.key, one.value, one.headers) for one in records]

    async def kill_within_commit(
        self, store: PartitionStore, effects: Effects, position: Position
    ) -> None:
        assert isinstance(store, KafkaPartitionStore)
        producer = store._producer
        assert producer is not None
        await producer.begin_transaction()
        for write in writes(store._partition, "events", [effects], position):
            await store._send(producer, write)
        # What a killed process leaves: no commit and no abort.
        store._producer, producer._closed = None, True
        await producer._sender.close()
        await producer.client.close()


@pytest.fixture(params=["memory", "kafka"])
async def bench(request: pytest.FixtureRequest, prefix: str) -> AsyncIterator[Bench]:
    if request.param == "memory":
        yield MemoryBench()
        return
    cluster = Cluster(request.getfixturevalue("kafka"), prefix, partitions=PARTITIONS)
    cluster.create_topics()
    yield KafkaBench(cluster)


def folded(number: int = 0, customers: int = 3, day: int = 0) -> tuple[Partition, Effects]:
    """Return a partition that took some events in, and what is to be made durable of that."""
    partition = Partition(number, lambda _: number, Policy())
    now = T0 + day * DAY_MS
    events = [purchase(f"c{n}", now + n, 1.0 + n, name=f"{day}/{n}") for n in range(customers)]
    events += [
        account("c0", now, "activated", plan="gold", name=f"a{day}"),
        usage("c1", now, f"u{day}", quantity=0.1),  # a ledger without a profile
        tick(now + DAY_MS),
    ]
    batch = read_batch(number, [record(7, events, now + DAY_MS)], 300_000)
    return partition, partition.apply(batch, {})


def described(table: CustomerTable) -> dict[str, object]:
    return {customer: describe(table, row) for row, customer in enumerate(table.ids)}


async def opened(bench: Bench, number: int = 0) -> PartitionStore:
    store = await bench.stores.open(number)
    await store.restore()
    return store


async def test_a_new_partition_is_empty_and_starts_at_the_beginning(bench: Bench) -> None:
    store = await bench.stores.open(0)
    restored = await store.restore()
    assert (len(restored.table), restored.position, restored.records) == (0, Position(), 0)
    await store.close()


async def test_what_was_committed_is_restored_bit_for_bit(bench: Bench) -> None:
    partition, effects = folded()
    first = await opened(bench)
    await first.commit([effects], partition.position)
    await first.close()
    second = await bench.stores.open(0)
    restored = await second.restore()
    assert described(restored.table) == described(partition.table)
    assert restored.position == partition.position
    assert restored.position.counts.applied == 5
    await second.close()


async def test_the_last_state_and_position_win(bench: Bench) -> None:
    store = await opened(bench)
    _, older = folded(day=0)
    partition, newer = folded(day=5)
    await store.commit([older], Position(offset=1))
    await store.commit([older, newer], partition.position)
    await store.close()
    store = await bench.stores.open(0)
    restored = await store.restore()
    assert described(restored.table) == described(partition.table)
    assert restored.position == partition.position
    await store.close()


async def test_partitions_do_not_mix(bench: Bench) -> None:
    stores = [await opened(bench, number) for number in range(PARTITIONS)]
    folds = [folded(number, customers=2 + number) for number in range(PARTITIONS)]
    for store, (partition, effects) in zip(stores, folds, strict=True):
        await store.commit([effects], partition.position)
        await store.close()
    for number, (partition, _) in enumerate(folds):
        store = await bench.stores.open(number)
        restored = await store.restore()
        assert described(restored.table) == described(partition.table)
        await store.close()


async def test_readers_see_every_output_once_and_in_order(bench: Bench) -> None:
    store = await opened(bench)
    partition, effects = folded()
    assert effects.scores
    assert effects.transitions
    await store.commit([effects], partition.position)
    await store.close()
    for topic in (topics.CUSTOMER_SCORES, topics.SCORE_HISTORY):
        found = bench.read(topic)
        *scores, clock = [msgspec.json.decode(one.value, type=Score | Clock) for one in found]
        assert scores == effects.scores
        assert clock == effects.clock
        assert [one.key for one in found[:-1]] == [one.customer.encode() for one in effects.scores]
    moves = bench.read(topics.LIFECYCLE_TRANSITIONS)
    assert [msgspec.json.decode(one.value, type=Transition) for one in moves] == effects.transitions
    assert [one.key for one in moves] == [one.customer.encode() for one in effects.transitions]
    training = [msgspec.json.decode(one.value) for one in bench.read(topics.TRAINING_EXAMPLES)]
    assert training == [{"watermark": {"partition": 0, "at": partition.now}, "examples": []}]


async def test_dead_letters_keep_their_bytes_and_say_why_and_whence(bench: Bench) -> None:
    raw = b"\x00\xff not JSON"
    letter = DeadLetter(raw, "InvalidEventError", "$", "a reason é", "a remedy", 0, 41, 3)
    whole = DeadLetter(b"", "InvalidEventError", "time", "a reason", "a remedy", 0, 42, None)
    store = await opened(bench)
    await store.commit([Effects(letters=[letter, whole])], Position(offset=43))
    await store.close()
    first, second = bench.read(topics.DEAD_LETTER)
    assert first.value == raw
    headers = {name: value.decode() for name, value in first.headers}
    assert headers.pop("topic").endswith(topics.CUSTOMER_EVENTS.name)
    assert headers == {
        "error": "InvalidEventError",
        "field": "$",
        "reason": "a reason é",
        "remedy": "a remedy",
        "partition": "0",
        "offset": "41",
        "index": "3",
    }
    assert second.value == b""
    assert dict(second.headers)["index"] == b""


def misplaced(partition: int, value: bytes, index: int = 0) -> Misplaced:
    return Misplaced(partition, value, Identity(0, 7, index))


@pytest.mark.parametrize("value", [b"", b"1/2", b"1/2/3/4", b"-1/2/3", b"1/2/x", b"9" * 99])
def test_a_header_that_names_no_place_is_as_none(value: bytes) -> None:
    assert moved_from([("other", b"1/2/3"), ("tenure-moved-from", value)]) is None
    assert moved_from([("tenure-moved-from", b"1/2/3")]) == Identity(1, 2, 3)


async def test_what_is_misplaced_goes_to_its_partition_in_order(bench: Bench) -> None:
    store = await opened(bench)
    first = [misplaced(1, b"one"), misplaced(0, b"two", 1), misplaced(1, b"three", 2)]
    second = [misplaced(1, b"four", 3)]
    await store.commit([Effects(misplaced=first), Effects(misplaced=second)], Position())
    await store.close()
    assert [one.value for one in bench.read(topics.CUSTOMER_EVENTS, 1)] == [
        b"one",
        b"three",
        b"four",
    ]
    (two,) = bench.read(topics.CUSTOMER_EVENTS, 0)
    assert (two.key, two.value, moved_from(two.headers)) == (None, b"two", Identity(0, 7, 1))


async def test_whoever_comes_later_shuts_the_former_owner_out(bench: Bench) -> None:
    partition, effects = folded()
    former = await opened(bench)
    await former.commit([Effects()], Position(offset=1))
    later = await opened(bench)
    with pytest.raises(OwnershipLostError):
        await former.commit([effects], partition.position)
    with pytest.raises(OwnershipLostError):
        await former.commit([effects], partition.position)
    await later.commit([Effects()], Position(offset=2))
    await former.close()
    await later.close()
    assert [one.key for one in bench.read(topics.CUSTOMER_STATE)] == [b"\0position"] * 2
    for topic in (topics.CUSTOMER_SCORES, topics.LIFECYCLE_TRANSITIONS, topics.TRAINING_EXAMPLES):
        assert bench.read(topic) == []


async def test_a_commit_that_is_killed_half_way_leaves_nothing(bench: Bench) -> None:
    partition, effects = folded()
    effects.misplaced.append(misplaced(1, b"elsewhere"))
    killed = await opened(bench)
    await killed.commit([Effects()], Position(offset=1))
    await bench.kill_within_commit(killed, effects, partition.position)
    store = await bench.stores.open(0)
    restored = await store.restore()
    assert (len(restored.table), restored.position) == (0, Position(offset=1))
    for topic in (topics.CUSTOMER_SCORES, topics.LIFECYCLE_TRANSITIONS, topics.TRAINING_EXAMPLES):
        assert bench.read(topic) == []
    assert bench.read(topics.CUSTOMER_EVENTS, 1) == []
    await store.commit([effects], partition.position)
    await store.close()
    assert [one.value for one in bench.read(topics.CUSTOMER_EVENTS, 1)] == [b"elsewhere"]


async def test_nothing_is_committed_before_a_restore_or_after_closing(bench: Bench) -> None:
    store = await bench.stores.open(0)
    with pytest.raises(OwnershipLostError):
        await store.commit([Effects()], Position())
    await store.restore()
    await store.close()
    await store.close()
    with pytest.raises(OwnershipLostError):
        await store.commit([Effects()], Position())
    assert bench.read(topics.CUSTOMER_STATE) == []


async def test_the_position_survives_with_all_its_counts(bench: Bench) -> None:
    position = Position(
        2**40, 2**42, 12, Counts(8, 7, 6, 5, 4, 3, 2, 1), 9, {3: Identity(3, 2**41, 5)}
    )
    store = await opened(bench)
    await store.commit([Effects()], position)
    await store.close()
    store = await bench.stores.open(0)
    assert (await store.restore()).position == position
    await store.close()


async def test_a_flush_larger_than_a_request_is_still_one_transaction(bench: Bench) -> None:
    partition, effects = folded(customers=9_000)
    assert sum(len(value) for _, value in effects.states) > 2_000_000
    store = await opened(bench)
    await store.commit([effects], partition.position)
    await store.close()
    store = await bench.stores.open(0)
    restored = await store.restore()
    assert restored.records == 9_001
    assert described(restored.table) == described(partition.table)
    assert len(bench.read(topics.CUSTOMER_SCORES)) == len(effects.scores) + 1
    await store.close()


async def test_the_largest_dead_letter_and_misplaced_event_can_be_written(bench: Bench) -> None:
    largest = b"x" * (topics.LARGEST_EVENTS_BYTES - 100)  # what Kafka adds to a record alone
    letter = DeadLetter(largest, "InvalidEventError", "f" * 9_999, "r" * 5_000_000, "", 0, 1, None)
    store = await opened(bench)
    await store.commit([Effects(letters=[letter], misplaced=[misplaced(1, largest)])], Position())
    await store.close()
    (found,) = bench.read(topics.DEAD_LETTER)
    assert found.value == largest
    assert dict(found.headers)["reason"] == b"r" * 1_000
    assert "truncated" not in dict(found.headers)
    assert [one.value for one in bench.read(topics.CUSTOMER_EVENTS, 1)] == [largest]


async def test_what_was_too_large_uncompressed_keeps_its_start_and_its_origin(bench: Bench) -> None:
    letter = DeadLetter(b"x" * 6_000_000, "InvalidEventError", "$", "no JSON", "", 0, 5, None)
    store = await opened(bench)
    await store.commit([Effects(letters=[letter])], Position())
    await store.close()
    (found,) = bench.read(topics.DEAD_LETTER)
    assert found.value == b"x" * topics.LARGEST_EVENTS_BYTES
    headers = dict(found.headers)
    assert headers["truncated"] == b"from 6000000 bytes"
    assert headers["offset"] == b"5"


def example(number: int, labelled_at: int) -> Example:
    features = [number / 7] * 13
    return Example(Identity(0, 0, number), 0, labelled_at, features, False, 0.5, 0.5, 0, True)


async def test_many_examples_go_in_records_that_promise_no_more_than_is_true(bench: Bench) -> None:
    examples = [example(number, T0 + number // 300) for number in range(5_000)]
    store = await opened(bench)
    await store.commit([Effects(examples=examples)], Position(now=T0 + DAY_MS))
    await store.close()
    found = [
        msgspec.json.decode(one.value, type=Training)
        for one in bench.read(topics.TRAINING_EXAMPLES)
    ]
    assert [one for record in found for one in record.examples] == examples
    assert found[-1].watermark == Watermark(0, T0 + DAY_MS)
    for before, after in pairwise(found):
        assert before.watermark.at < min(one.labelled_at for one in after.examples)
    learner = Learner()
    learned = []
    for offset, record_ in enumerate(found):
        learner.take(offset, record_)
        learned.append(learner.model.labels)
    assert learned[-1] == 5_000
    assert learned[0] == 300  # the next 200 share their time with what comes after


async def test_a_watermark_goes_alone_when_time_has_passed_a_mark(bench: Bench) -> None:
    store = await opened(bench)
    await store.commit([Effects()], Position(now=T0))
    await store.commit([Effects(clock=Clock(0, T0))], Position(now=T0))
    await store.close()
    (found,) = bench.read(topics.TRAINING_EXAMPLES)
    assert msgspec.json.decode(found.value, type=Training) == Training(Watermark(0, T0), [])


async def test_a_restore_that_is_cut_short_leaves_nothing_open(bench: Bench) -> None:
    store = await opened(bench)
    await store.commit([folded(customers=500)[1]], Position(offset=1))
    await store.close()
    for patience in (0.0, 0.01, 0.05, 0.1):
        cut = await bench.stores.open(0)
        restoring = asyncio.create_task(cut.restore())
        await asyncio.wait([restoring], timeout=patience)
        restoring.cancel()
        await asyncio.wait([restoring])
        await cut.close()
    store = await bench.stores.open(0)
    assert (await store.restore()).records == 501
    await store.close()


@pytest.mark.faults
async def test_an_owner_that_was_shut_out_in_the_middle_of_a_commit_wrote_nothing(
    kafka: EmbeddedKafka, prefix: str
) -> None:
    cluster = Cluster(kafka, prefix, partitions=1)
    cluster.create_topics()
    stores = KafkaStateStore(cluster.settings)
    former = await stores.open(0)
    assert isinstance(former, KafkaPartitionStore)
    await former.restore()
    partition, effects = folded(customers=2_000)
    send, later = former._send, []

    async def send_and_lose(*arguments: object) -> None:
        await send(*arguments)  # type: ignore[arg-type]
        if not later:
            later.append(await stores.open(0))
            await later[0].restore()

    former._send = send_and_lose  # type: ignore[method-assign]
    with pytest.raises(OwnershipLostError):
        await former.commit([effects], partition.position)
    await former.close()
    await later[0].close()
    for topic in topics.TOPICS:
        assert cluster.read(topic) == [], topic.name


def erased(partition: Partition, customer: str) -> Effects:
    now = partition.now
    return partition.apply(read_batch(0, [record(8, [erasure(customer, now)], now)], 300_000), {})


async def test_an_erased_customer_is_restored_by_no_later_owner(bench: Bench) -> None:
    partition, effects = folded()
    store = await opened(bench)
    await store.commit([effects], partition.position)
    await store.commit([erased(partition, "c1")], partition.position)
    await store.close()
    store = await bench.stores.open(0)
    restored = await store.restore()
    assert described(restored.table) == described(partition.table)
    assert set(restored.table.ids) == {"c0", "c2"}
    (known,) = restored.erased
    assert (known.name, known.partition, known.offset) == (pseudonym(b"", "c1"), 0, 8)
    assert restored.position.erased == 1
    await store.close()


async def test_the_last_word_on_an_erased_customer_takes_the_score_out(bench: Bench) -> None:
    partition, effects = folded()
    store = await opened(bench)
    gone = erased(partition, "c1")
    await store.commit([effects, gone], partition.position)
    told = [one for one in bench.read(topics.CUSTOMER_SCORES) if one.key == b"c1"]
    assert [one.value is None for one in told][-2:] == [False, True]
    assert all(one.value for one in bench.read(topics.SCORE_HISTORY))
    (entry,) = bench.read(topics.ERASURES)
    assert entry.key == pseudonym(b"", "c1").encode()
    assert b"c1" not in (entry.value or b"")
    await store.close()


async def test_an_erasure_that_is_killed_half_way_has_not_happened(bench: Bench) -> None:
    partition, effects = folded()
    store = await opened(bench)
    await store.commit([effects], partition.position)
    before = partition.position
    await bench.kill_within_commit(store, erased(partition, "c1"), partition.position)
    store = await bench.stores.open(0)
    restored = await store.restore()
    assert (len(restored.table), restored.erased, restored.position) == (3, [], before)
    await store.close()
