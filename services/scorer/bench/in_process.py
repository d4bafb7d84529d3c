"""The same fold with no Kafka: what the stream's machinery costs is the difference."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from services.scorer.bench.workload import Workload
from services.scorer.bootstrap import owner_of
from shared.domain.batch import Record, read_batch
from shared.domain.partition import Partition
from shared.domain.policy import Policy

_RECORDS_A_FOLD = 20


def fold(workload: Workload, events: int, now: float, a_second: float) -> float:
    """Return CPU seconds for folding ``events`` events, outputs encoded; warm-up not counted."""
    owner = owner_of(workload.partitions)
    policy = Policy()
    partitions = [Partition(number, owner, policy) for number in range(workload.partitions)]
    _apply(partitions, workload.warm_up(now - 3600), policy)
    records = list(workload.stream(events, now, a_second))
    started = time.process_time()
    _apply(partitions, records, policy)
    return time.process_time() - started


def _apply(
    partitions: list[Partition], records: Iterable[tuple[int, bytes]], policy: Policy
) -> None:
    encode = msgspec.json.Encoder().encode
    stamp = time.time_ns() // 1_000_000 + 10_000_000
    by_partition: dict[int, list[bytes]] = {}
    for number, value in records:
        by_partition.setdefault(number, []).append(value)
    for number, values in by_partition.items():
        partition = partitions[number]
        for start in range(0, len(values), _RECORDS_A_FOLD):
            some = values[start : start + _RECORDS_A_FOLD]
            taken = [Record(partition.offset + n, stamp, value) for n, value in enumerate(some)]
            effects = partition.apply(read_batch(number, taken, policy.future_tolerance_ms), {})
            for score in effects.scores:
                encode(score)
