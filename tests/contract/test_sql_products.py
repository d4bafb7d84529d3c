"""What customers hold, and leads, out of SQL: those of the log, whatever happened meanwhile."""

from itertools import cycle

import pytest
from sqlalchemy import Engine, update

from shared.adapters.sql import product_store
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.adapters.sql.tables import customers
from shared.domain.dealings import Dealings
from shared.domain.leads import Known, Lead
from shared.domain.outputs import Profile, Score
from tests.campaign_builders import T0, campaign, score
from tests.unit.campaigner.test_restored import backup, restore
from tests.unit.campaigner.world import Record, World


def prospect(who: str, step: int, status: str = "lead", **more: object) -> Score:
    fresh = {"stage": "prospect", "stage_since": T0 - 5, "spend": 0.0, "revenue": 0.0}
    profile = Profile(status=status, acquisition_source="web" if who == "mia" else None)
    return score(who, 0.1, step, profile=profile, **{**fresh, **more})


def bought(who: str, step: int, **products: int) -> Score:
    """Return a score of a customer whose last purchases were so many milliseconds before T0."""
    return score(
        who, 0.1, step, dealings=Dealings(products={name: T0 - at for name, at in products.items()})
    )


SCORES = [
    prospect("mia", 0),
    bought("ada", 1, phone=90),
    prospect("bob", 2),
    bought("ada", 3, phone=20, cover=20),  # the phone was first bought before
    prospect("mia", 4, "qualified"),
    score("bob", 0.1, 5, spend=3.0, last_activity=T0 + 77),
    bought("ada", 6, sim=10),  # it is not told of the others any more
]
HELD = {"phone": T0 - 90, "cover": T0 - 20, "sim": T0 - 10}
LEADS = [
    Known("bob", "none", Lead(T0 - 5, [(T0 - 5, "lead")], T0 + 77)),
    Known("mia", "web", Lead(T0 - 5, [(T0 - 5, "lead"), (SCORES[4].at, "qualified")])),
]


def check(database: Engine) -> None:
    queries = CampaignQueries(database)
    assert queries.products.of("ada") == HELD
    assert queries.products.of("mia") == queries.products.of("nobody") == {}
    assert queries.products.held() == [HELD]
    assert queries.products.holders() == 1
    assert queries.leads.all() == LEADS


def test_they_are_those_of_the_log_whatever_is_killed_or_told_again(database: Engine) -> None:
    world = World(database, [campaign()])
    passing = cycle([1, 2, 3, 4, 0])
    for each in SCORES:
        world.append(each)
        world.through_kills(world.process, passing)
    check(database)
    world.append(*SCORES)  # the scorer was rebuilt, and tells all of it again
    world.process()
    check(database)


@pytest.mark.parametrize("known", range(len(SCORES)))
def test_they_are_so_after_an_older_backup_was_restored(database: Engine, known: int) -> None:
    world = World(database, [campaign()])
    world.append(*SCORES)
    world.process(end=known)
    saved = backup(database)
    world.process(known)
    restore(database, saved)
    world.start()
    world.process()
    check(database)


def test_who_is_erased_is_in_neither(database: Engine) -> None:
    world = World(database, [campaign()])
    world.append(*SCORES)
    world.process()
    for who in (b"ada", b"mia"):
        world.log.append(Record(len(world.log), None, key=who))
    world.process()
    queries = CampaignQueries(database)
    assert queries.products.held() == []
    assert [each.customer for each in queries.leads.all()] == ["bob"]


def test_who_was_known_before_holds_what_the_next_score_says(database: Engine) -> None:
    world = World(database, [campaign()])
    world.append(SCORES[1], SCORES[0])
    world.process()
    with database.begin() as connection:
        connection.execute(update(customers).values(held=None, lead=None))  # as a migration leaves
    world.start()
    world.append(SCORES[6], SCORES[4])
    world.process()
    queries = CampaignQueries(database)
    assert queries.products.of("ada") == {"sim": T0 - 10}
    assert queries.leads.all() == []


def test_of_many_holders_some_are_looked_at(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_store, "MOST_CUSTOMERS", 4)
    world = World(database, [campaign()])
    world.append(*(bought(f"c{number}", number, **{f"p{number}": 1}) for number in range(9)))
    world.process()
    held = CampaignQueries(database).products.held()
    assert [list(each) for each in held] == [["p0"], ["p3"], ["p6"]]
