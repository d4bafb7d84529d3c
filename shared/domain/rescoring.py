"""What changes how all customers are seen: another model, other thresholds, other boundaries.

Beside events of one customer there are events that everybody is scored anew after, and marks at
which the scores are told that were held back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from shared.domain import segments
from shared.domain.customer import CustomerTable, Indices
from shared.domain.emission import MODEL, SETTLE, Step
from shared.domain.events import (
    BoundariesSet,
    Event,
    ModelActivated,
    ModelPinned,
    ThresholdsSet,
)
from shared.domain.partition_work import Work
from shared.domain.position import Position, Serving
from shared.domain.rfm import Boundaries
from shared.domain.scoring import Scoring, Served, cold_model
from shared.domain.telling import Mask
from shared.domain.thresholds import LifecycleThresholds

#: The events that concern everybody.
FOR_ALL: Final = frozenset({ModelActivated, ModelPinned, ThresholdsSet, BoundariesSet})
#: Customers that are scored at once when the model changes: bounds the memory it takes.
_CHUNK: Final = 65_536


class Rescoring:
    """Scores the customers of a table beyond what happens to each.

    Parameters
    ----------
    table, scoring
        The customers, and what they are scored by; its model, policy and boundaries change here.
    position
        What was restored.

    Attributes
    ----------
    serving
        Which model is to be served.
    sweeping
        Whether some customers may still be in the segment of former boundaries.

    """

    def __init__(self, table: CustomerTable, scoring: Scoring, position: Position) -> None:
        self._table = table
        self._scoring = scoring
        scoring.boundaries = position.boundaries
        self.serving = position.serving
        self.sweeping = position.sweeping
        self._find_markets()

    def take(self, event: Event, models: Mapping[int, Served], number: int, work: Work) -> None:
        """Take the event of this number of the work in; one that is not `FOR_ALL` changes nothing.

        A model that is not among ``models`` is refused, and the one in use goes on.
        """
        if isinstance(event, ModelActivated):
            self._serve(self.serving.activated(event.data.version), models, number, work)
        elif isinstance(event, ModelPinned):
            self._serve(self.serving.told(event.data), models, number, work)
        elif isinstance(event, ThresholdsSet):
            self._set_thresholds(event.data)
        elif isinstance(event, BoundariesSet):
            self._set_boundaries(event.data, number, work)

    def settle(self, number: int, work: Work) -> None:
        """Emit what was held back: the scores of those to whom something happened since theirs."""
        untold = np.flatnonzero(self._table.rows["untold"][: len(self._table)])
        for indices in _chunks(untold):
            self._rescore(indices, np.ones(len(indices), np.bool_), SETTLE, number, work)
        self._sweep(number, work)

    def _serve(
        self, serving: Serving, models: Mapping[int, Served], number: int, work: Work
    ) -> None:
        """Serve another model: first bring every score up to date under the former one.

        What moves then is moved by the model alone and is emitted with that cause, so that no
        reader takes it for something that the customer did.
        """
        version, former = serving.version, self._scoring.model
        model = former if version == former.version else self._found(version, models)
        if model is None:
            work.effects.refused_models.append(version)
            return
        self.serving = serving
        if model is former:
            return
        everybody = np.arange(len(self._table)) if self._scoring.is_read else np.empty(0, np.intp)
        for indices in _chunks(everybody):
            self._rescore(indices, None, SETTLE, number, work)
        self._scoring.model = model
        for indices in _chunks(everybody):
            self._rescore(indices, None, MODEL, number, work)

    def _found(self, version: int, models: Mapping[int, Served]) -> Served | None:
        return models.get(version) if version else cold_model(self._scoring.policy.horizon_days)

    def _set_thresholds(self, told: LifecycleThresholds) -> None:
        """Let other thresholds hold from the next step of each customer on, within a day."""
        policy = self._scoring.policy
        if told.version <= policy.thresholds.version:
            return
        thresholds = LifecycleThresholds(told.version, told.default, told.markets)
        self._scoring.policy = replace(policy, thresholds=thresholds)
        self._find_markets()

    def _find_markets(self) -> None:
        """Tell in each row whose thresholds hold; what a restore brings back may be older."""
        code = self._scoring.policy.thresholds.code
        for index, profile in self._table.profiles.items():
            self._table.rows["market"][index] = code(profile.market)

    def _set_boundaries(self, told: Boundaries, number: int, work: Work) -> None:
        """Let other quintiles hold; who is in another segment by them is told of bit by bit."""
        if told.version <= self._scoring.boundaries.version:
            return
        self._scoring.boundaries = told
        self.sweeping = self._scoring.is_read
        self._sweep(number, work)

    def _sweep(self, number: int, work: Work) -> None:
        """Emit the scores of some who are in another segment since boundaries changed."""
        if not self.sweeping:
            return
        now, boundaries = int(work.now[number]), self._scoring.boundaries
        indices, self.sweeping = segments.moved(self._table, now, boundaries)
        self._rescore(indices, None, SETTLE, number, work)

    def _rescore(
        self, indices: Indices, told: Mask | None, phase: int, number: int, work: Work
    ) -> None:
        now, events = np.full(len(indices), work.now[number]), np.full(len(indices), number)
        rows = self._table.rows[indices]
        step = Step(indices, rows, now, events, phase, work.emission)
        sent = self._scoring.rescore(step, told)
        self._table.rows[indices[sent]] = rows[sent]
        work.changed.append(indices[sent])


def _chunks(indices: Indices) -> Iterator[Indices]:
    for first in range(0, len(indices), _CHUNK):
        yield indices[first : first + _CHUNK]
