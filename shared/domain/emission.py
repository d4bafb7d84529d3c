"""What a batch emits, collected in any order and numbered in one that every replay agrees on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.domain.customer import PENDING, Indices, Rows
from shared.domain.erasure import Erased
from shared.domain.features import Millis
from shared.domain.outputs import Cause, Clock, DeadLetter, Example, Identity, Score, Transition

Output = Score | Transition | Example
#: Makes an output, once its place in the order has given it its identity.
Make = Callable[[Identity], Output]

# What an event leads to, in this order: the reviews that fell due before it; its own effect; for
# a change of model every score as it is under the former model, and then under the new one.
REVIEW, EVENT, SETTLE, MODEL = range(4)
CAUSES: Final[tuple[Cause, ...]] = ("review", "event", "review", "model")
# What one step of one customer emits, in this order: examples (of horizons, then of steps), a
# transition, a score.
TRANSITION, SCORE = 2 * PENDING, 2 * PENDING + 1

#: Where in a batch something was emitted: number of the event that caused it, phase, the
#: partition's time, hash of the customer, and order within the customer's step.
Place = tuple[int, int, int, int, int]


class Misplaced(NamedTuple):
    """An event whose customer belongs to another partition: to where, as it came, from where."""

    partition: int
    value: bytes
    origin: Identity


@dataclass
class Effects:
    """What a batch changes outside the partition's memory; all of it becomes durable at once.

    Attributes
    ----------
    states
        Changelog records (key, value), in order; without a value for who was erased.
    erasures, forgotten
        Who is erased from here on; whose ids leave the compacted topics.
    misplaced
        Events whose customers belong to other partitions.
    refused_models
        Versions that were to be activated and are not to be had.
    example_of
        Hash of each example's customer. It stays in the process: examples carry no identity.
    traces
        The trace of each score that belongs to one, for its header.

    """

    states: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    erasures: list[Erased] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    misplaced: list[Misplaced] = field(default_factory=list)
    refused_models: list[int] = field(default_factory=list)
    clock: Clock | None = None
    example_of: list[int] = field(default_factory=list)
    traces: dict[Identity, str] = field(default_factory=dict)

    def forget(self, customers: Iterable[str]) -> None:
        """Take customers out of the compacted topics."""
        self.forgotten += customers
        self.states += ((customer.encode(), None) for customer in customers)


class Emission:
    """Collects outputs with their place, then numbers and sorts them into `Effects`."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Place, Make]] = []

    def add(self, places: Iterable[Place], makes: Iterable[Make]) -> None:
        """Add outputs, each at its place."""
        self._waiting += zip(places, makes, strict=True)

    def number(self, partition: int, offset_of: Callable[[int], int], effects: Effects) -> None:
        """Make all outputs in order; ``offset_of`` tells the record's offset of an event."""
        targets: dict[type, Callable[..., None]] = {
            Score: effects.scores.append,
            Transition: effects.transitions.append,
            Example: effects.examples.append,
        }
        record, ordinal = -1, 0
        for place, make in sorted(self._waiting, key=itemgetter(0)):
            offset = offset_of(place[0])
            ordinal = ordinal + 1 if offset == record else 0
            record = offset
            output = make(Identity(partition, offset, ordinal))
            targets[type(output)](output)
            if isinstance(output, Example):
                effects.example_of.append(place[3])


@dataclass
class Step:
    """Customers that take one step together.

    Attributes
    ----------
    indices
        (n,) their rows in the table.
    rows
        (n,) copies of those, changed in place.
    now
        (n,) the partition's time.
    events
        (n,) number, within the batch, of the event that caused the step.
    phase
        `REVIEW`, `EVENT`, `SETTLE` or `MODEL`.

    """

    indices: Indices
    rows: Rows
    now: Millis
    events: NDArray[np.int64]
    phase: int
    emission: Emission

    @property
    def cause(self) -> Cause:
        """Why scores change in this step."""
        return CAUSES[self.phase]

    def emit(self, order: int, which: Indices, makes: Iterable[Make]) -> None:
        """Emit an output for some of the customers, ``which`` (m,) of the n."""
        places = zip(
            self.events[which].tolist(),
            repeat(self.phase),
            self.now[which].tolist(),
            self.rows["hash"][which].tolist(),
            repeat(order),
            strict=False,
        )
        self.emission.add(places, makes)
