"""One partition's customers: what happens to them, event by event and as time passes.

The scorer's core, free of I/O and of clocks. ``apply`` takes records in log order and returns
everything that must become durable. However the records are grouped into calls, states and
outputs are the same, bit for bit: customers do not depend on each other, a customer's steps are
taken in log order, and a step of many customers at once is elementwise.

A step is an event, or a review: reviews fall on quarter-hour marks, and one that is due is taken
before the event that moves the partition's time past it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import copy
from dataclasses import replace
from itertools import compress
from operator import attrgetter, or_
from typing import Final

import numpy as np

from shared.domain import fold, labels, lifecycle, segments, telling
from shared.domain.batch import Batch, Events, Numbers, columns
from shared.domain.customer import CustomerTable, Indices
from shared.domain.emission import EVENT, REVIEW, Effects, Misplaced, Step
from shared.domain.erasure import Erased, pseudonym
from shared.domain.events import Erasure, Event
from shared.domain.features import Millis
from shared.domain.notes import note
from shared.domain.outputs import Clock
from shared.domain.partition_work import Run, Steps, Work
from shared.domain.policy import SLOT_MS, Policy
from shared.domain.position import Counts, Position
from shared.domain.rehearsal import Rehearsal
from shared.domain.rescoring import FOR_ALL, Rescoring
from shared.domain.scoring import Scoring, Served, cold_model
from shared.domain.wheel import Wheel

_LATE_MS: Final = 60_000
#: Events that concern more than their customer's row: those before them are taken first.
_CUTS: Final = FOR_ALL | {Erasure}


class Partition:
    """State and behaviour of the customers of one partition.

    Parameters
    ----------
    number
        The partition.
    owner
        Tells the partition of a customer id; asked for each customer that is not known here.
    policy
        Horizons and thresholds.
    table, position, model
        What was restored; none for a new partition.
    erased
        Pseudonyms of who was erased before the position.
    rehearsal
        Nobody reads scores or states: return examples alone, which are the same bit for bit.

    """

    def __init__(  # noqa: PLR0917  # the last three are what a restore returns
        self,
        number: int,
        owner: Callable[[str], int],
        policy: Policy,
        table: CustomerTable | None = None,
        position: Position | None = None,
        model: Served | None = None,
        *,
        erased: Collection[str] = (),
        rehearsal: bool = False,
    ) -> None:
        position = Position() if position is None else position
        self.number = number
        self.table = CustomerTable() if table is None else table
        self.counts = copy(position.counts)
        self.now = position.now
        self.offset = position.offset
        self._busy = position.busy
        self._moved = dict(position.moved)
        self._owner = owner
        thresholds = max(policy.thresholds, position.thresholds, key=attrgetter("version"))
        scoring = Rehearsal if rehearsal else Scoring
        self._scoring = scoring(
            self.table,
            replace(policy, thresholds=thresholds),
            cold_model(policy.horizon_days) if model is None else model,
        )
        self._erased = set(erased)
        self._forgotten = self._forget_again(position.erased)
        self._rescoring = Rescoring(self.table, self._scoring, position)
        self._wheel = Wheel.of(self.table)

    @property
    def model(self) -> Served:
        """The model in use."""
        return self._scoring.model

    @property
    def _policy(self) -> Policy:
        """Horizons, and the thresholds in force."""
        return self._scoring.policy

    @property
    def position(self) -> Position:
        """Up to where the state stands."""
        counts, moved = copy(self.counts), dict(self._moved)
        return Position(
            offset=self.offset,
            now=self.now,
            model=self.model.version,
            counts=counts,
            busy=self._busy,
            moved=moved,
            serving=self._rescoring.serving,
            thresholds=self._policy.thresholds,
            erased=len(self._erased),
            boundaries=self._scoring.boundaries,
            sweeping=self._rescoring.sweeping,
        )

    def stages(self) -> dict[str, int]:
        """Count customers by stage."""
        stages = self.table.rows["stage"][: len(self.table)]
        counts = np.bincount(stages, minlength=len(lifecycle.STAGES))
        return dict(zip(lifecycle.STAGES, counts.tolist(), strict=True))

    def segments(self) -> dict[str, int]:
        """Count customers by segment, as their last scores have it."""
        return segments.count(self.table)

    def apply(self, batch: Batch, models: Mapping[int, Served]) -> Effects:
        """Take a batch in.

        Parameters
        ----------
        batch
            Records from `offset` on, at least one.
        models
            The models that the batch activates, as far as they are to be had: one that is
            missing is refused, and the model in use goes on.

        """
        self.counts.accepted += batch.seen
        self._leave_out_moved_again(batch)
        work = self._work(batch)
        slot_before = self.now // SLOT_MS
        self.counts.dead_letters += len(batch.letters)
        self._take_in(work, models)
        self.offset = batch.records[-1].offset + 1
        if self.now // SLOT_MS > slot_before:
            work.effects.clock = Clock(self.number, self.now)
        work.number(self.number)
        if self._scoring.is_read:
            work.flush(self.table)
            work.effects.forget(self._forgotten)
        self._forgotten = []
        return work.effects

    def _leave_out_moved_again(self, batch: Batch) -> None:
        """Count what was moved here before as repeated, though it may be too old to recognise."""
        again = []
        for number, record in enumerate(batch.records):
            if (origin := record.moved_from) is not None:
                last = self._moved.get(origin.partition)
                if last is not None and origin <= last:
                    again.append(number)
                else:
                    self._moved[origin.partition] = origin
        if again:
            self.counts.duplicates += batch.leave_out(again)

    def _work(self, batch: Batch) -> Work:
        """Tell each event's time, never back and never ahead of the append, and who is told."""
        appended = batch.appended()
        now = np.maximum.accumulate(np.maximum(np.minimum(batch.at, appended), self.now))
        at_once, marks = np.zeros(len(now), np.bool_), np.zeros(len(now), np.bool_)
        if len(now) and self._scoring.is_read:
            marks = telling.marks(now, appended, self.now)
            at_once, self._busy = telling.told_at_once(now, appended, self.now, self._busy)
        return Work(batch, Effects(letters=batch.letters), now, at_once, marks)

    def _take_in(self, work: Work, models: Mapping[int, Served]) -> None:
        """Take in a batch's events, cut where all customers may be scored."""
        start, events, marked = 0, work.batch.events, work.marks.tolist()
        cuts = [type(event) in _CUTS for event in events]
        for number in compress(range(len(events)), map(or_, marked, cuts)):
            self._take_events(work, start, number + 1)
            start = number + 1
            if marked[number]:
                self._rescoring.settle(number, work)
            event = events[number]
            if isinstance(event, Erasure):
                self._erase(event, number, work)
            else:
                self._rescoring.take(event, models, number, work)
        self._take_events(work, start, len(events))

    def _take_events(self, work: Work, first: int, end: int) -> None:
        """Take the steps of the events numbered ``first`` to ``end``, and of time."""
        if first == end:
            return
        events, now = work.batch.events[first:end], work.now[first:end]
        view = columns(events, work.batch.at[first:end], self._policy.default_margin)
        rows = self._rows(work, first, events, now)
        self.now = int(now[-1])
        self._take(self._steps(rows), Run(first, events, view, now), work)

    # -- whose events they are

    def _rows(self, work: Work, first: int, events: list[Event], now: Millis) -> Indices:
        """Find or add the row of each event's customer; -1 for an event without one here."""
        customers = [event.subject for event in events]
        rows = self.table.find_all(customers)
        unknown = np.flatnonzero(rows < 0)
        if len(unknown):
            added = self._newcomers(work, first, customers, unknown)
            if added:
                self._add(added, now)
            rows[unknown] = self.table.find_all([customers[n] for n in unknown.tolist()])
        return rows

    def _newcomers(
        self, work: Work, first: int, customers: list[str | None], unknown: Indices
    ) -> dict[str, int]:
        """Tell newcomers, with the place of their first event, from what is none of ours."""
        found: dict[str, int] = {}
        for n in unknown.tolist():
            customer = customers[n]
            if customer is None:
                self.counts.controls += 1
            elif customer not in found:
                owner = self._owner(customer)
                if owner == self.number:
                    if self._is_erased(customer):
                        self.counts.erased += 1
                    else:
                        found[customer] = n
                else:
                    self.counts.misplaced += 1
                    origin, raw = work.batch.place(first + n), work.batch.original(first + n)
                    work.effects.misplaced.append(Misplaced(owner, raw, origin))
        return found

    def _add(self, newcomers: dict[str, int], now: Millis) -> None:
        indices = self.table.add(list(newcomers))
        seen_at = now[np.array(list(newcomers.values()), np.intp)]
        rows = self.table.rows[indices]
        rows["stage_since"] = seen_at
        rows["review"] = self._scoring.next_review(rows, seen_at)
        self.table.rows[indices] = rows
        self._wheel.add(indices, rows["review"])

    # -- who must not come back

    def _is_erased(self, customer: str) -> bool:
        return bool(self._erased) and self._pseudonym(customer) in self._erased

    def _pseudonym(self, customer: str) -> str:
        return pseudonym(self._policy.erasure_key, customer)

    def _erase(self, event: Erasure, number: int, work: Work) -> None:
        """Forget a customer, who is unknown from here on; rows that changed may move."""
        customer, name = event.data.customer, self._pseudonym(event.data.customer)
        work.flush(self.table)
        self._remove(customer)
        self._erased.add(name)
        offset = work.batch.place(number).offset
        work.effects.erasures.append(Erased(name, self.number, offset, event.data.at))
        work.effects.forget([customer])

    def _remove(self, customer: str) -> None:
        moved = self.table.remove(customer)
        if moved is not None:
            self._wheel.add(np.array([moved]), self.table.rows["review"][moved : moved + 1])

    def _forget_again(self, known: int) -> list[str]:
        """Forget whom a backup brought back: it knows of fewer erasures than there were."""
        if len(self._erased) == known:
            return []
        back = [customer for customer in self.table.ids if self._is_erased(customer)]
        for customer in back:
            self.table.remove(customer)
        return back

    # -- in which order

    def _steps(self, rows: Indices) -> Steps:
        """Gather the customers that have an event, or a review due by now."""
        mine = np.flatnonzero(rows >= 0)
        order = mine[np.argsort(rows[mine], kind="stable")]
        touched, start, count = np.unique(rows[order], return_index=True, return_counts=True)
        due = self._due(touched)
        none = np.zeros(len(due), np.int64)
        return Steps(
            rows=np.concatenate([touched, due]),
            start=np.concatenate([start, none]),
            end=np.concatenate([start + count, none]),
            order=order,
        )

    def _due(self, touched: Indices) -> Indices:
        """Return who is due for a review by now, without those who have an event anyway."""
        slot = self.now // SLOT_MS
        if not self._wheel.due(slot):
            return np.empty(0, np.intp)
        return np.setdiff1d(self._wheel.take(slot, self.table), touched, assume_unique=True)

    def _take(self, steps: Steps, run: Run, work: Work) -> None:
        """Take one step of each customer at a time until none is left."""
        while len(steps.rows):
            waiting = steps.start < steps.end
            until = np.full(len(steps.rows), self.now)
            until[waiting] = run.now[steps.order[steps.start[waiting]]]
            due = self.table.rows["review"][steps.rows].astype(np.int64) * SLOT_MS <= until
            has_event = waiting & ~due
            self._review(steps.rows[due], run, work)
            self._fold(steps.rows[has_event], steps.order[steps.start[has_event]], run, work)
            steps.start[has_event] += 1
            left = due | has_event
            steps.rows, steps.start, steps.end = (
                steps.rows[left], steps.start[left], steps.end[left],
            )  # fmt: skip

    # -- an event

    def _fold(self, indices: Indices, numbers: Numbers, run: Run, work: Work) -> None:
        """Fold one event of each customer, ``numbers`` (n,) of the run."""
        if not len(indices):
            return
        rows, events = self.table.rows[indices], run.columns[numbers]
        fresh = ~fold.repeated(rows, events)
        if not fresh.all():
            self.counts.duplicates += int(np.count_nonzero(~fresh))
            indices, numbers = indices[fresh], numbers[fresh]
            rows, events = rows[fresh], events[fresh]
        now = run.now[numbers]
        self._count(events, now)
        fold.fold_events(rows, events, self._policy)
        step = Step(indices, rows, now, numbers + run.first, EVENT, work.emission)
        told = events["told"]
        noted = np.flatnonzero(events["noted"] if self._scoring.is_read else told)
        whose = [run.events[n] for n in numbers[noted].tolist()]
        note(self.table, step, noted, whose, events[noted], self._policy)
        self._look_sooner(step)
        self._scoring.score(step, told | work.at_once[step.events])
        self._put_back(step, work)

    def _count(self, events: Events, now: Millis) -> None:
        self.counts.applied += len(events)
        self.counts.late += int(np.count_nonzero(events["at"] < now - _LATE_MS))

    def _look_sooner(self, step: Step) -> None:
        """Bring a review forward when by what is known now a stage may end before it."""
        review = self._scoring.next_review(step.rows, step.now)
        sooner = np.flatnonzero(review < step.rows["review"])
        step.rows["review"][sooner] = review[sooner]
        self._wheel.add(step.indices[sooner], review[sooner])

    def _put_back(self, step: Step, work: Work) -> None:
        self.table.rows[step.indices] = step.rows
        work.changed.append(step.indices)

    # -- time

    def _review(self, indices: Indices, run: Run, work: Work) -> None:
        """Ripen a label, take a snapshot, age the stage; at the time of each row's own mark."""
        if not len(indices):
            return
        rows = self.table.rows[indices]
        now = rows["review"].astype(np.int64) * SLOT_MS
        events = np.searchsorted(run.now, now, side="left") + run.first
        step = Step(indices, rows, now, events, REVIEW, work.emission)
        labels.ripen(step, self.table, self._policy)
        features = self._scoring.score(step)
        self.counts.snapshots_skipped += labels.take(step, features, self.model, self._policy)
        rows["review"] = self._scoring.next_review(rows, now)
        self._wheel.add(indices, rows["review"])
        self._put_back(step, work)


__all__ = ["Counts", "Partition", "Position", "Served", "cold_model"]
