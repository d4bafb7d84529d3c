"""An erased customer leaves every table; what uplift is counted in stays, under no name."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.tables import (
    customers,
    decisions,
    metadata,
    outbox,
    suppressions,
    units,
    webhook_deliveries,
)
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.standings import Standings
from tests.campaign_builders import DAY, T0, campaign, raw, score

WHO = "bela"
RULES = Rules((campaign(valid_for_ms=DAY),), "salt")
RISE = [score(risk=0.1), score(WHO, 0.2, 1), score(risk=0.7, step=2), score(WHO, 0.8, 3)]


@pytest.fixture
def store(database: Engine) -> CampaignStore:
    """Return a store that knows two customers, each with a decision that waits for Kafka."""
    store = CampaignStore(database, "customer-scores")
    (claimed,) = store.claim([0], "one", T0)
    fold_and_commit(store, claimed.lease, Standings())
    listed = {"by": "ada", "at": T0, "reason": "asked"}
    with database.begin() as connection:
        connection.execute(insert(suppressions).values(customer=WHO, **listed))
        mine = connection.execute(select(decisions.c.id).where(decisions.c.customer == WHO))
        owed = {"endpoint": "e", "partition": 0, "attempts": 0, "next_at": T0}
        connection.execute(insert(webhook_deliveries).values(decision=mine.scalar_one(), **owed))
    return store


def fold_and_commit(store: CampaignStore, lease: Lease, standings: Standings) -> None:
    batch = Batch(lease, 0, len(RISE))
    fold = Fold(standings, batch, RULES, T0)
    for each in RISE:
        fold.take(each, raw(each))
    store.commit([batch], T0)


def erase(store: CampaignStore, lease: Lease, standings: Standings) -> None:
    batch = Batch(lease, len(RISE), len(RISE) + 1)
    Fold(standings, batch, RULES, T0).erase(WHO)
    store.commit([batch], T0)


def everything(database: Engine) -> dict[str, list[dict[str, Any]]]:
    with database.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in metadata.sorted_tables
        }


def test_no_table_names_an_erased_customer_and_others_stay(
    store: CampaignStore, database: Engine
) -> None:
    before = everything(database)
    assert WHO in str(before)
    (claimed,) = store.claim([0], "two", T0)
    standings = store.standings(claimed.lease)
    erase(store, claimed.lease, standings)
    after = everything(database)
    assert WHO not in str(after)
    gone = [row["id"] for row in before["decisions"] if row["customer"] == WHO]
    assert gone
    assert not any(each in str(after) for each in gone)  # an id can be computed from the customer
    assert after["webhook_deliveries"] == []
    for name in ("customers", "armings", "decisions"):
        others = [row for row in before[name] if row["customer"] != WHO]
        assert others
        assert after[name] == others
    assert len(after["outbox"]) == len(before["outbox"]) - 1
    assert WHO not in str(standings)


def test_units_stay_without_a_name_and_open_ones_count_as_lost(
    store: CampaignStore, database: Engine
) -> None:
    (claimed,) = store.claim([0], "two", T0)
    before = everything(database)["units"]
    erase(store, claimed.lease, store.standings(claimed.lease))
    after = everything(database)["units"]
    assert len(after) == len(before)
    mine = [row for row in after if row["customer"].startswith("erased-")]
    assert len(mine) == len([row for row in before if row["customer"] == WHO]) > 0
    assert len({row["customer"] for row in mine}) == len(mine)  # not even one with another
    for row in mine:
        assert (row["retained"], row["opted_out"]) == (False, True)
        assert (row["margin_gained"], row["revenue_gained"], row["clv_gained"]) == (0, 0, 0)


def test_erasing_again_or_somebody_unknown_does_nothing(
    store: CampaignStore, database: Engine
) -> None:
    (claimed,) = store.claim([0], "two", T0)
    erase(store, claimed.lease, store.standings(claimed.lease))
    before = everything(database)
    assert store.forget(lambda each: each in {WHO, "nobody"}) == 0
    assert everything(database) == before


def test_a_backup_forgets_by_name_alone(store: CampaignStore, database: Engine) -> None:
    assert store.forget(lambda each: each == WHO) == 1
    found = everything(database)
    assert WHO not in str(found)
    assert [row["customer"] for row in found["customers"]] == [RISE[0].customer]


def test_what_is_killed_before_the_commit_erases_nothing(database: Engine) -> None:
    def hook(place: str) -> None:
        if place == "written":
            raise RuntimeError(place)

    store = CampaignStore(database, "customer-scores")
    (claimed,) = store.claim([0], "one", T0)
    standings = Standings()
    fold_and_commit(store, claimed.lease, standings)
    killed = CampaignStore(database, "customer-scores", hook=hook)
    with pytest.raises(RuntimeError):
        erase(killed, claimed.lease, standings)
    with database.connect() as connection:
        known = connection.execute(select(customers.c.customer)).scalars().all()
        assert WHO in known
        assert connection.execute(select(outbox.c.seq)).all()
        assert connection.execute(select(units.c.customer)).all()
