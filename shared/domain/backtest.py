"""A history driven through the scorer's own code: what it would have predicted, and when.

One partition and one learner, in process. Time passes in stretches that end at each midnight (UTC)
and wherever the caller wants to stop. After a stretch the learner takes the labels that became
known in it, and its newest model takes effect at the beginning of the next one, by the control
event that the trainer would have written. So no prediction knows anything of what came after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.domain import ledger, lifecycle
from shared.domain.batch import Batch, Record, read_batch
from shared.domain.configuration import CHALLENGER, CHAMPION, Configuration
from shared.domain.customer import CustomerTable, Indices
from shared.domain.emission import Effects
from shared.domain.event_data import ModelData
from shared.domain.events import Account, ModelActivated, Tick
from shared.domain.features import MICROS, feature_matrix
from shared.domain.forecasts import Base, Labels, Outcome
from shared.domain.learner import Learner
from shared.domain.measured import Measured
from shared.domain.outputs import Training, Watermark
from shared.domain.partition import Partition
from shared.domain.policy import DAY_MS, Policy
from shared.domain.position import Counts
from shared.domain.scoring import Served, foretell, visits_to_come, worth

_PARTITION: Final = 0
_SOURCE: Final = "tenure/backtest"
_encode = msgspec.json.Encoder().encode


class Stretch(NamedTuple):
    """Some history that was taken in.

    Attributes
    ----------
    now
        The time at its end.
    events
        How many events it had.
    batch
        Those decoded, a tick and perhaps a change of model among them.

    """

    now: int
    events: int
    batch: Batch


class Backtest:
    """Drives a partition and its learner through a history.

    Parameters
    ----------
    policy
        Horizons, cadences and thresholds.
    champion, challenger
        How each learns at first.

    Attributes
    ----------
    learner
        The learner, whose model may be a stretch ahead of the one that is served.

    Examples
    --------
    ``for stretch in backtest.run(events, until): ...``, then ``backtest.labels()``.

    """

    def __init__(
        self,
        policy: Policy,
        champion: Configuration = CHAMPION,
        challenger: Configuration = CHALLENGER,
    ) -> None:
        self.learner = Learner(policy.horizon_days, champion, challenger)
        self._policy = policy
        self._partition = Partition(_PARTITION, lambda _: _PARTITION, policy, rehearsal=True)
        self._next: Served | None = None
        self._activation: bytes | None = None
        self._measured = Measured(self._partition.model.scorer)
        self._closings: dict[str, list[int]] = {}

    @property
    def table(self) -> CustomerTable:
        """All customers so far."""
        return self._partition.table

    @property
    def counts(self) -> Counts:
        """What became of the events so far, ticks and control events among them."""
        return self._partition.counts

    @property
    def now(self) -> int:
        """The time up to which history was taken in."""
        return self._partition.now

    @property
    def served(self) -> Served:
        """The model in use from now on."""
        return self._next or self._partition.model

    def run(
        self, events: Iterable[tuple[int, bytes]], until: int, stops: Iterable[int] = ()
    ) -> Iterator[Stretch]:
        """Take in a history, stretch by stretch.

        Parameters
        ----------
        events
            Time in epoch milliseconds, and the event in JSON; in the order of time.
        until
            Where to end; later events are left out.
        stops
            Times at which a stretch has to end.

        """
        coming = iter(events)
        ahead = next(coming, None)
        if ahead is None:
            return
        for end in _ends(ahead[0], until, stops):
            values: list[bytes] = []
            while ahead is not None and ahead[0] <= end:
                values.append(ahead[1])
                ahead = next(coming, None)
            yield Stretch(end, len(values), self._advance(end, values))

    def _advance(self, end: int, values: list[bytes]) -> Batch:
        batch = read_batch(_PARTITION, self._records(end, values), self._policy.future_tolerance_ms)
        models = {self._next.version: self._next} if self._next else {}
        effects = self._partition.apply(batch, models)
        self._next = self._activation = None
        self._note_closings(batch)
        self._measured.add(effects)
        self._learn(effects)
        return batch

    def _records(self, end: int, values: list[bytes]) -> list[Record]:
        found = [self._activation] if self._activation else []
        if values:
            found.append(b"[" + b",".join(values) + b"]")
        found.append(_tick(end))
        return [
            Record(offset, end, value)
            for offset, value in enumerate(found, start=self._partition.offset)
        ]

    def _note_closings(self, batch: Batch) -> None:
        for event, at in zip(batch.events, batch.at.tolist(), strict=True):
            if isinstance(event, Account) and event.data.status == "closed":
                self._closings.setdefault(event.subject, []).append(at)

    def _learn(self, effects: Effects) -> None:
        """Learn, and put up the newest model for the next stretch.

        The trainer publishes each in turn; before the next event only the last one counts.
        """
        training = Training(Watermark(_PARTITION, self.now), effects.examples)
        for at in self.learner.learn(self._partition.offset, training):
            self._next = self.learner.served()
            self._measured.serve(self._next)
            self._activation = _activate(self._next.version, at)

    def labels(self) -> Labels:
        """Return what became known so far."""
        return self._measured.labels(self.table)

    def base(self) -> Base:
        """Score every customer that is not closed, as of now."""
        indices = np.flatnonzero(self.table.rows["closed"][: len(self.table)] == lifecycle.OPEN)
        rows, scorer = self.table.rows[indices], self.served.scorer
        features = feature_matrix(rows, self.now)
        said = foretell(scorer, features, scorer.predict(features), rows)
        return Base(
            at=self.now,
            customer=indices,
            forecast=said,
            heuristic=scorer.heuristic(features),
            recent=self.now - rows["last_at"] <= 2 * self._policy.horizon_ms,
            features=features,
            spend=rows["spend"] / MICROS,
            value=worth(said, rows, self._policy),
            visits=rows["visits"].astype(np.float64),
            expected_visits=visits_to_come(scorer, features, said.silent, rows),
        )

    def outcome(self, base: Base) -> Outcome:
        """Tell what a base did since; to be asked when exactly a horizon has passed."""
        rows = self.table.rows[base.customer]
        closed = self._closed(base.customer, base.at)
        return Outcome(
            silent=rows["last_at"] <= base.at,
            closed=closed != lifecycle.OPEN,
            involuntary=closed == lifecycle.CLOSED_INVOLUNTARY,
            spend=rows["spend"] / MICROS - base.spend,
            visits=rows["visits"] - base.visits,
        )

    def _closed(self, customer: Indices, start: int) -> NDArray[np.uint8]:
        """Return how (n,) a customer's account was closed first within a horizon after a time."""
        end = start + self._policy.horizon_ms
        found = np.full(len(customer), lifecycle.OPEN, np.uint8)
        for n, index in enumerate(customer.tolist()):
            closings = self._closings.get(self.table.ids[index], ())
            at = min((one for one in closings if start < one <= end), default=None)
            kept = self.table.ledger(index)
            if at is not None and kept is not None:
                found[n] = ledger.way_out(kept, at)
        return found


def _ends(first: int, until: int, stops: Iterable[int]) -> list[int]:
    """Return where stretches end: at each midnight from ``first`` on, at stops, and at last."""
    midnights = range(-(-first // DAY_MS) * DAY_MS, until + 1, DAY_MS)
    inner = {*midnights, *(stop for stop in stops if first <= stop <= until)}
    return sorted(inner | {until}) if first <= until else []


def _tick(at: int) -> bytes:
    return _encode(Tick(specversion="1.0", id=str(at), source=_SOURCE, time=_moment(at)))


def _activate(version: int, at: int) -> bytes:
    return _encode(
        ModelActivated(
            specversion="1.0",
            id=f"churn/{version}",
            source=_SOURCE,
            time=_moment(at),
            data=ModelData(model="churn", version=version),
        )
    )


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
