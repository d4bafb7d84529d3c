"""What the campaigner does with scores: decide, and commit all that follows in one transaction.

Killed on any line, it starts again from what the last transaction left: position, standings and
outbox are of one piece. Whatever raises makes it forget a partition's standings, since they may be
ahead of the database; they are read again with the next claim.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

import msgspec
import structlog

from services.campaigner.follow import follow
from services.campaigner.ports import Clock, Hook, Record, Store, no_hook
from shared import metrics
from shared.adapters.tracing import NO_TRACES, Traces
from shared.domain import outputs
from shared.domain.budgets import Purse
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Told
from shared.domain.campaign_state import (
    Batch,
    Claimed,
    Lease,
    Rules,
)
from shared.domain.events import DECODE_ERRORS
from shared.domain.outputs import DeadLetter, Score
from shared.domain.segment_fold import SWEEP
from shared.domain.standings import Enrolment, Standings

log = structlog.get_logger(__name__)

_decoder = msgspec.json.Decoder(outputs.Score | outputs.Clock)
_LONGEST_ID = 128


@dataclass
class _Owned:
    """A partition of ours, as the database has it."""

    lease: Lease
    next_offset: int
    standings: Standings


class Campaigner:
    """Decides about the customers of the partitions that it owns.

    One thread calls all of it, but for `leases` and `release_enrolments`, which any may call.

    Parameters
    ----------
    store
        The database.
    rules
        Returns what decides now; asked once a batch, so that a batch has one set of rules.
    clock, owner
        The wall clock, and this campaigner's name for people.
    erased
        Returns the names of who was erased since a time (epoch ms), and `name` tells a customer's:
        such a database would bring them back.
    recall
        Returns what Kafka was told of decisions since a time (epoch ms): a database that was
        restored from a backup has forgotten it.
    hook
        For tests.
    traces
        Told of the work on scores that are followed.

    """

    def __init__(
        self,
        store: Store,
        rules: Callable[[], Rules],
        *,
        clock: Clock,
        owner: str,
        recall: Callable[[int], Mapping[str, Told]] = lambda _: {},
        erased: Callable[[int], Collection[str]] = lambda _: (),
        name: Callable[[str], str] = str,
        hook: Hook = no_hook,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._erased = erased
        self._name = name
        self._store = store
        self._rules = rules
        self._clock = clock
        self._owner = owner
        self._recall = recall
        self._told: Mapping[str, Told] = {}
        self._decided: Callable[[], None] = lambda: None
        self._hook = hook
        self._traces = traces
        self._owned: dict[int, _Owned] = {}
        self._released: dict[int, deque[Enrolment]] = defaultdict(deque)
        self._lock = Lock()

    def on_decided(self, call: Callable[[], None]) -> None:
        """Have ``call`` called after each commit that left something in the outbox."""
        self._decided = call

    def own(self, partitions: Sequence[int]) -> dict[int, int]:
        """Own exactly these partitions, and return the offset to read next of each.

        All of them are claimed anew, those that we had as well: another campaigner may have had
        them in between.
        """
        self.disown()
        claimed = self._store.claim(partitions, self._owner, self._clock()) if partitions else []
        stands_at = self._stands_at(claimed)
        # Once we own them, nobody else tells anything more.
        self._told = {} if stands_at is None else self._recall(stands_at)
        if stands_at is not None:
            self._forget_since(stands_at)
        owned = {each.lease.partition: self._taken_over(each) for each in claimed}
        with self._lock:
            self._owned = owned
        return {partition: each.next_offset for partition, each in owned.items()}

    def told(self) -> Mapping[str, Told]:
        """Return what became of decisions that the database may have forgotten."""
        return self._told

    def disown(self) -> None:
        """Forget all partitions."""
        with self._lock:
            self._owned = {}
            self._released.clear()

    def leases(self) -> list[Lease]:
        """Return the leases on what is owned now."""
        with self._lock:
            return [each.lease for each in self._owned.values()]

    def release_enrolments(self, partition: int, enrolments: Iterable[Enrolment]) -> None:
        """Take back the cool-downs of decisions that expired at the outbox, with the next batch."""
        with self._lock:
            self._released[partition].extend(enrolments)

    def process(self, records: Mapping[int, Sequence[Record]]) -> int:
        """Decide about records of owned partitions, and commit.

        Parameters
        ----------
        records
            By partition, in the order of their offsets. What is committed already is passed over.

        Returns
        -------
        int
            How many decisions were made.

        Raises
        ------
        LostPartitionError
            Another campaigner owns a partition now. Nothing was written, all are disowned.

        """
        try:
            return self._process(records)
        except BaseException:
            self.disown()
            raise

    def _forget_since(self, stands_at: int) -> None:
        """Forget whom a restored database brought back, before anything is decided about them."""
        names = frozenset(self._erased(stands_at))
        if names and (again := self._store.forget(lambda each: self._name(each) in names)):
            log.warning("the database knew erased customers", forgotten=again)

    def _stands_at(self, claimed: Sequence[Claimed]) -> int | None:
        """Return a time before which the database knows what was told, of all that it holds.

        A partition without a time holds nothing yet that could be decided again.
        """
        _, oldest = self._store.backlog([each.lease.partition for each in claimed])
        times = [*(each.at for each in claimed), oldest]
        return min((each for each in times if each is not None), default=None)

    def _process(self, records: Mapping[int, Sequence[Record]]) -> int:
        now, rules, since_ns = self._clock(), self._rules(), time.time_ns()
        batches = [self._fold(each, records, rules, now) for each in self._owned.values()]
        changed = [batch for batch in batches if _adds_something(batch)]
        if not changed:
            return 0
        followed = [
            work
            for batch in changed
            for work in follow(
                batch, records.get(batch.lease.partition, ()), self._traces, since_ns
            )
        ]
        self._hook("folded")
        with metrics.CAMPAIGNER_COMMIT_SECONDS.time():
            self._store.commit(changed, now)
        self._hook("committed")
        for work in followed:
            work.end()
        for batch in changed:
            self._owned[batch.lease.partition].next_offset = batch.end
        metrics.CAMPAIGNER_RECORDS.inc(sum(map(len, records.values())))
        return self._announce(changed)

    def _announce(self, batches: Sequence[Batch]) -> int:
        """Say that something waits in the outbox; return how many decisions do."""
        decisions = sum(len(each.decisions) + len(each.revised) for each in batches)
        letters = sum(len(each.letters) for each in batches)
        changes = sum(len(each.changes) for each in batches)
        metrics.CAMPAIGNER_UNREADABLE.inc(letters)
        if decisions or letters or changes:
            self._decided()
        return decisions

    def _taken_over(self, claimed: Claimed) -> _Owned:
        lease, next_offset, _ = claimed
        standings = self._store.standings(lease)
        log.info("took over", partition=lease.partition, epoch=lease.epoch, offset=next_offset)
        return _Owned(lease, next_offset, standings)

    def _fold(
        self, owned: _Owned, records: Mapping[int, Sequence[Record]], rules: Rules, now: int
    ) -> Batch:
        partition = owned.lease.partition
        batch = Batch(owned.lease, owned.next_offset, owned.next_offset)
        purse = Purse(partial(self._store.lend, owned.lease))
        fold = Fold(
            owned.standings,
            batch,
            rules,
            now,
            self._store.latest,
            purse=purse,
            told=self._told,
            learned=self._store.learned,
        )
        for enrolment in self._take_released(partition):
            fold.release(enrolment)
        for record in records.get(partition, ()):
            if record.offset >= batch.end:
                _take(fold, batch, record)
                batch.end = record.offset + 1
        self._sweep(fold, partition, now)
        return batch

    def _sweep(self, fold: Fold, partition: int, now: int) -> None:
        """Look at the next customers whom time alone may have moved into a segment or out."""
        sweep = fold.segments.due(now)
        if sweep is not None:
            after = sweep.after or ""
            fold.segments.sweep(sweep, self._store.page(partition, after, SWEEP))

    def _take_released(self, partition: int) -> Iterable[Enrolment]:
        with self._lock:
            return self._released.pop(partition, ())


def _adds_something(batch: Batch) -> bool:
    return batch.end > batch.start or bool(batch.armings) or batch.swept is not None


def _take(fold: Fold, batch: Batch, record: Record) -> None:
    """Fold one record; one that is unreadable becomes a dead letter, and holds up nothing."""
    if record.value is None:
        if record.key:
            fold.erase(record.key.decode())
        return
    try:
        text = record.value.decode()
        message = _decoder.decode(record.value)
    except DECODE_ERRORS as error:
        batch.letters.append(_letter(batch, record, record.value, error))
        return
    if isinstance(message, outputs.Clock):
        fold.pass_time(message.at)
    elif _is_storable(message):
        fold.take(message, text)
    else:
        problem = ValueError("a customer id of more than 128 characters, or with a NUL")
        batch.letters.append(_letter(batch, record, record.value, problem))


def _is_storable(score: Score) -> bool:
    """Tell whether every database takes the customer's id."""
    return len(score.customer) <= _LONGEST_ID and "\0" not in score.customer


def _letter(batch: Batch, record: Record, value: bytes, error: Exception) -> DeadLetter:
    log.warning("unreadable score", partition=batch.lease.partition, offset=record.offset)
    return DeadLetter(
        value=value,
        error=type(error).__name__,
        field="$",
        reason=str(error),
        remedy="Only the scorer should write this topic: find out who else does",
        partition=batch.lease.partition,
        offset=record.offset,
        index=None,
    )
