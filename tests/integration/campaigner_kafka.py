"""A campaigner on a real Kafka: scores into its topic, decisions and triggers out of theirs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from tempfile import TemporaryFile
from typing import Any, TypeVar

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from services.standalone.stack import environment
from shared.adapters.event_log import customer_partition
from shared.adapters.kafka_admin import topic_admin
from shared.domain.campaign_outputs import Decision, Trigger
from shared.domain.outputs import Score
from shared.settings import Settings
from tests.campaign_builders import raw

T = TypeVar("T")

PARTITIONS = 2


def wait_for(condition: Callable[[], T], seconds: float = 60.0) -> T:
    """Return what the condition returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


def make_topics(settings: Settings) -> None:
    with topic_admin(settings) as admin:
        admin.ensure()


def send_scores(settings: Settings, scores: Sequence[Score], *, commit: bool | None = None) -> None:
    """Write scores where the scorer would: with ``commit`` in a transaction, which it decides."""
    transaction = {} if commit is None else {"transactional_id": f"{settings.topic_prefix}test"}
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", **transaction
    )
    with closing(producer):
        if commit is not None:
            producer.init_transactions()
            producer.begin_transaction()
        for each in scores:
            producer.send(
                settings.topic("customer-scores"),
                raw(each).encode(),
                key=each.customer.encode(),
                partition=customer_partition(each.customer, PARTITIONS),
            )
        producer.flush()
        if commit is not None:
            producer.commit_transaction() if commit else producer.abort_transaction()


def records(settings: Settings, topic: str) -> list[Any]:
    """Return all that a topic holds now."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers, auto_offset_reset="earliest"
    )
    with closing(consumer):
        name = settings.topic(topic)
        partitions = [TopicPartition(name, each) for each in consumer.partitions_for_topic(name)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found: list[Any] = []
        while any(consumer.position(each) < end for each, end in ends.items()):
            for part in consumer.poll(timeout_ms=200).values():
                found += part
        return found


def triggers(settings: Settings) -> list[Trigger]:
    """Return the triggers on the shared topic, and on those of campaigns that have their own."""
    found = [record for topic in trigger_topics(settings) for record in records(settings, topic)]
    return [msgspec.json.decode(each.value, type=Trigger) for each in found]


def trigger_topics(settings: Settings) -> list[str]:
    with closing(KafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers)) as consumer:
        shared = settings.topic("retention-triggers")
        names = [each for each in consumer.topics() if f"{each}.".startswith(f"{shared}.")]
    return sorted(each.removeprefix(settings.topic_prefix) for each in names)


def decisions(settings: Settings) -> list[Decision]:
    found = records(settings, "campaign-decisions")
    return [msgspec.json.decode(each.value, type=Decision) for each in found]


#: Runs a campaigner that sends itself a signal as it passes a place for the first time.
CHILD = """
import asyncio, os, sys
from services.campaigner.bootstrap import build
from shared import logs
from shared.adapters.signals import stop_signal
from shared.settings import load_settings

place, number = sys.argv[1], int(sys.argv[2])

def hook(passed):
    global place
    if passed == place:
        place = None
        os.kill(os.getpid(), number)

async def serve():
    await build(load_settings(), hook=hook).run(stop_signal())

logs.configure("campaigner")
asyncio.run(serve())
"""


@contextmanager
def campaigner_process(
    settings: Settings, *, at: str = "", number: signal.Signals = signal.SIGKILL
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a campaigner in a process of its own, and end it whatever it does.

    It sends itself signal ``number`` as it passes the place ``at`` for the first time.
    """
    others = {name: each for name, each in os.environ.items() if not name.startswith("TENURE_")}
    with TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, at, str(int(number))],
            env={**others, **environment(settings)},
            stderr=log,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.send_signal(signal.SIGCONT)
            process.wait(30)
            log.seek(0)
            # Shown by pytest when the test fails.
            print(f"---- log of {process.pid} ----", log.read().decode(), sep="\n")  # noqa: T201
