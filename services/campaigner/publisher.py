"""From the outbox to Kafka: at least once, under one id, and never after expiry.

A row leaves the outbox only after Kafka acknowledged all that follows from it. Between the two the
process may die, so a row found in the outbox may have been published already:

- while it is valid it is published again, under the same id;
- whose trigger is known to have left (`recall`), of that the decision alone is told;
- once it has expired the topics are asked whether it left in time. Both arms are asked about
  alike, the triggers of the one and the decisions of the other, so that a crash does not make the
  arms differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event
from typing import Final, NamedTuple, TypeVar

import structlog

from services.campaigner.messages import (
    change_message,
    decision_message,
    letter_message,
    trigger_message,
)
from services.campaigner.ports import Bus, Clock, Hook, Message, Store, no_hook
from shared import metrics
from shared.adapters.tracing import NO_TRACES, NO_WORK, Traces, Work
from shared.domain.campaign_decisions import enrolled, expired
from shared.domain.campaign_outputs import Decision, Told
from shared.domain.campaign_state import Lease, LostPartitionError, Settled, Waiting
from shared.domain.controls import UNCONTROLLED, Controls
from shared.domain.standings import Enrolment
from shared.topics import CAMPAIGN_DECISIONS, RETENTION_TRIGGERS

log = structlog.get_logger(__name__)

#: Rows that are published at once.
PAGE: Final = 2_000
#: How long after its expiry a row that may be under way is left alone: longer than any producer
#: goes on trying (`kafka.DELIVERY_TIMEOUT_MS`), so that what was not found will not appear.
GRACE_MS: Final = 30_000
#: How far the clocks of two campaigners may differ, when topics are searched by time.
_SKEW_MS: Final = 60_000
_IDLE_S: Final = 1.0
#: What the work is called in a trace.
_NAME: Final = "publish trigger"

_T = TypeVar("_T")
Found = Mapping[str, Mapping[str, str]]


class _Page(NamedTuple):
    """Rows of the outbox by what is to be done with them."""

    fired: list[Waiting]
    late: list[Waiting]
    others: list[Waiting]


class Publisher:
    """Empties the outbox of the partitions that this campaigner owns.

    Parameters
    ----------
    store, bus
        From where to where.
    leases
        Returns the partitions that are owned now.
    release
        Told, by partition, whose cool-down ends because the decision expired here.
    controls
        Returns what people decided: what is stopped waits, and expires like all else.
    told
        Returns what became of decisions that the database may not know to have left.
    clock
        The wall clock.
    source
        Full name of the topic that dead letters come from.
    hook
        For tests.
    traces
        Told of the triggers that are followed.

    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        leases: Callable[[], list[Lease]],
        *,
        release: Callable[[int, Iterable[Enrolment]], None],
        controls: Callable[[], Controls] = lambda: UNCONTROLLED,
        told: Callable[[], Mapping[str, Told]] = dict,
        clock: Clock,
        source: str,
        hook: Hook = no_hook,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._store = store
        self._bus = bus
        self._leases = leases
        self._release = release
        self._controls = controls
        self._told = told
        self._clock = clock
        self._source = source
        self._hook = hook
        self._traces = traces
        self._wake = Event()
        #: Why nothing can be published now, for readiness.
        self.problem: str | None = None

    def wake(self) -> None:
        """Say that something waits."""
        self._wake.set()

    def run(self, stop: Event) -> None:
        """Publish until ``stop`` is set; `wake` after setting it."""
        while not stop.is_set():
            self._wake.clear()
            published = self._attempt()
            if not published:
                self._wake.wait(_IDLE_S)

    def publish(self) -> int:
        """Go through the outbox once, and return how many rows left it."""
        leases = self._leases()
        partitions = [each.partition for each in leases]
        after = left = 0
        while partitions and (rows := self._store.waiting(partitions, after, PAGE)):
            self._hook("selected")
            left += self._publish_apart(leases, rows)
            after = rows[-1].seq
        return left

    def _publish_apart(self, leases: Sequence[Lease], rows: Sequence[Waiting]) -> int:
        """Publish decisions, then entries and exits: those make no trigger wait to be final."""
        decided = [row for row in rows if row.change is None]
        changes = [row for row in rows if row.change is not None]
        left, due = 0, 0
        for page in (self._sorted(decided), _Page([], [], changes)):
            due += sum(map(len, page))
            left += self._publish(leases, page)
        self.problem = None if left == due else "Kafka does not acknowledge, trying again"
        return left

    def _attempt(self) -> int:
        try:
            return self.publish()
        except LostPartitionError as error:
            log.info("left to the new owner", reason=str(error))
        except Exception as error:
            self.problem = f"cannot publish ({type(error).__name__}), trying again"
            log.exception("not published, trying again")
        return 0

    def _sorted(self, rows: Sequence[Waiting]) -> _Page:
        now, controls, told = self._clock(), self._controls(), self._told()
        page = _Page([], [], [])
        for row in rows:
            decision = row.decision
            if decision is None or not enrolled(decision) or _has_left(decision, told):
                page.others.append(row)
            elif now <= decision.expires_at:
                if controls.keeps(decision):  # both arms alike, until it may leave or is too late
                    continue
                (page.fired if decision.outcome == "fired" else page.others).append(row)
            elif now > decision.expires_at + GRACE_MS:
                page.late.append(row)
        return page

    def _publish(self, leases: Sequence[Lease], page: _Page) -> int:
        # 1. what is due, both arms in one go; the decision of a trigger waits for the trigger
        works = {row.seq: self._begin(_decision(row)) for row in page.fired}
        due = [
            (row, trigger_message(_decision(row), works[row.seq].traceparent)) for row in page.fired
        ]
        due += [(row, self._message(row)) for row in page.others]
        acknowledged = {row.seq for row in self._send(due)}
        for seq in acknowledged & works.keys():
            works[seq].end()
        self._hook("triggers acknowledged")
        fired = [Settled(row) for row in page.fired if row.seq in acknowledged]
        now = self._clock()
        for decision in (_decision(each.row) for each in fired):
            metrics.CAMPAIGNER_TRIGGERS.labels(decision.campaign).inc()
            metrics.CAMPAIGNER_EVENT_SECONDS.observe(max(now - decision.at, 0) / 1000)
        # 2. what expired before it was seen to leave: did it?
        fired += self._look_back(page.late)
        # 3. the decisions whose outcome follows from 1 and 2
        settled = self._send([(each, _final_message(each)) for each in fired])
        self._hook("decisions acknowledged")
        # 4. only now may they be forgotten
        settled += [Settled(row) for row in page.others if row.seq in acknowledged]
        self._settle(leases, settled)
        return len(settled)

    def _begin(self, decision: Decision) -> Work:
        return self._traces.begin(_NAME, decision.traceparent) if decision.traceparent else NO_WORK

    def _message(self, row: Waiting) -> Message:
        if row.change is not None:
            return change_message(row.change)
        if row.letter is not None:
            return letter_message(row.letter, self._source)
        return decision_message(_decision(row))

    def _send(self, pairs: Sequence[tuple[_T, Message]]) -> list[_T]:
        """Publish messages, and return what stands beside those that were acknowledged."""
        if not pairs:
            return []
        acknowledged = self._bus.send([message for _, message in pairs])
        return [each for (each, _), there in zip(pairs, acknowledged, strict=True) if there]

    def _look_back(self, late: Sequence[Waiting]) -> list[Settled]:
        """Tell for expired rows whether they had left in time, by what the topics hold."""
        if not late:
            return []
        since = min(_decision(row).decided_at for row in late) - _SKEW_MS
        triggers = self._bus.find(RETENTION_TRIGGERS.name, since)
        decisions = self._bus.find(CAMPAIGN_DECISIONS.name, since)
        return [_judged(row, triggers, decisions) for row in late]

    def _settle(self, leases: Sequence[Lease], settled: Sequence[Settled]) -> None:
        if not settled:
            return
        partitions = {each.row.partition for each in settled}
        held = [each for each in leases if each.partition in partitions]
        self._store.settle(held, settled, self._clock())
        self._hook("forgotten")
        for each in settled:
            if each.expired is not None:
                self._release(each.row.partition, [Enrolment.of(each.expired)])
        _count(settled)


def _has_left(decision: Decision, told: Mapping[str, Told]) -> bool:
    if decision.recalled:
        return True
    known = told.get(decision.id)
    return known is not None and known.outcome == decision.outcome and known.concerns(decision.at)


def _judged(row: Waiting, triggers: Found, decisions: Found) -> Settled:
    decision = _decision(row)
    if decision.outcome == "fired":
        in_time = decision.id in triggers
    else:
        in_time = decisions.get(decision.id, {}).get("ce_outcome") == decision.outcome
    return Settled(row) if in_time else Settled(row, expired(decision))


def _decision(row: Waiting) -> Decision:
    assert row.decision is not None  # noqa: S101  # `_sorted` put rows without one elsewhere
    return row.decision


def _final_message(settled: Settled) -> Message:
    return decision_message(settled.expired or _decision(settled.row))


def _count(settled: Iterable[Settled]) -> None:
    finals = [each.expired or each.row.decision for each in settled]
    counts = Counter((each.campaign, each.outcome) for each in finals if each is not None)
    for labels, count in counts.items():
        metrics.CAMPAIGNER_DECISIONS.labels(*labels).inc(count)
