"""Drives a history through the scorer's own code, and keeps what was said and what came true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from shared.adapters.event_files import Good
from shared.domain.backtest import Backtest
from shared.domain.configuration import CHALLENGER, CHAMPION, Configuration
from shared.domain.drift import Drift
from shared.domain.errors import TenureError
from shared.domain.forecasts import Base, Labels, Mask, Outcome
from shared.domain.learner import Learner
from shared.domain.policy import DAY_MS, Policy


class EvaluationError(TenureError):
    """The history and the times asked for do not fit; the message says what to do."""


@dataclass(frozen=True)
class Span:
    """Which times are evaluated, in milliseconds since 1970.

    Attributes
    ----------
    first, last
        The first and the last event of the file.
    until
        Where the record ends: later events are left out, and by then silence is silence.
    cuts
        When the whole base is scored.

    """

    first: int
    last: int
    until: int
    cuts: tuple[int, ...] = ()

    @classmethod
    def of(cls, first: int, last: int, *, until: int | None, cuts: Iterable[int] = ()) -> Span:
        """Check the times; without ``until`` the record ends with the last event's day (UTC).

        Raises
        ------
        EvaluationError
            A time that lies where nothing is recorded.

        """
        end = -(-last // DAY_MS) * DAY_MS if until is None else until
        if end < first:
            raise EvaluationError(
                f"--until {moment(end)} is before the first event ({moment(first)}): "
                "nothing is left. Choose a later time"
            )
        chosen = tuple(cuts)
        for cut in chosen:
            if cut < first:
                raise EvaluationError(
                    f"--cut {moment(cut)} is before the first event ({moment(first)}): "
                    "nobody is known then. Choose a later time"
                )
            if cut > end:
                name = "the last event" if until is None else "--until"
                raise EvaluationError(
                    f"--cut {moment(cut)} is after {name} ({moment(min(last, end))}): "
                    "nothing is recorded there. Choose an earlier time, "
                    "or say with --until up to when the record is complete"
                )
        return cls(first, last, end, chosen)


@dataclass(frozen=True)
class AtCut:
    """The base at the cut, who they are, and what became of them; None when it is not known."""

    base: Base
    customers: list[str]
    outcome: Outcome | None

    def where(self, which: Mask) -> AtCut:
        """Return some of the customers (n,)."""
        chosen = np.flatnonzero(which)
        return AtCut(
            self.base.where(chosen),
            [self.customers[n] for n in chosen.tolist()],
            self.outcome.where(chosen) if self.outcome else None,
        )


@dataclass(frozen=True)
class Evaluated:
    """What came of a history.

    Attributes
    ----------
    labels
        All snapshots whose horizon is over.
    skipped
        Snapshots that found no place, since a customer holds few at a time.
    drifts
        When served predictions got worse.
    learner
        What it knew at the end.
    ids
        Of customers, by their row.
    cuts
        By their time.

    """

    policy: Policy
    span: Span
    events: int
    skipped: int
    labels: Labels
    drifts: list[Drift]
    learner: Learner
    ids: list[str]
    cuts: dict[int, AtCut]


def evaluate(
    events: Iterable[Good],
    policy: Policy,
    span: Span,
    watch: Callable[[int, int], None] = lambda _events, _now: None,
    *,
    champion: Configuration = CHAMPION,
    challenger: Configuration = CHALLENGER,
) -> Evaluated:
    """Take a history in.

    Parameters
    ----------
    events
        In the order of time.
    policy
        Horizon and cadence, in whole days.
    span
        Which times.
    watch
        Told after each day: events so far, and the time.
    champion, challenger
        How each learns.

    """
    run = _Run(Backtest(policy, champion, challenger), span.cuts, policy.horizon_ms)
    done = 0
    for stretch in run.backtest.run(_plain(events), span.until, run.stops):
        done += stretch.events
        run.look()
        watch(done, stretch.now)
    backtest = run.backtest
    return Evaluated(
        policy=policy,
        span=span,
        events=done,
        skipped=backtest.counts.snapshots_skipped,
        labels=backtest.labels(),
        drifts=backtest.learner.drifts,
        learner=backtest.learner,
        ids=backtest.table.ids,
        cuts=run.found,
    )


class _Run:
    """A backtest, and what is seen of it at each cut and a horizon later."""

    def __init__(self, backtest: Backtest, cuts: tuple[int, ...], horizon_ms: int) -> None:
        self.backtest = backtest
        self._cuts = cuts
        self._horizon = horizon_ms
        self.stops = [*cuts, *(cut + horizon_ms for cut in cuts)]
        self.found: dict[int, AtCut] = {}

    def look(self) -> None:
        """Look at the base when it is time to."""
        now = self.backtest.now
        if now in self._cuts:
            base = self.backtest.base()
            ids = self.backtest.table.ids
            self.found[now] = AtCut(base, [ids[row] for row in base.customer.tolist()], None)
        before = self.found.get(now - self._horizon)
        if before is not None:
            self.found[before.base.at] = replace(before, outcome=self.backtest.outcome(before.base))


def _plain(events: Iterable[Good]) -> Iterator[tuple[int, bytes]]:
    return ((event.at, event.value) for event in events)


def moment(at: int) -> str:
    """Return a time as people and programs write it."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z")
