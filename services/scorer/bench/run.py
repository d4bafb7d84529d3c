"""``tenure bench scorer``: from Kafka to scores with durable state, on one core.

Measured in one run: the scorer as it is deployed (a process of its own, pinned to one core, reading
a backlog from a real Kafka, every state and score durable in transactions); the plain idiom of
Faust; and the same fold with no Kafka at all.

The scorer is fed twice: with events that happened as fast as it should keep up with, and with ones
that happened so slowly that each is told of at once (`shared.domain.telling`): what it costs to
show every event in a score, which is how fast a backlog of a quiet stream is caught up with.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import httpx
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from msgspec import Struct

from services.scorer.bench import in_process
from services.scorer.bench.workload import Workload
from shared import topics
from shared.adapters.embedded_kafka import EmbeddedKafka, free_port
from shared.adapters.kafka_admin import topic_admin
from shared.adapters.kafka_connection import connection
from shared.settings import Settings, load_settings

_PATIENCE_S: Final = 300.0
#: Events a second, by their own times: what the scorer should keep up with, and few enough to be
#: told of at once.
_BUSY: Final = 50_000.0
_QUIET: Final = 500.0
_COUNTERS: Final = re.compile(
    r'^(tenure_scorer_events_total\{outcome="applied"\}|process_cpu_seconds_total) (\S+)$',
    re.MULTILINE,
)


class Measured(Struct, frozen=True):
    """Events a second of wall time, and CPU microseconds an event."""

    name: str
    events: int
    events_per_second: float
    cpu_us_per_event: float


class _Sample(Struct, frozen=True):
    at: float
    applied: float
    cpu: float


def bench_scorer(
    events: int, customers: int, record_events: int, progress: Callable[[str], None]
) -> list[Measured]:
    """Run all of it and return what was measured, the scorer first."""
    workload = Workload(customers=customers, record_events=record_events)
    with EmbeddedKafka() as kafka:
        settings = load_settings(
            kafka_bootstrap_servers=kafka.bootstrap_servers,
            scorer_port=free_port(),
            partitions=workload.partitions,
        )
        with topic_admin(settings) as admin:
            admin.ensure()
        progress("Faust's own idiom: one record and one table write an event")
        plain = _plain_faust(settings, min(events, 20_000), workload)
        progress(f"the scorer: {events:,} events of {customers:,} customers")
        now = time.time()
        _warm_up(settings, workload, now - 3600)
        busy = workload.stream(events, now - 600, _BUSY)
        scorer = _scorer("scorer, durable on Kafka", settings, busy, events)
        some = events // 4
        progress(f"the scorer: {some:,} events that are told of at once")
        quiet = workload.stream(some, now - 500, _QUIET, seed=2)
        telling = _scorer("the same, each event told at once", settings, quiet, some)
    progress("the same fold without Kafka")
    before = os.sched_getaffinity(0)
    _pin(0)
    seconds = in_process.fold(workload, events, now, _BUSY)
    os.sched_setaffinity(0, before)
    fold = Measured("in-process fold", events, events / seconds, seconds / events * 1e6)
    return [scorer, telling, plain, fold]


def _warm_up(settings: Settings, workload: Workload, start: float) -> None:
    """Have the scorer know all customers."""
    _produce(settings, workload.warm_up(start))
    with _process("-m", "services.scorer", env=_environment(settings)):
        _sample_until(settings.scorer_port, workload.customers)


def _scorer(
    name: str, settings: Settings, records: Iterable[tuple[int, bytes]], events: int
) -> Measured:
    # A backlog: what is measured is the scorer, not the producer.
    _produce(settings, records)
    with _process("-m", "services.scorer", env=_environment(settings)):
        samples = _sample_until(settings.scorer_port, events)
    return _measured(name, samples, events)


def _measured(name: str, samples: list[_Sample], events: int) -> Measured:
    """Measure from the last look at which less than a tenth was done, to the end.

    By then start-up is over, unless there are so few events that all are done between two looks.
    """
    first = next(sample for sample in reversed(samples) if sample.applied < events / 10)
    last = samples[-1]
    done = last.applied - first.applied
    return Measured(
        name,
        events,
        done / (last.at - first.at),
        (last.cpu - first.cpu) / done * 1e6,
    )


def _plain_faust(settings: Settings, events: int, workload: Workload) -> Measured:
    topic, table = "bench-plain-faust", "bench-plain-faust-table"
    _create(settings, topic, workload.partitions)
    _create(settings, f"{table}-counts-changelog", workload.partitions)
    single = Workload(workload.customers, workload.partitions, record_events=1)
    records = single.stream(events, time.time(), _BUSY)
    _produce(settings, ((partition, value[1:-1]) for partition, value in records), topic)
    arguments = (settings.kafka_bootstrap_servers, topic, table, str(events))
    with subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, "-m", "services.scorer.bench.plain_faust", *arguments,
         str(workload.partitions)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        _pin(process.pid)
        output, _ = process.communicate(timeout=_PATIENCE_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    wall, cpu = (float(number) for number in output.splitlines()[-1].split())  # after the banner
    return Measured("plain Faust idiom", events, events / wall, cpu / events * 1e6)


def _create(settings: Settings, topic: str, partitions: int) -> None:
    client = KafkaAdminClient(**connection(settings))
    client.create_topics([NewTopic(topic, partitions, 1)])
    client.close()


def _produce(
    settings: Settings,
    records: Iterable[tuple[int, bytes]],
    topic: str = topics.CUSTOMER_EVENTS.name,
) -> None:
    producer = KafkaProducer(**connection(settings), linger_ms=20, batch_size=500_000)
    for partition, value in records:
        producer.send(topic, value, partition=partition)
    producer.flush()
    producer.close()


def _environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "TENURE_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "TENURE_SCORER_PORT": str(settings.scorer_port),
        "TENURE_LOG_LEVEL": "WARNING",
    }


@contextmanager
def _process(*arguments: str, env: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, *arguments], env=env)  # noqa: S603  # our own
    _pin(process.pid)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _sample_until(port: int, applied: float) -> list[_Sample]:
    """Read the scorer's counters until so many events are durable."""
    deadline = time.monotonic() + _PATIENCE_S
    samples = [_Sample(time.monotonic(), 0.0, 0.0)]
    # One client: each would load the system's certificates anew, which takes longer than a fold.
    with httpx.Client(timeout=5.0, trust_env=False) as client:
        while samples[-1].applied < applied:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the scorer did not get to {applied:,.0f}: {samples[-1:]}")
            time.sleep(0.1)
            samples += _sample(client, port)
    return samples


def _sample(client: httpx.Client, port: int) -> list[_Sample]:
    try:
        text = client.get(f"http://127.0.0.1:{port}/metrics").text
    except httpx.TransportError:
        return []  # not up yet, or busy
    found = {name.partition("{")[0]: float(value) for name, value in _COUNTERS.findall(text)}
    applied = found.get("tenure_scorer_events_total", 0.0)
    return [_Sample(time.monotonic(), applied, found["process_cpu_seconds_total"])]


def _pin(pid: int) -> None:
    """Keep a process, and the threads that it will start, on one core; 0 is this process."""
    os.sched_setaffinity(pid, {min(os.sched_getaffinity(pid))})
