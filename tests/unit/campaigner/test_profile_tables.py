"""A customer's profile as people read it: dates, and only what there is to say."""

import re

import pytest
from msgspec import structs
from rich.console import Console

from services.campaigner.profile_tables import profile_tables
from shared.domain.dealings import Dealings, ServiceUse, Touch
from shared.domain.features import DAY_MS
from shared.domain.outputs import Profile, Reason, Score
from tests.campaign_builders import T0, score

DAY = DAY_MS
EPOCH = 20_000 * DAY  # 2024-10-04
OWES = Reason("payments_failed", 1.2, "payment failed twice", of="closed")


def scored(**told: object) -> Score:
    return structs.replace(score("ann", 0.4), **told)


def lines(shown: Score) -> list[str]:
    console = Console(width=200)
    with console.capture() as capture:
        for table in profile_tables(shown, 12.5):
            console.print(table)
    return [re.sub(r" +", " ", line).strip() for line in capture.get().splitlines()]


def test_who_only_bought_has_few_sections() -> None:
    shown = lines(score("ann", 0.4))
    heads = [line for line in shown if line in {"account", "touch points", "service", "product"}]
    assert heads == []
    assert not [line for line in shown if "None" in line]


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"risk_7d_ago": 0.25}, "7 days ago 25.0% (15.0 points up since)"),
        ({"risk_30d_ago": 0.5}, "30 days ago 50.0% (10.0 points down since)"),
        ({"risk_30d_ago": 0.398}, "30 days ago 39.8% (steady since)"),
        ({"next_review": EPOCH + 3_600_000}, "next review 2024-10-04 01:00 UTC"),
        ({"last_activity": EPOCH, "at": EPOCH + 9 * DAY}, "last active 2024-10-04 (9 days ago)"),
        ({"last_activity": 0, "visits": 0}, "last active never"),
        ({"segment": "loyal", "rfm": "344"}, "segment loyal (recency, frequency, money 344)"),
        ({"clv": 5.0, "value_band": 4}, "lifetime value 5.00 to come, fifth 4 of 5"),
        ({"model": 0}, "silence 40.0% by model heuristic"),
        ({"p_closed": 0.031, "p_involuntary": 0.0}, "account closed 3.1%"),
        ({"p_closed": 0.03, "p_involuntary": 0.02}, "account closed 3.0% (involuntarily 2.0%)"),
        ({"reasons": [OWES]}, "+1.20 payment failed twice (for closing the account)"),
        ({"reasons": [structs.replace(OWES, of="silent")]}, "+1.20 payment failed twice"),
    ],
)
def test_what_a_score_tells(told: dict[str, object], line: str) -> None:
    assert line in lines(scored(**told))


@pytest.mark.parametrize(
    ("dealings", "line"),
    [
        (
            Dealings(recharged_at=EPOCH, recharge_days=7.5),
            "next recharge about 2024-10-11, usually every 7.5 days",
        ),
        (Dealings(payments_failed=2), "failed payments 2"),
        (Dealings(overdue_since=EPOCH), "overdue since 2024-10-04"),
        (Dealings(notice_at=EPOCH), "notice given 2024-10-04"),
        (Dealings(paused_at=EPOCH), "paused 2024-10-04"),
        (Dealings(trial_at=EPOCH), "trial started 2024-10-04"),
        (Dealings(closed_at=EPOCH), "closed 2024-10-04"),
        (Dealings(contacts=3, rating=0.0), "last rating 0"),
        (Dealings(complaints=1, complained_at=EPOCH), "last complaint 2024-10-04"),
        (
            Dealings(last_contact=Touch(EPOCH, "sms", "accepted", "t-1")),
            "last 2024-10-04 sms accepted, answers t-1",
        ),
        (Dealings(products={"[b]sim": EPOCH}), "[b]sim 2024-10-04"),
        (
            Dealings(services={"data": ServiceUse(EPOCH, 1234.5, 3.0, 4.0)}),
            "data 2024-10-04 1,234.5 3 4 -25%",
        ),
        (Dealings(costs={"service": 2.5}), "cost 0.00 (service 2.50)"),
    ],
)
def test_what_dealings_tell(dealings: Dealings, line: str) -> None:
    assert line in lines(scored(dealings=dealings, cost=0.0))


def test_newest_products_come_first() -> None:
    shown = lines(scored(dealings=Dealings(products={"a": T0, "b": T0 + 1})))
    assert [line[0] for line in shown[shown.index("product last bought") + 1 :][:2]] == ["b", "a"]


def test_what_is_known_of_the_account() -> None:
    profile = Profile(
        plan="gold", plan_limit=5.0, balance=-1.25, contract_end=EPOCH,
        consent={"sms": True, "*": False}, attributes={"tier": "[red]x"},
    )  # fmt: skip
    shown = lines(scored(profile=profile))
    for line in (
        "plan gold", "plan limit 5", "balance -1.25", "contract ends 2024-10-04",
        "consent sms given, * withdrawn", "tier [red]x",
    ):  # fmt: skip
        assert line in shown
