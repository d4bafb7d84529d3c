"""What a batch emits, collected in any order and numbered in one that every replay agrees on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.domain.outputs import Clock, DeadLetter, Example, Identity, Score, Transition

Output = Score | Transition | Example


class Place(NamedTuple):
    """Where in a batch something was emitted; sorts into the order of emission.

    Attributes
    ----------
    event
        Number of the event, within the batch, that caused it.
    phase
        0 for reviews that fell due before the event, 1 for the event, 2 for a change of model.
    at
        The partition's time.
    customer
        Hash of the customer.
    step
        Order among what one customer's one step emits.

    """

    event: int
    phase: int
    at: int
    customer: int
    step: int


@dataclass
class Effects:
    """What a batch changes outside the partition's memory; all of it becomes durable at once.

    Attributes
    ----------
    states
        Changelog records (key, value).
    misplaced
        Events whose customers belong to other partitions: (partition, original bytes).
    refused_models
        Versions that were to be activated and are not to be had.

    """

    states: list[tuple[bytes, bytes]] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    misplaced: list[tuple[int, bytes]] = field(default_factory=list)
    refused_models: list[int] = field(default_factory=list)
    clock: Clock | None = None


class Emission:
    """Collects outputs with their place, then numbers and sorts them into `Effects`."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Place, Callable[[Identity], Output]]] = []

    def add(self, place: Place, make: Callable[[Identity], Output]) -> None:
        """Add an output; ``make`` gets the identity that its place turns out to have."""
        self._waiting.append((place, make))

    def number(self, partition: int, offset_of: Callable[[int], int], effects: Effects) -> None:
        """Make all outputs in order; ``offset_of`` tells the record of an event."""
        targets = {
            Score: effects.scores.append,
            Transition: effects.transitions.append,
            Example: effects.examples.append,
        }
        record, ordinal = -1, 0
        for place, make in sorted(self._waiting, key=lambda one: one[0]):
            offset = offset_of(place.event)
            ordinal = ordinal + 1 if offset == record else 0
            record = offset
            output = make(Identity(partition, offset, ordinal))
            targets[type(output)](output)  # type: ignore[operator]  # each appends its own type
