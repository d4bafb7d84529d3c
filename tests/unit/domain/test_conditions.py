"""Conditions: what holds, and why not in words."""

import pytest

from shared.domain.conditions import AllOf, AnyOf, Between, Condition, Not, OneOf, unmet
from shared.domain.outputs import Profile
from tests.campaign_builders import DAY, T0, score

ANNA = score(
    risk=0.7,
    first_activity=T0 - 90 * DAY,
    last_activity=T0 - 12 * DAY,
    visits=7,
    clv=48.5,
    profile=Profile(plan="gold", attributes={"tier": "silver"}),
)
HOLDS: list[Condition] = [
    Between("risk", 0.7, 0.7),
    Between("tenure_days", 90, 90),
    Between("silence_days", 12, None),
    Between("clv", None, 50),
    OneOf("plan", frozenset({"gold", "silver"})),
    OneOf("stage", frozenset({"growth"})),
    OneOf("tier", frozenset({"silver"}), attribute=True),
]
FAILS: list[tuple[Condition, str]] = [
    (Between("risk", 0.71, None), "risk 0.7 is below 0.71"),
    (Between("visits", None, 6), "visits 7 is over 6"),
    (Between("balance", None, 5), "balance is not known"),
    (OneOf("plan", frozenset({"basic"})), "plan gold is not one of basic"),
    (OneOf("market", frozenset({"de"})), "market is not known, and is not one of de"),
    (OneOf("plan", frozenset({"x"}), attribute=True), "plan is not known, and is not one of x"),
    (Not(OneOf("plan", frozenset({"gold"}))), "what must not hold does: plan gold"),
]


@pytest.mark.parametrize("condition", HOLDS)
def test_what_holds_needs_no_reason(condition: Condition) -> None:
    assert unmet(condition, ANNA) is None
    assert unmet(Not(condition), ANNA) is not None


@pytest.mark.parametrize(("condition", "reason"), FAILS)
def test_what_does_not_hold_says_why(condition: Condition, reason: str) -> None:
    assert unmet(condition, ANNA) == reason
    assert unmet(Not(condition), ANNA) is None


def test_and_or() -> None:
    good, bad = HOLDS[0], FAILS[0][0]
    assert unmet(AllOf((good, good)), ANNA) is None
    assert unmet(AllOf((good, bad)), ANNA) == FAILS[0][1]
    assert unmet(AnyOf((bad, good)), ANNA) is None
    assert unmet(AnyOf((bad, FAILS[1][0])), ANNA) == f"{FAILS[0][1]} and {FAILS[1][1]}"


def test_a_customer_who_was_never_active_has_no_tenure() -> None:
    lead = score(first_activity=0, last_activity=0)
    assert unmet(Between("tenure_days", 0, None), lead) == "tenure_days is not known"
