"""Drives data sets through the scorer's own code, under each configuration; one process a core."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import NamedTuple

from msgspec import Struct

from services.evaluate import asked
from services.evaluate.anchors import Anchors, check_batch_models
from services.evaluate.bench.choice import left_out
from services.evaluate.bench.findings import OURS, Bench, Beside, Measured, Row, Said, Times
from services.evaluate.bench.promises import promises
from services.evaluate.bench.rows import DEPLOYED, Rows
from services.evaluate.bench.sets import DataSet, Measure, Run
from services.evaluate.history import read_history
from services.evaluate.report import Figures, Target, build_report
from services.evaluate.service import Evaluated, EvaluationError, Span, evaluate
from shared.adapters.event_files import Good
from shared.adapters.event_spool import EventSpool
from shared.domain.configuration import Configuration
from shared.domain.errors import TenureError
from shared.domain.policy import Policy

Demo = Callable[[], list[Good]]
Show = Callable[[int, int], None]


class Source(NamedTuple):
    """Where events come from: the folder of data, and what makes those of the demo.

    ``demo`` is a function of a module, so that other processes find it.
    """

    folder: Path
    demo: Demo


class Task(NamedTuple):
    """One backtest."""

    source: Source
    data_set: DataSet
    run: Run
    policy: Policy
    row: str
    configuration: Configuration

    @property
    def deployed(self) -> bool:
        """Whether it is the configuration that is deployed; other models stand beside that."""
        return self.row == DEPLOYED


class Backtested(Struct, frozen=True):
    """What came of one: each measure, and the seconds that it and the models beside it took."""

    said: list[Said]
    events: int
    customers: int
    seconds: float
    anchors: float


#: By the run's name and the configuration's.
Found = dict[tuple[str, str], Backtested]


def bench(
    sets: Iterable[DataSet],
    source: Source,
    policy: Policy,
    rows: Rows,
    *,
    command: str,
    show: Show = lambda _done, _all: None,
) -> Bench:
    """Measure every set under every configuration.

    Parameters
    ----------
    policy
        All but horizon and cadence.
    rows
        By name; `DEPLOYED` is one of them.
    command
        What is said to have made it.
    show
        Told after each backtest: how many are done, and of how many.

    Raises
    ------
    TenureError
        A set cannot be measured; the message says which, and why.

    """
    began = perf_counter()
    check_batch_models()
    tasks = _tasks(tuple(sets), source, policy, rows)
    found: Found = {}
    show(0, len(tasks))
    processes = min(os.cpu_count() or 1, len(tasks))
    # Spawned: LightGBM's threads, and those of the bar, would be lacking in a forked process.
    # Ctrl-C ends them at once; by themselves they would end with what is waiting for them.
    with ProcessPoolExecutor(
        processes, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_DFL)
    ) as pool:
        for task, backtested in zip(tasks, pool.map(backtest, tasks), strict=True):
            found[task.data_set.label(task.run), task.row] = backtested
            show(len(found), len(tasks))
    deployed = [each for each in tasks if each.deployed]
    measures = [each for task in deployed for each in _measured(task, rows, found)]
    return Bench(
        command=command,
        champion=str(rows[DEPLOYED]),
        measures=measures,
        promises=promises(measures),
        left_out=left_out(measures),
        times=[_times(task, rows, found) for task in deployed],
        seconds=perf_counter() - began,
        processes=processes,
    )


def backtest(task: Task) -> Backtested:
    """Run one backtest.

    Raises
    ------
    EvaluationError
        It cannot be run; the message says which it is.

    """
    try:
        return _backtest(task)
    except TenureError as error:
        raise EvaluationError(f"{task.data_set.label(task.run)}: {error}") from error


def _backtest(task: Task) -> Backtested:
    events = _events(task.source, task.data_set)
    began = perf_counter()
    span = Span.of(events[0].at, events[-1].at, until=None, cuts=task.run.cuts)
    # Both learn alike, so nothing is ever promoted, and all is said by the one configuration.
    one = task.configuration
    found = evaluate(events, task.policy, span, champion=one, challenger=one)
    learned = perf_counter()
    beside = Anchors(found.labels, task.policy.horizon_days, batch=task.deployed)
    said = [_said(found, beside, each) for each in task.run.measures]
    seconds, anchors = learned - began, perf_counter() - learned
    return Backtested(said, found.events, len(found.ids), seconds, anchors)


@cache
def _events(source: Source, data_set: DataSet) -> list[Good]:
    """Return a history in the order of time; read once by each process."""
    if data_set.file is None:
        return source.demo()
    with EventSpool() as spool:
        read_history(source.folder / data_set.file, data_set.mapping, spool)
        return list(spool.in_order())


def _said(found: Evaluated, beside: Anchors, measure: Measure) -> Said:
    report = build_report(found, beside, 0.0, measure.cut_ms, asked.pattern(measure.customers))
    return Said(_beside(report.prequential), _beside(report.cut), _beside(report.cut_closed))


def _beside(target: Target | None) -> Beside:
    return {} if target is None else {OURS: _plain(target), **target.anchors}


def _plain(target: Target) -> Figures:
    return Figures(**{name: getattr(target, name) for name in Figures.__struct_fields__})


def _tasks(sets: tuple[DataSet, ...], source: Source, policy: Policy, rows: Rows) -> list[Task]:
    """Return all backtests, the longest first, so that what is wrong shows soon."""
    _check_files(sets, source.folder)
    found = [
        Task(source, each, run, _policy(policy, run), name, configuration)
        for each in sets
        for run in each.runs
        for name, configuration in rows.items()
    ]
    return sorted(found, key=lambda task: not task.deployed)


def _check_files(sets: tuple[DataSet, ...], folder: Path) -> None:
    files = [folder / each.file for each in sets if each.file is not None]
    missing = [str(each) for each in files if not each.is_file()]
    if missing:
        raise EvaluationError(
            f"there is no file {', '.join(missing)}. Say with --data where the data is"
        )


def _policy(policy: Policy, run: Run) -> Policy:
    return replace(policy, horizon_ms=run.horizon_ms, cadence_days=run.cadence_days)


def _measured(task: Task, rows: Rows, found: Found) -> Iterator[Measured]:
    """Return the measures of a backtest, with what each configuration reaches."""
    of_run = {name: found[task.data_set.label(task.run), name] for name in rows}
    for number, measure in enumerate(task.run.measures):
        said = of_run[DEPLOYED].said[number]
        yield Measured(
            name=task.data_set.label(task.run, measure),
            data_set=task.data_set.name,
            customers=measure.customers,
            cut=measure.cut,
            horizon_days=round(task.policy.horizon_days),
            cadence_days=task.policy.cadence_days,
            on_plans="lightgbm_plan" in said.prequential,
            said=said,
            rows={name: _row(each.said[number]) for name, each in of_run.items()},
        )


def _row(said: Said) -> Row:
    return Row(said.prequential[OURS], said.at_cut.get(OURS))


def _times(task: Task, rows: Rows, found: Found) -> Times:
    run = task.data_set.label(task.run)
    deployed = found[run, DEPLOYED]
    others = [found[run, name].seconds for name in rows if name != DEPLOYED]
    return Times(
        run=run,
        events=deployed.events,
        customers=deployed.customers,
        deployed=deployed.seconds,
        anchors=deployed.anchors,
        others=fmean(others) if others else None,
    )
