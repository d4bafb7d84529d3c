"""The gauges of a campaign's effect show what its report says, and forget what is gone."""

from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest
from sqlalchemy import Engine, delete

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.gauges import Gauges
from shared import metrics
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.engine import open_database
from shared.adapters.sql.tables import units
from shared.domain.budgets import Budget
from shared.domain.campaign_report import reports_on
from shared.domain.campaigns import GuardRails
from shared.domain.outputs import Clock, Identity
from tests.campaign_builders import DAY, T0, campaign, score
from tests.unit.campaigner.world import TOPIC, World


@pytest.fixture
def database() -> Iterator[Engine]:
    engine = open_database("sqlite://")
    yield engine
    engine.dispose()


def gauges_of(database: Engine, book: CampaignBook | None = None) -> Gauges:
    read = book or CampaignBook("v1", ())
    store = CampaignStore(database, TOPIC)
    return Gauges(store, CampaignQueries(database), list, lambda: T0, lambda: read)


def page() -> str:
    return generate_latest(metrics.of("campaigner")).decode()


def test_the_effect_is_shown_and_forgotten_with_its_units(database: Engine) -> None:
    crowd = [f"c{number}" for number in range(400)]
    rule = campaign(valid_for_ms=DAY, control=0.5, cost_per_contact=2.0)
    world = World(database, [rule])
    world.append(*(score(who, 0.1) for who in crowd))
    world.append(*(score(who, 0.7, 1, origin=Identity(0, 1, n)) for n, who in enumerate(crowd)))
    stays = crowd[::2]
    world.append(
        *(score(who, 0.3, 5, origin=Identity(0, 5, n), last_activity=T0 + 5 * 60_000,
                margin=float(n % 3))
          for n, who in enumerate(stays))
    )  # fmt: skip
    world.append(Clock(0, T0 + 60 * DAY))
    world.process()
    gauges = gauges_of(database)
    gauges.measure_effects()
    arms = {
        arm: float(line.split()[-1])
        for arm in ("treatment", "control")
        for line in page().splitlines()
        if line.startswith("tenure_campaigner_measured_customers{") and f'"{arm}"' in line
    }
    assert sum(arms.values()) == 400
    assert (
        f'tenure_campaigner_cost_currency{{campaign="early-warning"}} {2 * arms["treatment"]}'
        in page()
    )
    (report,) = reports_on(CampaignQueries(database).unit_sums())
    (shown,) = [
        float(line.split()[-1])
        for line in page().splitlines()
        if "return_on_spend_ratio{" in line and '"estimate"' in line
    ]
    assert shown == pytest.approx(report.return_on_spend)
    for bound in ("estimate", "low", "high"):
        assert (
            f'tenure_campaigner_uplift_ratio{{bound="{bound}",campaign="early-warning"}}' in page()
        )
    assert 'tenure_campaigner_balance_p_ratio{campaign="early-warning"} 1.0' in page()
    with database.begin() as connection:
        connection.execute(delete(units))
    gauges.measure_effects()
    assert 'campaign="early-warning"' not in "\n".join(
        line for line in page().splitlines() if line.startswith("tenure_campaigner_uplift")
    )


def test_nothing_is_known_of_an_effect_before_enough_were_measured(database: Engine) -> None:
    world = World(database, [campaign(valid_for_ms=DAY)])
    world.append(score("anna", 0.1), score("anna", 0.7, 1, origin=Identity(0, 1, 0)))
    world.process()
    gauges = gauges_of(database)
    gauges.measure_effects()
    shown = [line for line in page().splitlines() if line.startswith("tenure_campaigner_uplift")]
    assert [(line.split('"')[1], float(line.split()[-1])) for line in shown] == [
        ("low", -1.0), ("high", 1.0),
    ]  # fmt: skip
    name = "tenure_campaigner_return_on_spend_ratio"
    assert f'{name}{{bound="high",campaign="early-warning"}} +Inf' in page()


def test_what_is_left_of_each_budget_is_shown(database: Engine) -> None:
    rule = campaign(cost_per_contact=3.0, budget=Budget(day=12, in_all=100))
    rails = GuardRails(budget=Budget(month=60))
    world = World(database, [rule], rails=rails)
    for number in range(2):
        at = {"at": T0 + number, "origin": Identity(0, number, 0)}
        world.append(score(f"c{number}", 0.1, **at))
        world.append(score(f"c{number}", 0.7, **{**at, "origin": Identity(0, number, 1)}))
    world.process()
    gauges_of(database, CampaignBook("v1", (rule,), rails)).measure_budgets()
    name = "tenure_campaigner_budget_left_ratio"
    own = f'{name}{{scope="campaign/early-warning",span='
    for line in (
        f'{name}{{scope="all",span="month"}} 0.9',
        f'{own}"day"}} 0.5',
        f'{own}"in_all"}} 0.94',
    ):
        assert line in page()
    gauges_of(database).measure_budgets()
    assert f"{name}{{" not in page()


def test_equity_and_the_month_of_the_base_are_shown_and_forgotten(database: Engine) -> None:
    world = World(database, [campaign()])
    world.append(
        score("anna", clv=30.5, stage="growth"),
        score("bela", step=1, clv=12.0, stage="growth"),
        score("chris", step=2, clv=7.0, stage="decline"),
    )
    world.process()
    gauges = gauges_of(database)
    gauges.measure_base()
    assert 'tenure_customer_equity{stage="growth"} 42.5' in page()
    assert 'tenure_customer_equity{stage="decline"} 7.0' in page()
    gained = 'tenure_base_month_customers{by="all",move="gained",name="all"} 3.0'
    assert gained in page()
    new = 'tenure_base_month_recurring_currency{by="plan",move="new",name="none"} 210.0'
    assert new in page()
    world.append(score("chris", step=3, clv=0.0, stage="lapsed", closed=True))
    world.process()
    gauges.measure_base()
    assert 'stage="decline"' not in "".join(
        line for line in page().splitlines() if line.startswith("tenure_customer_equity")
    )
    gone = 'tenure_base_month_customers{by="all",move="lost_voluntary",name="all"} 1.0'
    assert gone in page()
