"""One partition at work: records in, one transaction after another out.

Folding runs ahead of committing where much waits: while a transaction is under way the next records
are folded, and when it is done all that was folded meanwhile goes into the next one. Little waits
for the transaction's end instead, and is folded at once then: a fold costs more than a millisecond
however small it is, and none is durable sooner for having been folded early. So a flush is small
when little happens and large when much does, and its cost is shared.

1. ``submit`` queues a record with what is to be called once it is durable.
2. ``_fold`` takes what is queued, folds it, and hands over the effects. Where offsets are missing
   between records the log itself is asked first: the stream may have left records out.
3. ``_commit`` writes the effects of one or more folds and the position in one transaction.
4. Only then are the records acknowledged.

Killed anywhere: the transaction is aborted or was committed whole; the next owner resumes behind
the position that was committed, and reads again what came after it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

import structlog

from services.scorer.follow import follow
from services.scorer.ports import Models, PartitionStore, SourceLog
from shared import metrics
from shared.adapters.tracing import NO_TRACES, Traces, Work
from shared.domain.batch import Record, read_batch
from shared.domain.emission import Effects
from shared.domain.events import is_array
from shared.domain.partition import Partition, Position
from shared.domain.policy import Policy

log = structlog.get_logger(__name__)

Acknowledge = Callable[[], object]

#: Folded at once at the most: bounds how long the event loop is held, and what is in memory.
_RECORDS_A_FOLD: Final = 20
_SINGLE_EVENTS_A_FOLD: Final = 2_000
#: Of all customers: each may bring a review or a new score of everybody.
_OF_ALL: Final = re.compile(rb'"type" ?: ?"tenure\.(?:tick|model|model_pin|boundaries|thresholds)"')
_QUEUED: Final = 4_000
_FOLDS_AHEAD: Final = 3

#: What a dead letter's field says about why it is one; field names are too many for a label.
_KINDS: Final = {"$": "unreadable", "time": "time"}


@dataclass(frozen=True)
class _Folded:
    effects: Effects
    position: Position
    acknowledge: list[Acknowledge]
    arrived: float
    appended: list[int]
    followed: list[Work]


class PartitionWorker:
    """Folds and commits one partition until it is stopped.

    Parameters
    ----------
    partition
        The restored state.
    store
        Where it is made durable.
    models
        Where the models come from that the log activates.
    source
        The log itself, for what the stream leaves out.
    policy
        Thresholds.
    fail
        Called with an error that this process cannot go on after.
    traces
        Told of the work on events that are followed.

    """

    def __init__(
        self,
        partition: Partition,
        *,
        store: PartitionStore,
        models: Models,
        source: SourceLog,
        policy: Policy,
        fail: Callable[[BaseException], None],
        traces: Traces = NO_TRACES,
    ) -> None:
        self.partition = partition
        self._store = store
        self._models = models
        self._source = source
        self._policy = policy
        self._fail = fail
        self._traces = traces
        self._records: asyncio.Queue[tuple[Record, Acknowledge]] = asyncio.Queue(_QUEUED)
        self._folded: asyncio.Queue[_Folded] = asyncio.Queue(_FOLDS_AHEAD)
        self._stirred = asyncio.Event()  # a record came, or a transaction is over
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self.durable = partition.position
        self._committing_since: float | None = None

    @property
    def committing_s(self) -> float:
        """How long the transaction under way has taken, in seconds; 0 when there is none."""
        since = self._committing_since
        return 0.0 if since is None else time.monotonic() - since

    def start(self) -> None:
        """Begin to fold and to commit."""
        self._tasks = [
            asyncio.create_task(self._guarded(self._fold_forever), name="fold"),
            asyncio.create_task(self._guarded(self._commit_forever), name="commit"),
        ]

    async def submit(self, record: Record, acknowledge: Acknowledge) -> None:
        """Queue a record; waits when too many are queued. After `stop` it is dropped."""
        if not self._stopping:
            await self._records.put((record, acknowledge))
            self._stirred.set()

    async def stop(self) -> None:
        """Commit what was folded, leave the rest to the next owner, and let go."""
        self._stopping = True
        fold, commit = self._tasks
        fold.cancel()
        self._drop_queued()
        joined = asyncio.create_task(self._folded.join())
        await asyncio.wait({joined, commit}, return_when=asyncio.FIRST_COMPLETED)
        for task in (joined, commit):
            task.cancel()
        await asyncio.gather(fold, commit, joined, return_exceptions=True)
        await self._store.close()

    def _drop_queued(self) -> None:
        """Empty the queue, so that a `submit` that waits for a place in it goes on."""
        while not self._records.empty():
            self._records.get_nowait()

    async def _guarded(self, forever: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # whatever it is, the process ends with it
            self._fail(error)

    async def _fold_forever(self) -> None:
        while True:
            records, acknowledge = await self._next_records()
            await self._fold_left_out(records)
            if records := _unseen(self.partition.offset, records):
                await self._fold(records, acknowledge)
            else:
                _call_all(acknowledge)

    async def _next_records(self) -> tuple[list[Record], list[Acknowledge]]:
        """Wait for a record, and take what is there by the time that a transaction can begin."""
        taken = [await self._records.get()]
        size = _weight(taken[0][0])
        while size < _SINGLE_EVENTS_A_FOLD:
            if not self._records.empty():
                taken.append(self._records.get_nowait())
                size += _weight(taken[-1][0])
            elif self._committing_since is None and self._folded.empty():
                break
            else:
                self._stirred.clear()
                await self._stirred.wait()
        return [record for record, _ in taken], [acknowledge for _, acknowledge in taken]

    async def _fold_left_out(self, records: list[Record]) -> None:
        """Fold what the log holds up to the last gap in these records, if they have one.

        Those of them that lie before it come from the log as well, so one look is enough however
        many gaps there are.
        """
        number, end = self.partition.number, _end_of_last_gap(self.partition.offset, records)
        while self.partition.offset < end:
            found = await self._source.read(number, self.partition.offset, end)
            if not found:
                return
            _report_left_out(number, found, records)
            await self._fold(found, [])

    async def _fold(self, records: list[Record], acknowledge: list[Acknowledge]) -> None:
        arrived, since_ns = time.monotonic(), time.time_ns()
        batch = read_batch(self.partition.number, records, self._policy.future_tolerance_ms)
        versions = batch.versions(self.partition.position.serving.newest)
        found = {version: await self._models.get(version) for version in versions}
        models = {version: model for version, model in found.items() if model is not None}
        effects = self.partition.apply(batch, models)
        for version in effects.refused_models:
            log.error("model refused", version=version, serving=self.partition.model.version)
            metrics.SCORER_MODELS_REFUSED.inc()
        metrics.SCORER_FOLD_SECONDS.observe(time.monotonic() - arrived)
        appended = [record.timestamp for record in records]
        followed = follow(records, effects, self._traces, since_ns)
        await self._folded.put(
            _Folded(effects, self.partition.position, acknowledge, arrived, appended, followed)
        )

    async def _commit_forever(self) -> None:
        while True:
            folded = [await self._folded.get()]
            while not self._folded.empty():
                folded.append(self._folded.get_nowait())
            await self._commit(folded)
            for _ in folded:
                self._folded.task_done()

    async def _commit(self, folded: list[_Folded]) -> None:
        self._committing_since = started = time.monotonic()
        await self._store.commit([one.effects for one in folded], folded[-1].position)
        done, self._committing_since = time.monotonic(), None
        self._stirred.set()
        self._count(folded[-1].position)
        self.durable = folded[-1].position
        metrics.SCORER_COMMIT_SECONDS.observe(done - started)
        for one in folded:
            metrics.SCORER_DURABLE_SECONDS.observe(done - one.arrived)
            _observe_delays(one.appended)
            _count_outputs(one.effects)
            for work in one.followed:
                work.end()
            _call_all(one.acknowledge)

    def _count(self, position: Position) -> None:
        """Count what this transaction made durable."""
        for name in position.counts.__struct_fields__:
            more = getattr(position.counts, name) - getattr(self.durable.counts, name)
            metrics.SCORER_EVENTS.labels(name).inc(more)


def _weight(record: Record) -> int:
    """Guess how much work a record is, in single events."""
    value = record.value or b""
    if _OF_ALL.search(value):
        return _SINGLE_EVENTS_A_FOLD
    return _SINGLE_EVENTS_A_FOLD // _RECORDS_A_FOLD if is_array(value) else 1


def _unseen(offset: int, records: list[Record]) -> list[Record]:
    """Return the records from an offset on, each once."""
    found = []
    for record in records:
        if record.offset >= offset:
            found.append(record)
            offset = record.offset + 1
    return found


def _end_of_last_gap(offset: int, records: list[Record]) -> int:
    """Return the offset of the record behind the last gap; ``offset`` when there is no gap."""
    end = expected = offset
    for record in records:
        if record.offset > expected:
            end = record.offset
        expected = max(expected, record.offset + 1)
    return end


def _report_left_out(partition: int, found: list[Record], delivered: list[Record]) -> None:
    """Tell of records that the log holds and the stream did not deliver."""
    offsets = {record.offset for record in delivered}
    if left_out := [record.offset for record in found if record.offset not in offsets]:
        log.warning(
            "the stream left records out; they were read from the log",
            partition=partition, first=left_out[0], last=left_out[-1], records=len(left_out),
        )  # fmt: skip
        metrics.SCORER_RECORDS_LEFT_OUT.inc(len(left_out))


def _call_all(calls: list[Acknowledge]) -> None:
    for call in calls:
        call()


def _observe_delays(appended: list[int]) -> None:
    """Observe how long records took from the broker's append (epoch milliseconds) until now."""
    now = time.time()
    for at in appended:
        metrics.SCORER_EVENT_SECONDS.observe(max(0.0, now - at / 1000))


def _count_outputs(effects: Effects) -> None:
    metrics.SCORER_OUTPUTS.labels("scores").inc(len(effects.scores))
    metrics.SCORER_OUTPUTS.labels("transitions").inc(len(effects.transitions))
    metrics.SCORER_OUTPUTS.labels("examples").inc(len(effects.examples))
    metrics.SCORER_OUTPUTS.labels("dead_letters").inc(len(effects.letters))
    for letter in effects.letters:
        metrics.SCORER_DEAD_LETTERS.labels(_KINDS.get(letter.field, "field")).inc()
    for move in effects.transitions:
        metrics.TRANSITIONS.labels(move.before, move.after).inc()
