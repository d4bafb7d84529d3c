"""One partition's customers: what happens to them, event by event and as time passes.

The scorer's core, free of I/O and of clocks. ``apply`` takes records in log order and returns
everything that must become durable. However the records are grouped into calls, states and
outputs are the same, bit for bit: customers do not depend on each other, a customer's steps are
taken in log order, and a step of many customers at once is elementwise.

A step is an event, or a review: reviews fall on quarter-hour marks, and one that is due is taken
before the event that moves the partition's time past it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import partial
from typing import Final

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from shared.domain import fold, lifecycle
from shared.domain.batch import Batch, Events, Item, columns, raw_event
from shared.domain.churn import ChurnModel, Scorer
from shared.domain.customer import CustomerTable, Rows
from shared.domain.emission import Effects, Emission, Place
from shared.domain.events import Account, Contact, CustomerEvent, ModelActivated, Tick
from shared.domain.features import MICROS, PRIOR, Floats, Millis, feature_matrix
from shared.domain.outputs import Cause, Clock, Example, Identity, Profile, Reason, Score, Transition
from shared.domain.policy import DAY_MS, SLOT_MS, SLOTS_A_DAY, Policy
from shared.domain.profiles import closed_code, update_profile
from shared.domain.reasons import explain
from shared.domain.wheel import Wheel

Indices = NDArray[np.intp]

BANDS: Final = 20  # risk is emitted when it passes a multiple of 1 / BANDS
_LATE_MS: Final = 60_000
_REVIEW, _EVENT, _MODEL = range(3)


class Served(Struct, frozen=True):
    """A model as it is used for scoring; version 0 is the heuristic of a cold start."""

    version: int
    scorer: Scorer


def cold_model() -> Served:
    """Return what scores before any model was activated."""
    return Served(0, ChurnModel().scorer())


class Counts(Struct):
    """What became of the events of a partition, since the beginning of its log.

    ``accepted = applied + duplicates + dead_letters + misplaced + controls``; late events are
    among the applied.
    """

    accepted: int = 0
    applied: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    misplaced: int = 0
    controls: int = 0
    late: int = 0
    snapshots_skipped: int = 0


class Position(Struct, frozen=True):
    """Up to where a partition's state stands: kept in the changelog with the states themselves.

    Attributes
    ----------
    offset
        The next offset to read.
    now
        The partition's time.
    model
        Version of the model in use.

    """

    offset: int = 0
    now: int = 0
    model: int = 0
    counts: Counts = field(default_factory=Counts)


@dataclass
class _Steps:
    """The steps of a batch that are still to be taken, one entry per customer.

    ``order[start:end]`` are the numbers of a customer's events.
    """

    rows: Indices
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    order: NDArray[np.int64]


@dataclass
class _Context:
    """What the steps of one run of events share."""

    items: list[Item]
    events: Events
    now: Millis
    first: int
    emission: Emission
    changed: list[Indices] = attribute(default_factory=list)

    def event_at(self, time: Millis) -> NDArray[np.int64]:
        """Return the numbers of the events that first moved the partition's time to ``time``."""
        return np.searchsorted(self.now, time, side="left") + self.first


class Partition:
    """State and behaviour of the customers of one partition.

    Parameters
    ----------
    number
        The partition.
    owner
        Tells the partition of a customer id; asked once for each new customer.
    policy
        Horizons and thresholds.
    table, position, model
        What was restored; empty for a new partition.

    """

    def __init__(
        self,
        number: int,
        owner: Callable[[str], int],
        policy: Policy,
        table: CustomerTable | None = None,
        position: Position | None = None,
        model: Served | None = None,
    ) -> None:
        self.number = number
        self.table = CustomerTable() if table is None else table
        self.counts = copy(position.counts) if position else Counts()
        self.now = position.now if position else 0
        self.offset = position.offset if position else 0
        self.model = cold_model() if model is None else model
        self._owner = owner
        self._policy = policy
        self._wheel = Wheel.of(self.table)

    @property
    def position(self) -> Position:
        """Up to where the state stands."""
        return Position(self.offset, self.now, self.model.version, copy(self.counts))

    def apply(self, batch: Batch, models: Mapping[int, Served]) -> Effects:
        """Take a batch in.

        Parameters
        ----------
        batch
            Records from `offset` on.
        models
            The models that the batch activates, as far as they are to be had: one that is
            missing is refused, and the model in use goes on.

        """
        effects = Effects(letters=batch.letters)
        self.counts.accepted += batch.seen
        self.counts.dead_letters += len(batch.letters)
        slot_before = self.now // SLOT_MS
        emission = Emission()
        changed = self._run(batch, models, emission, effects)
        emission.number(self.number, lambda n: batch.records[batch.items[n].record].offset, effects)
        effects.states = self.table.encode(changed)
        if self.now // SLOT_MS > slot_before:
            effects.clock = Clock(self.number, self.now)
        self.offset = batch.records[-1].offset + 1
        return effects

    def stages(self) -> dict[str, int]:
        """Count customers by stage."""
        counts = np.bincount(
            self.table.rows["stage"][: len(self.table)], minlength=len(lifecycle.STAGES)
        )
        return dict(zip(lifecycle.STAGES, counts.tolist(), strict=True))

    # -- a batch is cut into runs of events between two changes of the model

    def _run(
        self, batch: Batch, models: Mapping[int, Served], emission: Emission, effects: Effects
    ) -> Indices:
        changed: list[Indices] = []
        start = 0
        for number, item in enumerate(batch.items):
            if isinstance(item.event, ModelActivated):
                changed += self._events(batch, start, number + 1, emission, effects)
                changed += self._activate(item.event, models, number, emission, effects)
                start = number + 1
        changed += self._events(batch, start, len(batch.items), emission, effects)
        return np.unique(np.concatenate([np.empty(0, np.intp), *changed]))

    def _events(
        self, batch: Batch, first: int, end: int, emission: Emission, effects: Effects
    ) -> list[Indices]:
        """Take the steps of the events numbered ``first`` to ``end``, and of time."""
        if first == end:
            return []
        items = batch.items[first:end]
        now = self._times(batch, items)
        rows = self._rows(batch, items, now, effects)
        mine = np.flatnonzero(rows >= 0)
        events = np.zeros(len(items), columns([], 0.0).dtype)
        if len(mine):
            events[mine] = columns([items[n] for n in mine.tolist()], self._policy.default_margin)
        context = _Context(items, events, now, first, emission)
        self.now = int(now[-1])
        self._take(self._steps(rows, mine), context)
        return context.changed

    def _times(self, batch: Batch, items: list[Item]) -> Millis:
        """The partition's time after each event (n,): never back, never ahead of the append."""
        stamps = [min(item.at, batch.records[item.record].timestamp) for item in items]
        return np.maximum.accumulate(np.maximum(np.array(stamps, np.int64), self.now))

    def _rows(self, batch: Batch, items: list[Item], now: Millis, effects: Effects) -> Indices:
        """Find or add the row of each event's customer; -1 for an event without one here."""
        return np.array(
            [self._row(batch, item, int(at), effects) for item, at in zip(items, now, strict=True)],
            np.intp,
        )

    def _row(self, batch: Batch, item: Item, now: int, effects: Effects) -> int:
        event = item.event
        if isinstance(event, Tick | ModelActivated):
            self.counts.controls += 1
            return -1
        found = self.table.find(event.subject)
        if found is not None:
            return found
        owner = self._owner(event.subject)
        if owner != self.number:
            self.counts.misplaced += 1
            effects.misplaced.append((owner, raw_event(batch.records[item.record], item.index)))
            return -1
        return self._add(event.subject, now)

    def _add(self, customer: str, now: int) -> int:
        index = self.table.add(customer)
        row = self.table.rows[index]
        row["stage_since"] = now
        here = np.array([index])
        review = self._next_daily(self.table.rows[here], np.array([now], np.int64))
        row["review"] = review[0]
        self._wheel.add(here, review)
        return index

    def _steps(self, rows: Indices, mine: Indices) -> _Steps:
        """Gather the customers that have an event, or a review due by now."""
        order = mine[np.argsort(rows[mine], kind="stable")]
        touched, start, count = np.unique(rows[order], return_index=True, return_counts=True)
        slot = self.now // SLOT_MS
        due = np.empty(0, np.intp)
        if self._wheel.due(slot):
            due = np.setdiff1d(self._wheel.take(slot, self.table), touched, assume_unique=True)
        none = np.zeros(len(due), np.int64)
        return _Steps(
            rows=np.concatenate([touched, due]),
            start=np.concatenate([start, none]),
            end=np.concatenate([start + count, none]),
            order=order,
        )

    def _take(self, steps: _Steps, context: _Context) -> None:
        """Take one step of each customer at a time until none is left."""
        while len(steps.rows):
            waiting = steps.start < steps.end
            until = np.full(len(steps.rows), self.now)
            until[waiting] = context.now[steps.order[steps.start[waiting]]]
            due = self.table.rows["review"][steps.rows].astype(np.int64) * SLOT_MS <= until
            has_event = waiting & ~due
            self._review(steps.rows[due], context)
            self._fold(steps.rows[has_event], steps.order[steps.start[has_event]], context)
            steps.start[has_event] += 1
            left = due | has_event
            steps.rows, steps.start, steps.end = (
                steps.rows[left], steps.start[left], steps.end[left],
            )  # fmt: skip

    # -- an event

    def _fold(self, indices: Indices, numbers: NDArray[np.int64], context: _Context) -> None:
        if not len(indices):
            return
        rows, events = self.table.rows[indices], context.events[numbers]
        fresh = ~fold.repeated(rows, events)
        if not fresh.all():
            self.counts.duplicates += int(np.count_nonzero(~fresh))
            indices, numbers = indices[fresh], numbers[fresh]
            rows, events = rows[fresh], events[fresh]
        self.counts.applied += len(rows)
        late = events["at"] < context.now[numbers] - _LATE_MS
        self.counts.late += int(np.count_nonzero(late))
        fold.fold_events(rows, events, self._policy)
        told = self._tell_profiles(indices, numbers, rows, context)
        place = partial(_places, numbers + context.first, _EVENT)
        self._score(indices, rows, context.now[numbers], "event", place, context.emission, told)
        self.table.rows[indices] = rows
        context.changed.append(indices)

    def _tell_profiles(
        self, indices: Indices, numbers: NDArray[np.int64], rows: Rows, context: _Context
    ) -> NDArray[np.bool_]:
        """Take in what account and contact events say; return who has news (n,)."""
        news = np.zeros(len(indices), np.bool_)
        for n, (index, number) in enumerate(zip(indices.tolist(), numbers.tolist(), strict=True)):
            event = context.items[number].event
            if isinstance(event, Account):
                self.table.profiles[index] = update_profile(self.table.profile(index), event.data)
                rows["closed"][n] = closed_code(int(rows["closed"][n]), event.data)
                news[n] = True
            elif isinstance(event, Contact):
                news[n] = True
        return news

    # -- time

    def _review(self, indices: Indices, context: _Context) -> None:
        """Ripen a label, take a snapshot, age the stage; at the time of each row's own slot."""
        if not len(indices):
            return
        rows = self.table.rows[indices]
        slots = rows["review"].astype(np.int64)
        now = slots * SLOT_MS
        place = partial(_places, context.event_at(now), _REVIEW)
        self._ripen(rows, now, place, context.emission)
        features = self._score(indices, rows, now, "review", place, context.emission)
        self._snapshot(rows, now, slots // SLOTS_A_DAY, features)
        rows["review"] = self._next_review(rows, now)
        self._wheel.add(indices, rows["review"])
        self.table.rows[indices] = rows
        context.changed.append(indices)

    def _ripen(self, rows: Rows, now: Millis, place: _Placer, emission: Emission) -> None:
        ripe = fold.ripe(rows, now, self._policy)
        step = 0
        while ripe.any():
            which = np.flatnonzero(ripe)
            some = rows[which]
            oldest = fold.drop_oldest(some)
            rows[which] = some
            places = place(now, rows["hash"], step)
            for n, snapshot in zip(which.tolist(), oldest, strict=True):
                emission.add(places[n], partial(self._example, snapshot, int(now[n])))
            ripe = fold.ripe(rows, now, self._policy)
            step += 1

    def _example(self, snapshot: np.void, now: int, origin: Identity) -> Example:
        features = snapshot["features"].astype(np.float64)
        recency_days = float(np.expm1(features[0]))
        return Example(
            origin=origin,
            at=int(snapshot["at"]),
            labelled_at=now,
            features=features.tolist(),
            silent=not snapshot["active"],
            predicted=float(snapshot["predicted"]),
            heuristic=float(snapshot["heuristic"]),
            model=int(snapshot["model"]),
            recent=recency_days <= 2 * self._policy.horizon_ms / DAY_MS,
        )

    def _snapshot(self, rows: Rows, now: Millis, day: Millis, features: Floats) -> None:
        """Take a label snapshot of those whose turn it is today."""
        phase = (rows["hash"] // np.uint64(SLOTS_A_DAY)).astype(np.int64)
        on_mark = now // SLOT_MS % SLOTS_A_DAY == _phase(rows)
        turn = on_mark & ((day + phase) % self._policy.cadence_days == 0)
        turn &= (rows["visits"] > 0) & (rows["closed"] == lifecycle.OPEN)
        full = turn & (rows["pending"] >= fold.PENDING)
        self.counts.snapshots_skipped += int(np.count_nonzero(full))
        which = np.flatnonzero(turn & ~full)
        if not len(which):
            return
        some, x = rows[which], features[which]
        fold.take_snapshots(
            some, now[which], x, self.model.scorer.predict(x), _heuristic(x), self.model.version
        )
        rows[which] = some

    def _next_review(self, rows: Rows, now: Millis) -> NDArray[np.int32]:
        """The customer's mark of the next day, or the mark after a stage may end, if sooner."""
        daily = self._next_daily(rows, now)
        deadline = -(-lifecycle.next_deadline(rows, now, self._policy) // SLOT_MS)
        return np.minimum(daily, deadline).astype(np.int32)

    @staticmethod
    def _next_daily(rows: Rows, now: Millis) -> NDArray[np.int32]:
        slot = now // SLOT_MS
        ahead = (_phase(rows) - slot - 1) % SLOTS_A_DAY + 1
        return (slot + ahead).astype(np.int32)

    # -- scores

    def _score(
        self,
        indices: Indices,
        rows: Rows,
        now: Millis,
        cause: Cause,
        place: _Placer,
        emission: Emission,
        news: NDArray[np.bool_] | None = None,
    ) -> Floats:
        """Score rows, move their stages, emit what changed; returns the features."""
        features = feature_matrix(rows, now, self._policy.horizon_ms)
        risk = self.model.scorer.predict(features)
        self._move_stages(indices, rows, now, risk, place, emission)
        self._emit_scores(indices, rows, now, features, risk, cause, place, emission, news)
        return features

    def _move_stages(
        self,
        indices: Indices,
        rows: Rows,
        now: Millis,
        risk: Floats,
        place: _Placer,
        emission: Emission,
    ) -> None:
        after, reason = lifecycle.next_stage(rows, now, risk, self._policy)
        moved = np.flatnonzero(after != rows["stage"])
        if not len(moved):
            return
        places = place(now, rows["hash"], fold.PENDING)
        for n in moved.tolist():
            emission.add(
                places[n],
                partial(
                    _transition,
                    self.table.ids[int(indices[n])],
                    int(now[n]),
                    (int(rows["stage"][n]), int(after[n])),
                    lifecycle.REASONS[int(reason[n])],
                    int(now[n] - rows["stage_since"][n]),
                ),
            )
        rows["stage_since"] = np.where(after != rows["stage"], now, rows["stage_since"])
        rows["stage"] = after

    def _emit_scores(
        self,
        indices: Indices,
        rows: Rows,
        now: Millis,
        features: Floats,
        risk: Floats,
        cause: Cause,
        place: _Placer,
        emission: Emission,
        news: NDArray[np.bool_] | None,
    ) -> None:
        band = np.floor(risk * BANDS + 1e-9).astype(np.int8)
        changed = (band != rows["band"]) | (rows["stage"] != rows["emitted_stage"])
        if news is not None:
            changed |= news
        which = np.flatnonzero(changed)
        if not len(which):
            return
        rows["band"], rows["emitted_stage"] = band, rows["stage"]
        some, x, p = rows[which], features[which], risk[which]
        places = place(now, rows["hash"], fold.PENDING + 1)
        made = self._scores(indices[which], some, now[which], x, p, cause)
        for n, make in zip(which.tolist(), made, strict=True):
            emission.add(places[n], make)

    def _scores(
        self,
        indices: Indices,
        rows: Rows,
        now: Millis,
        features: Floats,
        risk: Floats,
        cause: Cause,
    ) -> list[Callable[[Identity], Score]]:
        reasons = explain(self.model.scorer, features, rows, now, self._policy)
        plain = zip(
            indices.tolist(), now.tolist(), risk.tolist(), features.tolist(), reasons,
            *(rows[name].tolist() for name in _SCORED), strict=True,
        )  # fmt: skip
        return [
            partial(
                _make_score, self.table.ids[one[0]], self.table.profile(one[0]),
                self.model.version, cause, one,
            )
            for one in plain
        ]  # fmt: skip

    # -- a change of model

    def _activate(
        self,
        event: ModelActivated,
        models: Mapping[int, Served],
        number: int,
        emission: Emission,
        effects: Effects,
    ) -> list[Indices]:
        """Serve another model: first bring every score up to date under the old one.

        What moves then is moved by the model alone and is emitted with that cause, so that no
        reader takes it for something that the customer did.
        """
        version = event.data.version
        if version <= self.model.version:
            return []
        if version not in models:
            effects.refused_models.append(version)
            return []
        everyone = np.flatnonzero(self.table.rows["visits"][: len(self.table)] > 0)
        now = np.full(len(everyone), self.now)
        self._rescore(everyone, now, "review", (number, 0), emission)
        self.model = models[version]
        self._rescore(everyone, now, "model", (number, 1), emission)
        return [everyone]

    def _rescore(
        self,
        indices: Indices,
        now: Millis,
        cause: Cause,
        step: tuple[int, int],
        emission: Emission,
    ) -> None:
        rows = self.table.rows[indices]
        number, more = step
        events = np.full(len(rows), number, np.int64)

        def place(at: Millis, hashes: NDArray[np.uint64], within: int) -> list[Place]:
            return _places(events, _MODEL, at, hashes, within + more * (fold.PENDING + 2))

        features = feature_matrix(rows, now, self._policy.horizon_ms)
        risk = self.model.scorer.predict(features)
        self._emit_scores(indices, rows, now, features, risk, cause, place, emission, None)
        self.table.rows[indices] = rows


_Placer = Callable[[Millis, NDArray[np.uint64], int], list[Place]]

#: Fields of a row that a score shows, in the order in which `_make_score` takes them.
_SCORED: Final = (
    "stage", "stage_since", "first_at", "last_at", "visits", "spend", "revenue", "margin", "cost",
    "closed",
)  # fmt: skip


def _make_score(
    customer: str,
    profile: Profile,
    model: int,
    cause: Cause,
    plain: tuple[object, ...],
    origin: Identity,
) -> Score:
    (_, at, risk, features, reasons, stage, since, first, last, visits,
     spend, revenue, margin, cost, closed) = plain  # fmt: skip
    return Score(
        customer, at, origin, cause, lifecycle.STAGES[stage], since, risk, model, features,
        reasons, first, last, visits, spend / MICROS, revenue / MICROS, margin / MICROS,
        cost / MICROS, bool(closed), profile,
    )  # fmt: skip


def _transition(
    customer: str, at: int, move: tuple[int, int], reason: str, lasted: int, origin: Identity
) -> Transition:
    before, after = (lifecycle.STAGES[stage] for stage in move)
    return Transition(customer, at, origin, before, after, reason, lasted)


def _places(
    events: NDArray[np.int64], phase: int, at: Millis, hashes: NDArray[np.uint64], step: int
) -> list[Place]:
    plain = zip(events.tolist(), at.tolist(), hashes.tolist(), strict=True)
    return [Place(event, phase, time, customer, step) for event, time, customer in plain]


def _phase(rows: Rows) -> Millis:
    """The quarter of an hour (n,) of the day at which each customer is reviewed."""
    return (rows["hash"] % np.uint64(SLOTS_A_DAY)).astype(np.int64)


def _heuristic(features: Floats) -> Floats:
    probability: Floats = 1.0 / (1.0 + np.exp(-features[:, PRIOR]))
    return probability


__all__ = [
    "Counts", "CustomerEvent", "Partition", "Position", "Reason", "Served", "cold_model",
]  # fmt: skip
