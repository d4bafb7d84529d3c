"""Half a year of made-up customers, and what its events add up to, without any of our code."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

Event = dict[str, Any]

DAY_S = 86_400.0
DAYS = 180
EVENTS_A_BATCH = 40


@dataclass
class Sums:
    """What a customer's events add up to, each event counted once; money in micro units."""

    events: int = 0
    revenue: int = 0
    cost: int = 0


@dataclass
class Accepted:
    """All events that were acknowledged, by id, and how often events were sent in all."""

    by_id: dict[str, Event] = field(default_factory=dict)
    sent: int = 0

    def add(self, events: list[Event]) -> None:
        self.by_id |= {event["id"]: event for event in events}
        self.sent += len(events)

    def sums(self) -> dict[str, Sums]:
        found: dict[str, Sums] = defaultdict(Sums)
        for event in self.by_id.values():
            one, data = found[event["subject"]], event["data"]
            one.events += 1
            kind = event["type"].partition(".")[2]
            if kind == "cost":
                one.cost += round(data["amount"] * 1_000_000)
            elif kind in {"purchase", "usage"}:
                one.revenue += round(data.get("amount", 0.0) * 1_000_000)
        return dict(found)


def history(random: Random, events: int, end_s: float) -> list[list[Event]]:
    """Return batches of events in the order of time; the last is an hour before ``end_s``.

    Two customers of three leave at some time: their risk rises while they are silent.
    """
    customers = max(40, events // 40)
    leaves = [random.uniform(0.1, 1.5) for _ in range(customers)]
    times = sorted(random.random() for _ in range(events))
    found: list[Event] = []
    for number, at in enumerate(times):
        while leaves[customer := random.randrange(customers)] < at:
            pass
        moment = datetime.fromtimestamp(end_s - 3_600 - (1 - at) * DAYS * DAY_S, UTC)
        found.append(_event(random, f"e{number}", f"c{customer}", moment.isoformat()))
    return [found[n : n + EVENTS_A_BATCH] for n in range(0, len(found), EVENTS_A_BATCH)]


def _event(random: Random, name: str, customer: str, at: str) -> Event:
    kind, data = random.choices(list(_data(random)), (50, 30, 4, 10, 6))[0]
    return {
        "specversion": "1.0",
        "type": f"tenure.{kind}",
        "source": "//billing.example/faults",
        "id": name,
        "subject": customer,
        "time": at,
        "data": data,
    }


def _data(random: Random) -> Iterator[tuple[str, Event]]:
    cents = random.randrange(1, 10_000) / 100
    yield "purchase", {"amount": -cents if random.random() < 0.05 else cents}
    yield "usage", {"service": random.choice(("voice", "data")), "amount": cents}
    yield "account", {"status": "plan_changed", "plan": random.choice(("gold", "silver"))}
    yield "contact", {"channel": "sms", "outcome": "delivered"}
    yield "cost", {"kind": "service", "amount": cents}


def encoded(events: list[Event] | Event) -> bytes:
    return json.dumps(events).encode()
