"""The ready campaigns on a generated history: events, scored as live ones are, then decided on."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from services.campaigner.campaign_file import read_campaigns
from shared.domain.budgets import Purse
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.controls import Controls
from shared.domain.outputs import Score
from shared.domain.standings import Standings
from tests.campaign_lives import Bank
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    Json,
    account,
    contact,
    live,
    partition,
    purchase,
    run,
    tick,
    usage,
)

DAY = 24 * HOUR_MS
MORNING = 10 * HOUR_MS
DAYS = 380
LONDON = ZoneInfo("Europe/London")
GB = {"plan": "basic", "brand": "main", "market": "gb", "time_zone": "Europe/London"}


def on(day: int) -> int:
    return T0 + day * DAY + MORNING


def buys(who: str, days: Any, amount: float = 10.0, **data: object) -> list[Json]:  # noqa: ANN401
    return [purchase(who, on(day), amount, **data) for day in days]


def opened(who: str, day: int = 0, **more: object) -> Json:
    return account(who, on(day) - HOUR_MS, "opened", **{**GB, **more})


def weekly(until: int = DAYS) -> range:
    return range(0, until, 7)


#: A life for each campaign; its customer is called like it.
LIVES: dict[str, list[Json]] = {
    "welcome": buys("welcome", [50]),
    "activation": buys("activation", [50]),
    "trial-to-paid": [
        account("trial-to-paid", on(49), "lead"),
        account("trial-to-paid", on(50), "trial_started"),
    ],
    "cross-sell": [opened("cross-sell"), *buys("cross-sell", range(0, 60, 3), 8.0)],
    "accessories": [
        *buys("accessories", weekly(200)), *buys("accessories", [100], 300.0, product="phone")
    ],
    "data-for-those-who-use-it": [
        usage("data-for-those-who-use-it", on(day), service="data",
              quantity=100.0 if day < 150 else 900.0)
        for day in range(200)
    ],
    "hundredth-purchase": buys("hundredth-purchase", range(0, 200, 1), 3.0),
    "anniversary": buys("anniversary", range(0, DAYS, 3)),
    "refer-a-friend": [
        *buys("refer-a-friend", weekly(200)),
        account("refer-a-friend", on(60), "consent_given", channel="email"),
        contact("refer-a-friend", on(100), channel="email", outcome="rated", score=10.0),
    ],
    "complaint-care": [
        *buys("complaint-care", weekly(200), 30.0),
        contact("complaint-care", on(100), outcome="complained"),
    ],
    "usage-falls": [
        usage("usage-falls", on(day), service="data", quantity=100.0 if day < 120 else 5.0)
        for day in range(200)
    ],
    "contract-renewal": [
        opened("contract-renewal", contract_end="2025-01-10T12:00:00Z"),
        *buys("contract-renewal", weekly()),
    ],
    "notice-given": [
        *buys("notice-given", weekly(200)), account("notice-given", on(100), "notice_given")
    ],
    "recharge-reminder": [
        *buys("recharge-reminder", weekly(101), category="recharge"),
        account("recharge-reminder", on(98), "activated", balance=1.5,
                expiry="2025-01-12T12:00:00Z", time_zone="Europe/London"),
    ],
    "balance-low": [
        opened("balance-low", balance=10.0),
        *buys("balance-low", range(0, 101, 10), category="recharge"),
        account("balance-low", on(108), "activated", balance=0.5),
    ],
    "overdue-care": [
        *buys("overdue-care", weekly(200)), account("overdue-care", on(100), "overdue")
    ],
    "win-back": [
        account("win-back", on(0), "consent_given", channel="email"),
        *buys("win-back", range(0, 120, 4), 20.0),
    ],
    "spring-sale": [
        *buys("spring-sale", weekly(200)),
        contact("spring-sale", on(90), channel="email", outcome="accepted"),
        contact("spring-sale", on(100), channel="email", outcome="accepted"),
    ],
}  # fmt: skip
#: 100 days after T0, 2024-10-04, is 2025-01-12: what dates above are near to.


@pytest.fixture(scope="module")
def decided() -> dict[str, list[Decision]]:
    """Decisions by campaign, with every campaign live, and without control groups."""
    book = read_campaigns(Path("deploy/examples/lifecycle.yaml"))
    campaigns = tuple(
        replace(each, state="live", control=0.0, rollout=1.0, starts=None, ends=None)
        for each in book.campaigns
    )
    approved = frozenset((each.name, each.version) for each in campaigns)
    rules = Rules(campaigns, "salt", replace(book.rails, control=0.0), Controls(approved=approved))
    standings, bank, last = Standings(), Bank(), dict[str, Score]()
    found: dict[str, Decision] = {}
    for told in _scored():
        batch, at = Batch(Lease(0, 1), 0, 1), told if isinstance(told, int) else told.at
        purse = Purse(bank.lend)
        fold = Fold(standings, batch, rules, at, last.__getitem__, purse=purse)
        if isinstance(told, int):
            fold.pass_time(told)
        else:
            fold.take(told, "")
            last[told.customer] = told
        bank.spent.update(purse.spent)
        found |= {one.id: one for one in (*batch.decisions, *batch.revised)}
    by_campaign: dict[str, list[Decision]] = defaultdict(list)
    for each in found.values():
        by_campaign[each.campaign].append(each)
    return by_campaign


def _scored() -> Iterator[Score | int]:
    """Score a history hour by hour, as it would be live."""
    target = partition()
    ticks = [tick(T0 + hour * HOUR_MS) for hour in range(0, DAYS * 24, 2)]
    events = sorted([*chain.from_iterable(LIVES.values()), *ticks], key=lambda each: each["time"])
    for each in live(events):
        history = run(target, [each])
        yield from history.scores
        yield each.timestamp


@pytest.mark.parametrize("name", LIVES)
def test_each_contacts_the_customer_whose_life_is_made_for_it(
    decided: dict[str, list[Decision]], name: str
) -> None:
    own = [each for each in decided[name] if each.customer == name]
    assert own, f"no crossing of {name}; others: {[each.customer for each in decided[name]]}"
    why = [(each.outcome, [one.reason for one in each.checks if one.reason]) for each in own]
    assert "fired" in {each.outcome for each in own}, why


def test_nobody_is_contacted_at_night_or_more_often_than_the_rails_allow(
    decided: dict[str, list[Decision]],
) -> None:
    times: dict[str, list[int]] = defaultdict(list)
    for each in chain.from_iterable(decided.values()):
        if each.outcome == "fired":
            times[each.customer].append(each.at)
            hour = datetime.fromtimestamp(each.at / 1000, LONDON).hour
            assert 8 <= hour < 21
    for mine in times.values():
        for at in mine:
            assert sum(0 <= at - other < DAY for other in mine) <= 1
            assert sum(0 <= at - other < 7 * DAY for other in mine) <= 3
