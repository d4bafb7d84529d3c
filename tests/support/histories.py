"""Logs with everything in them: arrays, single events, repeats, garbage, models, time."""

from __future__ import annotations

from random import Random

from shared.domain.batch import Record
from shared.domain.policy import DAY_MS
from tests.unit.domain.histories import HOUR_MS, T0, activation, purchase, record, served, tick

MODELS = {version: served(version) for version in (1, 2)}


def owner(customer: str) -> int:
    """Tell the partition of a customer of these logs, which are all of partition 0."""
    return 1 if customer == "elsewhere" else 0


def history(random: Random, count: int = 60) -> list[Record]:
    """Return a log of partition 0, at whose end every label is known."""
    records, now = [], T0
    for offset in range(count):
        now += random.choice([0, 1, HOUR_MS, DAY_MS])
        records.append(_one_of_many(random, offset, now))
    end = now + 40 * DAY_MS
    return [*records, record(count, [tick(end)], end)]


def _one_of_many(random: Random, offset: int, now: int) -> Record:
    kind = random.randrange(8)
    if kind == 0:
        return Record(offset, now, b"garbage")
    if kind == 1:
        return record(offset, [activation(now, random.randrange(4))], now)
    if kind == 2:
        return record(offset, [purchase("elsewhere", now, name=f"x{offset}")], now)
    events = [
        purchase(f"c{random.randrange(9)}", now, 1.0 + n, name=f"e{random.randrange(offset + 9)}")
        for n in range(random.randrange(1, 9))
    ]
    return record(offset, events, now)
