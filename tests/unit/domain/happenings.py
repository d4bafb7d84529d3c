"""Made-up histories of a few customers: late, early, repeated, closed, misplaced, rescored."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from shared.domain.batch import Record
from shared.domain.features import DAY_MS
from shared.domain.policy import MINUTE_MS
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    Json,
    account,
    activation,
    boundaries,
    contact,
    cost,
    erasure,
    pin,
    purchase,
    record,
    rfc3339,
    served,
    thresholds,
    tick,
    usage,
)

MODELS = {version: served(version, lean=version - 2) for version in (1, 2, 3)}
gaps = st.sampled_from([0, 1, 1_000, 10 * MINUTE_MS, HOUR_MS, 7 * HOUR_MS, DAY_MS, 9 * DAY_MS])
delays = st.sampled_from([0, 0, 0, -4 * MINUTE_MS, -9 * MINUTE_MS, HOUR_MS, DAY_MS, 20 * DAY_MS])
STATUSES = ["paused", "payment_failed", "overdue", "settled", "notice_given", "trial_started"]


class Happening(NamedTuple):
    gap: int
    delay: int
    customer: str
    kind: str
    number: int


happenings = st.builds(
    Happening,
    gap=gaps,
    delay=delays,
    customer=st.sampled_from("abcdx"),
    kind=st.sampled_from(
        ["purchase"] * 4
        + ["usage", "refund", "closed", "activated", "consent_given", "contact", "cost"]
        + ["recharge", "rated", "complained", "contract", *STATUSES]
        + [
            "tick",
            "model",
            "model",
            "pin",
            "unpin",
            "far",
            "moved_to_market",
            "thresholds",
            "boundaries",
            "boundaries",
            "erasure",
        ]
    ),
    number=st.integers(0, 30),
)
histories = st.lists(st.lists(happenings, max_size=5), min_size=1, max_size=12)


def without_erasures(history: list[list[Happening]]) -> list[list[Happening]]:
    """Return a history in which nobody is erased, for what holds of all who ever were."""
    return [[one for one in happened if one.kind != "erasure"] for happened in history]


def to_event(one: Happening, at: int) -> Json:
    name, who = f"{one.kind}-{one.number}", one.customer
    makers = {
        "purchase": lambda: purchase(who, at, one.number / 7, name),
        "usage": lambda: usage(
            who, at, name, amount=0.1, quantity=one.number / 3, service=f"service-{one.number % 11}"
        ),
        "recharge": lambda: purchase(
            who, at, 5.0, name, category="recharge", product=f"product-{one.number}"
        ),
        "rated": lambda: contact(who, at, name, outcome="rated", score=one.number % 11),
        "complained": lambda: contact(who, at, name, outcome="complained", trigger_id=name),
        "refund": lambda: purchase(who, at, -1.1, name),
        "contact": lambda: contact(who, at, name),
        "contract": lambda: account(
            who,
            at,
            "plan_changed",
            name,
            plan_limit=one.number / 2,
            contract_end=rfc3339(at + one.number * DAY_MS),
        ),
        "cost": lambda: cost(who, at, 0.07, name),
        "tick": lambda: tick(at),
        "model": lambda: activation(at, one.number % 5),
        "moved_to_market": lambda: account(who, at, "activated", name, market=f"m{one.number % 3}"),
        "thresholds": lambda: thresholds(
            at, one.number, m1={"onboarding_days": one.number + 1.0}, m2={"decline_risk": 0.3}
        ),
        "boundaries": lambda: boundaries(
            at, one.number, visits=[1.0, 2.0, 3.0, 4.0 + one.number], spend=[0.5, 1.0, 5.0, 9.0]
        ),
        "pin": lambda: pin(at, one.number + 1, one.number % 4),
        "unpin": lambda: pin(at, one.number + 1, None),
        "erasure": lambda: erasure(who, at),
        "far": lambda: purchase(who, at + DAY_MS, 1.0, name),
    }
    made = makers.get(one.kind)
    return made() if made else account(who, at, one.kind, name, plan=f"plan-{one.number % 4}")


def to_records(history: list[list[Happening]]) -> list[Record]:
    """Append each record when its last event has happened."""
    clock, records = T0, []
    for offset, happened in enumerate(history):
        events = []
        for one in happened:
            clock += one.gap
            events.append(to_event(one, clock - one.delay))
        records.append(record(offset, events, clock))
    return [*records, record(len(history), [tick(clock + 31 * DAY_MS)], clock + 31 * DAY_MS)]


def elsewhere(customer: str) -> int:
    return 1 if customer == "x" else 0
