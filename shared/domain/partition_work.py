"""A batch at work in a partition: what is still to be done, and what has come of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from shared.domain.batch import Batch, Events, Numbers
from shared.domain.customer import CustomerTable, Indices
from shared.domain.emission import Effects, Emission
from shared.domain.events import Event
from shared.domain.features import Millis
from shared.domain.telling import Mask


@dataclass
class Steps:
    """The steps that are still to be taken, one entry per customer.

    ``order[start:end]`` are the places of a customer's events within the run.
    """

    rows: Indices
    start: Numbers
    end: Numbers
    order: Numbers


@dataclass
class Run:
    """Some events in a row, between two changes of the model.

    Attributes
    ----------
    first
        Number of the first event within the batch.
    events, columns
        The n events, and the fold's view of them (n,).
    now
        (n,) the partition's time after each event.

    """

    first: int
    events: list[Event]
    columns: Events
    now: Millis


@dataclass
class Work:
    """What a batch is turned into.

    Attributes
    ----------
    now
        (n,) the partition's time after each event.
    at_once
        (n,) which events show in a score at once.
    marks
        (n,) at which of them those are told of that were left out.

    """

    batch: Batch
    effects: Effects
    now: Millis
    at_once: Mask
    marks: Mask
    emission: Emission = field(default_factory=Emission)
    changed: list[Indices] = field(default_factory=list)

    def number(self, partition: int) -> None:
        """Give the outputs their identities."""
        records = self.batch.records
        numbers = self.batch.record
        self.emission.number(partition, lambda n: records[numbers[n]].offset, self.effects)

    def flush(self, table: CustomerTable) -> None:
        """Note the states of the rows that changed, each once."""
        touched = np.unique(np.concatenate([np.empty(0, np.intp), *self.changed]))
        self.effects.states += table.encode(touched)
        self.changed.clear()
