"""What a partition's log must lead to: a plain fold of it, in one process and with no faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import numpy as np

from services.scorer.records import Entry
from shared.domain.batch import Record, read_batch
from shared.domain.customer import CustomerTable, describe
from shared.domain.emission import Misplaced
from shared.domain.outputs import Clock, DeadLetter, Example, Identity, Score, Training, Transition
from shared.domain.partition import Partition
from shared.domain.policy import Policy
from shared.domain.position import Position
from shared.domain.scoring import Served

Output = TypeVar("Output", Score, Transition, Example)


@dataclass
class Expected:
    """State and outputs of one partition.

    Attributes
    ----------
    states
        Changelog bytes by customer.

    """

    partition: Partition
    scores: list[Score] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    misplaced: list[Misplaced] = field(default_factory=list)

    @property
    def states(self) -> dict[bytes, bytes]:
        return states(self.partition.table)

    @property
    def position(self) -> Position:
        return self.partition.position


def fold(
    number: int,
    records: Iterable[Record],
    models: Mapping[int, Served] | None = None,
    *,
    owner: Callable[[str], int] | None = None,
    policy: Policy | None = None,
) -> Expected:
    """Fold a log record by record, which the scorer never does when there is more to do."""
    policy = policy or Policy()
    expected = Expected(Partition(number, owner or (lambda _: number), policy))
    for record in records:
        batch = read_batch(number, [record], policy.future_tolerance_ms)
        effects = expected.partition.apply(batch, models or {})
        for name in ("scores", "transitions", "examples", "letters", "misplaced"):
            getattr(expected, name).extend(getattr(effects, name))
    return expected


def states(table: CustomerTable) -> dict[bytes, bytes]:
    """Return all rows, to the last bit, with the profiles."""
    return dict(table.encode(np.arange(len(table))))


def assert_same_states(found: CustomerTable, expected: CustomerTable) -> None:
    """Compare bit for bit, and say in plain values what differs."""
    assert sorted(found.ids) == sorted(expected.ids)
    left, right = states(found), states(expected)
    for customer in found.ids:
        if left[customer.encode()] != right[customer.encode()]:
            assert _described(found, customer) == _described(expected, customer)
            raise AssertionError(f"{customer}: equal in values, but not in bits")


def _described(table: CustomerTable, customer: str) -> dict[str, Any]:
    row = table.find(customer)
    assert row is not None
    return describe(table, row)


def scores(values: Iterable[bytes]) -> list[Score]:
    """Decode what is on a topic of scores, clocks left out."""
    found = (msgspec.json.decode(value, type=Score | Clock) for value in values)
    return [one for one in found if isinstance(one, Score)]


def transitions(values: Iterable[bytes]) -> list[Transition]:
    return [msgspec.json.decode(value, type=Transition) for value in values]


def trainings(values: Iterable[bytes]) -> list[Training]:
    return [msgspec.json.decode(value, type=Training) for value in values]


def values(entries: Iterable[Entry]) -> list[bytes]:
    return [entry.value for entry in entries]


def by_identity(outputs: Sequence[Output]) -> dict[Identity, Output]:
    """Return outputs by their identity, each of which must be there once."""
    found = {one.origin: one for one in outputs}
    assert len(found) == len(outputs), "an output is there twice"
    return found


def assert_same_outputs(found: Sequence[Output], expected: Sequence[Output]) -> None:
    """Compare what left with what had to: none missing, none extra, none twice."""
    left, right = by_identity(found), by_identity(expected)
    assert not right.keys() - left.keys(), "missing"
    assert not left.keys() - right.keys(), "extra"
    different = [(left[key], right[key]) for key in left if left[key] != right[key]]
    assert not different
