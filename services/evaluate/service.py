"""Drives a history through the scorer's own code, and keeps what was said and what came true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.adapters.event_files import Good
from shared.domain.backtest import Backtest
from shared.domain.drift import Drift
from shared.domain.errors import TenureError
from shared.domain.forecasts import Base, Labels, Outcome
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
    cut
        When the whole base is scored; None for never.

    """

    first: int
    last: int
    until: int
    cut: int | None = None

    @classmethod
    def of(cls, first: int, last: int, *, until: int | None, cut: int | None) -> Span:
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
        if cut is not None and cut < first:
            raise EvaluationError(
                f"--cut {moment(cut)} is before the first event ({moment(first)}): "
                "nobody is known then. Choose a later time"
            )
        if cut is not None and cut > end:
            name = "the last event" if until is None else "--until"
            raise EvaluationError(
                f"--cut {moment(cut)} is after {name} ({moment(min(last, end))}): "
                "nothing is recorded there. Choose an earlier time, "
                "or say with --until up to when the record is complete"
            )
        return cls(first, last, end, cut)


@dataclass(frozen=True)
class AtCut:
    """The base at the cut, who they are, and what became of them; None when it is not known."""

    base: Base
    customers: list[str]
    outcome: Outcome | None


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

    """

    policy: Policy
    span: Span
    events: int
    customers: int
    skipped: int
    labels: Labels
    drifts: list[Drift]
    learner: Learner
    cut: AtCut | None


def evaluate(
    events: Iterable[Good],
    policy: Policy,
    span: Span,
    watch: Callable[[int, int], None] = lambda _events, _now: None,
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

    """
    run = _Run(Backtest(policy), span, policy.horizon_ms)
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
        customers=len(backtest.table),
        skipped=backtest.counts.snapshots_skipped,
        labels=backtest.labels(),
        drifts=backtest.learner.drifts,
        learner=backtest.learner,
        cut=run.found,
    )


class _Run:
    """A backtest, and what is seen of it at the cut and a horizon later."""

    def __init__(self, backtest: Backtest, span: Span, horizon_ms: int) -> None:
        self.backtest = backtest
        self._cut = span.cut
        self._known_at = None if span.cut is None else span.cut + horizon_ms
        self.stops = [each for each in (self._cut, self._known_at) if each is not None]
        self.found: AtCut | None = None

    def look(self) -> None:
        """Look at the base when it is time to."""
        now = self.backtest.now
        if now == self._cut:
            base = self.backtest.base()
            ids = self.backtest.table.ids
            self.found = AtCut(base, [ids[row] for row in base.customer.tolist()], None)
        if now == self._known_at and self.found is not None:
            outcome = self.backtest.outcome(self.found.base)
            self.found = AtCut(self.found.base, self.found.customers, outcome)


def _plain(events: Iterable[Good]) -> Iterator[tuple[int, bytes]]:
    return ((event.at, event.value) for event in events)


def moment(at: int) -> str:
    """Return a time as people and programs write it."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z")
