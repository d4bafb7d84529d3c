"""Events, records and partitions in few words, and what a run of them led to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.batch import Record, read_batch
from shared.domain.calendars import Cells, Plans
from shared.domain.churn_scorer import Scorer
from shared.domain.closing import Closure
from shared.domain.customer import CustomerTable
from shared.domain.dealings import Dealings
from shared.domain.emission import Effects, Misplaced
from shared.domain.erasure import Erased
from shared.domain.hazard import INPUTS, PRIOR, Steps
from shared.domain.ledger import told
from shared.domain.logistic import Linear
from shared.domain.outputs import DeadLetter, Example, Score, Transition
from shared.domain.partition import Counts, Partition, Position, Served
from shared.domain.policy import DAY_MS, MINUTE_MS, Policy

HOUR_MS = 60 * MINUTE_MS
T0 = 20_000 * DAY_MS  # a midnight in UTC
POLICY = Policy()

Json = dict[str, Any]
_fresh = count()


def rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")


def event(kind: str, at: int, customer: str | None, data: Json, name: str | None = None) -> Json:
    found = {
        "specversion": "1.0",
        "id": name or f"event-{next(_fresh)}",
        "source": "tests",
        "type": f"tenure.{kind}",
        "time": rfc3339(at),
        "data": data,
    }
    return found if customer is None else {**found, "subject": customer}


def purchase(
    customer: str, at: int, amount: float = 10.0, name: str | None = None, **data: object
) -> Json:
    return event("purchase", at, customer, {"amount": amount, **data}, name)


def usage(customer: str, at: int, name: str | None = None, **data: object) -> Json:
    return event("usage", at, customer, {"service": "voice", **data}, name)


def account(customer: str, at: int, status: str, name: str | None = None, **data: object) -> Json:
    return event("account", at, customer, {"status": status, **data}, name)


def contact(customer: str, at: int, name: str | None = None, **data: object) -> Json:
    return event("contact", at, customer, {"channel": "sms", "outcome": "sent", **data}, name)


def cost(
    customer: str, at: int, amount: float, name: str | None = None, kind: str = "service"
) -> Json:
    return event("cost", at, customer, {"kind": kind, "amount": amount}, name)


def erasure(customer: str, at: int = T0) -> Json:
    return event("erasure", at, None, {"customer": customer, "at": at})


def tick(at: int) -> Json:
    return event("tick", at, None, {})


def activation(at: int, version: int) -> Json:
    return event("model", at, None, {"model": "churn", "version": version})


def thresholds(at: int, version: int, **markets: Json) -> Json:
    """Return a control event: built-in thresholds, and for some markets others."""
    data = {"by": "tests", "version": version, "markets": markets}
    return event("thresholds", at, None, data)


def boundaries(at: int, version: int, **data: object) -> Json:
    """Return a control event: quintiles of a base in which a visit and a coin are a quintile."""
    found = {
        "version": version,
        "customers": 25,
        "silence_days": [4.0, 3.0, 2.0, 1.0],
        "visits": [1.0, 2.0, 3.0, 4.0],
        "spend": [10.0, 20.0, 30.0, 40.0],
        "clv": [1.0, 2.0, 3.0, 4.0],
        "services": {"voice": 1.0},
    }
    return event("boundaries", at, None, {**found, **data})


def pin(at: int, said_at: int, version: int | None) -> Json:
    return event("model_pin", at, None, {"at": said_at, "version": version, "by": "tests"})


def record(offset: int, events: Iterable[Json], timestamp: int) -> Record:
    return Record(offset, timestamp, json.dumps(list(events)).encode())


def served(version: int, lean: float = 0.0) -> Served:
    """Return a warm model; ``lean`` raises every customer's log-odds."""
    weight = np.full(len(INPUTS), 0.01 * version)
    weight[PRIOR] = 0.5
    return Served(version, scorer(weight, lean))


def scorer(weight: NDArray[np.float64], lean: float = 0.0) -> Scorer:
    """Return a warm scorer with weights (I,) on the inputs as they are, and no calendar."""
    zeros, ones = np.zeros(len(INPUTS)), np.ones(len(INPUTS))
    silence = Linear(zeros, ones, weight, lean)
    return Scorer(
        steps=Steps.of(POLICY.horizon_days),
        silence=silence,
        usual=silence,
        left=1.0,
        closure=Closure(Linear(zeros, ones, zeros, -5.0)),
        plans=Cells(prior=5.0).table(Plans()),
        seasons=np.zeros(13),
        warm=True,
    )


@dataclass
class History:
    """What some records led to: the changelog by key, and all outputs in order."""

    changelog: dict[bytes, bytes] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    erasures: list[Erased] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    misplaced: list[Misplaced] = field(default_factory=list)
    refused_models: list[int] = field(default_factory=list)

    def add(self, effects: Effects) -> None:
        for key, value in effects.states:
            if value is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = value
        for name in OUTPUTS:
            getattr(self, name).extend(getattr(effects, name))

    def outputs(self) -> tuple[list[Any], ...]:
        return tuple(getattr(self, name) for name in OUTPUTS)


OUTPUTS = (
    "scores", "transitions", "examples", "letters", "misplaced", "refused_models", "erasures",
    "forgotten",
)  # fmt: skip


def partition(
    policy: Policy = POLICY,
    owner: Callable[[str], int] = lambda _: 0,
    table: CustomerTable | None = None,
    position: Position | None = None,
    model: Served | None = None,
    *,
    erased: Iterable[str] = (),
) -> Partition:
    return Partition(0, owner, policy, table, position, model, erased=set(erased))


def run(
    target: Partition,
    records: Sequence[Record],
    cuts: Iterable[int] = (),
    models: Mapping[int, Served] | None = None,
    policy: Policy = POLICY,
) -> History:
    """Apply records, in groups that end before each of ``cuts``."""
    history = History()
    for group in groups(records, cuts):
        batch = read_batch(target.number, group, policy.future_tolerance_ms)
        history.add(target.apply(batch, models or {}))
    return history


def groups(records: Sequence[Record], cuts: Iterable[int]) -> Iterator[list[Record]]:
    start = 0
    for cut in [*sorted(cut for cut in cuts if cut < len(records)), len(records)]:
        if start < cut:
            yield list(records[start:cut])
            start = cut


def live(events: Iterable[Json], offset: int = 0) -> list[Record]:
    """Return a record an event, appended at the event's own time."""
    return [
        record(offset + n, [one], round(datetime.fromisoformat(one["time"]).timestamp() * 1000))
        for n, one in enumerate(events)
    ]


def row_of(target: Partition, customer: str) -> np.void:
    index = target.table.find(customer)
    assert index is not None
    found: np.void = target.table.rows[index]
    return found


def dealings_of(target: Partition, customer: str) -> Dealings:
    """Return what a score would tell of a customer's dealings now."""
    index = target.table.find(customer)
    assert index is not None
    kept = target.table.ledger(index)
    return (
        Dealings()
        if kept is None
        else told(kept, target.now, row_of(target, customer)["first_seen"])
    )


def states(target: Partition) -> dict[bytes, bytes]:
    """Return every customer's state, profile included."""
    return dict(target.table.encode(np.arange(len(target.table))))


def restored(changelog: Mapping[bytes, bytes], order: Iterable[bytes]) -> CustomerTable:
    table = CustomerTable(capacity=1)
    for key in order:
        table.restore(key, changelog[key])
    return table


def balanced(counts: Counts) -> bool:
    parts = counts.applied + counts.duplicates + counts.dead_letters
    return counts.accepted == parts + counts.misplaced + counts.controls + counts.erased
