"""``tenure bench state``: what a million customers' state takes, and how fast it is back.

Every customer bought once, and waits with as many label snapshots as a row holds: the largest state
there is without a profile. It is written by the scorer's own transactions to a real Kafka, and
restored by a process of its own that does nothing else, as a scorer does that starts.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from services.scorer.bench.workload import Workload
from services.scorer.bootstrap import owner_of
from services.scorer.state_store import KafkaStateStore
from shared import topics
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.kafka_admin import topic_admin
from shared.domain.batch import Record, read_batch
from shared.domain.emission import Effects
from shared.domain.events import Tick
from shared.domain.partition import Partition
from shared.domain.policy import DAY_MS, Policy
from shared.settings import Settings, load_settings

#: Four turns to a horizon and its grace: who is known for four weeks has four snapshots, always.
_POLICY: Final = Policy(horizon_ms=27 * DAY_MS, cadence_days=7)
_WAIT_DAYS: Final = 29
_RECORD_EVENTS: Final = 1_000
_FLUSH_STATES: Final = 20_000
_PRIVATE: Final = re.compile(r"^Private_(?:Clean|Dirty): +(\d+) kB$", re.MULTILINE)


class StateSize(Struct, frozen=True):
    """What was measured.

    Attributes
    ----------
    customers, snapshots
        How many, and the snapshots that wait for each (the mean).
    resident_bytes
        For each customer: memory of the restoring process's own (USS) after, less before.
    changelog_bytes, disk_bytes
        For each customer: key and value, and what Kafka's files of the topic take.
    restored_per_second, restored_per_cpu_second
        Customers a second of wall time, all partitions one after the other; the same of CPU time,
        which other work on the machine slows less.

    """

    customers: int
    snapshots: float
    resident_bytes: float
    changelog_bytes: float
    disk_bytes: float
    restored_per_second: float
    restored_per_cpu_second: float


class _Restored(Struct, frozen=True):
    """What the restoring process tells."""

    customers: int
    snapshots: int
    resident: int
    changelog: int
    seconds: float
    cpu_seconds: float


def bench_state(customers: int, progress: Callable[[str], None]) -> StateSize:
    """Write the state of so many customers, and have another process restore it."""
    with EmbeddedKafka() as kafka:
        settings = load_settings(
            kafka_bootstrap_servers=kafka.bootstrap_servers,
            partitions=Workload().partitions,
        )
        with topic_admin(settings) as admin:
            admin.ensure()
        workload = Workload(customers, settings.partitions, _RECORD_EVENTS)
        asyncio.run(_write(settings, workload, progress))
        progress(f"restoring {customers:,} customers")
        found = _restore_elsewhere(settings)
        disk = sum(_bytes_on_disk(kafka.data_dir))
    return StateSize(
        customers=found.customers,
        snapshots=found.snapshots / found.customers,
        resident_bytes=found.resident / found.customers,
        changelog_bytes=found.changelog / found.customers,
        disk_bytes=disk / found.customers,
        restored_per_second=found.customers / found.seconds,
        restored_per_cpu_second=found.customers / found.cpu_seconds,
    )


async def _write(settings: Settings, workload: Workload, progress: Callable[[str], None]) -> None:
    store, owner = KafkaStateStore(settings), owner_of(settings.partitions)
    start = time.time() - (_WAIT_DAYS + 1) * DAY_MS / 1000 - workload.customers / 100.0
    records = sorted(workload.warm_up(start), key=itemgetter(0))
    for number, some in groupby(records, key=itemgetter(0)):
        progress(f"partition {number}: making states")
        partition = filled(number, owner, [value for _, value in some])
        progress(f"partition {number}: writing states")
        writer = await store.open(number)
        await writer.restore()
        for first in range(0, len(partition.table), _FLUSH_STATES):
            rows = np.arange(first, min(first + _FLUSH_STATES, len(partition.table)))
            effects = Effects(states=[*partition.table.encode(rows)])
            await writer.commit([effects], partition.position)
        await writer.close()


def filled(number: int, owner: Callable[[str], int], values: list[bytes]) -> Partition:
    """Take in events of four weeks ago and more: each customer has all snapshots a row holds."""
    partition = Partition(number, owner, _POLICY, rehearsal=True)
    now = time.time_ns() // 1_000_000
    tick = Tick(
        specversion="1.0", id="bench", source="bench", time=datetime.fromtimestamp(now / 1000, UTC)
    )
    for value in [*values, msgspec.json.encode(tick)]:
        record = Record(partition.offset, now, value)
        batch = read_batch(partition.number, [record], _POLICY.future_tolerance_ms)
        partition.apply(batch, {})
    return partition


def _restore_elsewhere(settings: Settings) -> _Restored:
    environment = {
        **os.environ,
        "TENURE_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "TENURE_PARTITIONS": str(settings.partitions),
    }
    output = subprocess.run(  # our own module
        [sys.executable, "-m", "services.scorer.bench.state"],
        stdout=subprocess.PIPE, check=True, env=environment,
    ).stdout  # fmt: skip
    return msgspec.json.decode(output, type=_Restored)


async def _restore(settings: Settings) -> _Restored:
    store, partitions = KafkaStateStore(settings), []
    before, seconds, cpu = _own_bytes(), 0.0, time.process_time()
    for number in range(settings.partitions):
        reader = await store.open(number)
        restored = await reader.restore()
        await reader.close()
        seconds += restored.seconds
        partitions.append(restored.table)
    after, cpu = _own_bytes(), time.process_time() - cpu
    records = [table.encode(np.arange(len(table))) for table in partitions]
    return _Restored(
        customers=sum(map(len, partitions)),
        snapshots=sum(int(table.rows["pending"].sum()) for table in partitions),
        resident=after - before,
        changelog=sum(len(key) + len(value) for each in records for key, value in each),
        seconds=seconds,
        cpu_seconds=cpu,
    )


def _own_bytes() -> int:
    """Return the memory that is this process's alone (Linux)."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    return sum(map(int, _PRIVATE.findall(text))) * 1024


def _bytes_on_disk(folder: Path) -> Iterator[int]:
    for each in folder.rglob(f"{topics.CUSTOMER_STATE.name}-*/*.log"):
        yield each.stat().st_size


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_restore(load_settings()))))
