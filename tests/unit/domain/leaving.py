"""Streams in which one thing alone decides who leaves, and what models learn from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from random import Random

import numpy as np
from numpy.typing import NDArray

from shared.domain.batch import Record, read_batch
from shared.domain.churn import ChurnModel
from shared.domain.outputs import Example
from shared.domain.partition import Partition
from shared.domain.policy import DAY_MS, Policy
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    Json,
    account,
    contact,
    rfc3339,
    tick,
    usage,
)
from tests.unit.domain.teaching import teach

POLICY = Policy(horizon_ms=28 * DAY_MS, cadence_days=7)
_DAYS = 330
_JOINING = 200  # days within which customers join
_BASE = 0.0025  # chance of leaving on a day without a cause

#: A day of a customer: what happens on it, and by how much the chance of leaving is multiplied.
Cause = Callable[[Random, str, int], Iterator[tuple[list[Json], float]]]


def day(number: int) -> int:
    return T0 + number * DAY_MS


def failed_payments(random: Random, who: str, joined: int) -> Iterator[tuple[list[Json], float]]:
    owed = 0
    for n in range(joined, _DAYS):
        events = []
        if random.random() < 1 / 60:
            owed += 1
            events = [account(who, day(n), "payment_failed")]
        elif owed and random.random() < 1 / 40:
            owed = 0
            events = [account(who, day(n), "settled")]
        yield events, 1.0 + 9.0 * owed


def overdue_bills(random: Random, who: str, joined: int) -> Iterator[tuple[list[Json], float]]:
    for (events, factor), n in zip(
        failed_payments(random, who, joined), count(joined), strict=False
    ):
        late = [one["data"]["status"] == "payment_failed" for one in events]
        yield [account(who, day(n), "overdue")] if any(late) else events, factor


def notices(random: Random, who: str, joined: int) -> Iterator[tuple[list[Json], float]]:
    """Who gives notice leaves when the contract ends."""
    ends = -1
    for n in range(joined, _DAYS):
        events = []
        if ends < 0 and random.random() < 1 / 100:
            ends = n + random.randrange(3, 40)
            events = [account(who, day(n), "notice_given", contract_end=rfc3339(day(ends)))]
        yield events, 1e9 if n == ends else 1.0


def contracts(random: Random, who: str, joined: int) -> Iterator[tuple[list[Json], float]]:
    """Of every second contract the end is an end; the others are renewed."""
    ends = joined + random.randrange(1, 90)
    yield [account(who, day(joined), "opened", contract_end=rfc3339(day(ends)))], 0.0
    for n in range(joined + 1, _DAYS):
        events, factor = [], 0.3
        if n == ends and random.random() < 0.5:
            factor = 1e9
        elif n == ends:
            ends += 90
            events = [account(who, day(n), "renewed", contract_end=rfc3339(day(ends)))]
        yield events, factor


def complaints(random: Random, who: str, joined: int) -> Iterator[tuple[list[Json], float]]:
    last = -99
    for n in range(joined, _DAYS):
        events = []
        if random.random() < 1 / 90:
            last = n
            events = [contact(who, day(n), outcome="complained")]
        yield events, 12.0**0.5 ** ((n - last) / 30)


def ratings(random: Random, who: str, joined: int) -> Iterator[tuple[list[Json], float]]:
    rating = random.choice([1, 3, 8, 9, 10])
    yield [contact(who, day(joined), outcome="rated", score=rating)], 0.0
    yield from (([], 8.0 if rating < 7 else 1.0) for _ in range(joined + 1, _DAYS))


def limits(random: Random, who: str, joined: int) -> Iterator[tuple[list[Json], float]]:
    """Who uses nearly all of the plan, or next to nothing of it, leaves."""
    limit = random.choice([6.0, 20.0, 200.0])  # some nine units of use a month
    yield [account(who, day(joined), "opened", plan_limit=limit)], 0.0
    yield from (([], 1.0 if limit == 20.0 else 8.0) for _ in range(joined + 1, _DAYS))


def stream(cause: Cause, customers: int, seed: int) -> list[list[Json]]:
    """Return the events of each day: use about every third, and who leaves closes the account."""
    random, days = Random(seed), [list[Json]() for _ in range(_DAYS)]
    for number in range(customers):
        who = f"{cause.__name__}-{number}"
        joined = random.randrange(_JOINING)
        for n, (events, factor) in enumerate(cause(random, who, joined), joined):
            if random.random() < _BASE * factor:
                days[n].append(account(who, day(n) + 20 * HOUR_MS, "closed"))
                break
            days[n] += events
            if random.random() < 0.3:
                days[n].append(usage(who, day(n) + random.randrange(20 * HOUR_MS)))
    return days


def examples(days: list[list[Json]]) -> list[Example]:
    """Return what a partition makes of the days."""
    target = Partition(0, lambda _: 0, POLICY, rehearsal=True)
    found: list[Example] = []
    for n, events in enumerate(days):
        end = day(n + 1)
        ordered = sorted(events, key=lambda one: str(one["time"]))
        record = Record(n, end, json.dumps([*ordered, tick(end)]).encode())
        found += target.apply(read_batch(0, [record], POLICY.future_tolerance_ms), {}).examples
    return found


def learned(known: list[Example], *, until: int, columns: int | None = None) -> ChurnModel:
    """Return a model of the labels known by a time, of features up to a column."""
    some = [one for one in known if one.learned and one.labelled_at <= until]
    silent, closed = [one.silent for one in some], [one.closed for one in some]
    return teach(ChurnModel(POLICY.horizon_days), features(some)[:, :columns], silent, closed)


def features(known: list[Example]) -> NDArray[np.float64]:
    return np.array([one.features for one in known])
