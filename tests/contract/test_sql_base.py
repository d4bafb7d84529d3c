"""Cohorts and sources out of SQL: those of the log, whatever happened to the campaigner."""

from itertools import count

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.domain.acquisition import Acquired, referrers, sources
from shared.domain.base_book import MONTHS_BY, Booked, Cell, Changes, add, book, month_of
from shared.domain.cohorts import COHORTS_BY, cohorts
from shared.domain.dealings import Dealings
from shared.domain.outputs import Profile, Score
from shared.domain.seen import Seen
from tests.campaign_builders import DAY, MINUTE, T0, campaign, score
from tests.unit.campaigner.test_restored import backup, restore
from tests.unit.campaigner.world import Record, World

CUSTOMERS = 9


def happened() -> list[Score]:
    """Return three scores of each customer: more spent, more margin, later activity each time."""
    return [
        score(
            f"customer-{who}",
            0.1 + 0.3 * turn,
            turn * CUSTOMERS + who,
            first_activity=T0 - (40 + 35 * who) * DAY,
            last_activity=T0 - (40 + 35 * who) * DAY + turn * 33 * DAY,
            spend=10.1 * turn,
            revenue=10.1 * turn,
            margin=3.3 * turn,
            profile=Profile(
                acquisition_source=("web", "shop", None)[who % 3],
                referred_by="eva" if who % 4 == 0 else None,
            ),
            dealings=Dealings(
                trial_at=T0 - 300 * DAY if who % 2 else None,
                costs={"acquisition": 5.0 + 0.1 * turn},
            ),
        )
        for turn in range(3)
        for who in range(CUSTOMERS)
    ]


def told(base: list[Acquired], now: int) -> object:
    by = [cohorts(base, each, now) for each in COHORTS_BY]
    return by, sources(base, now), referrers(base, 100)


def folded(scores: list[Score]) -> object:
    """Return what the log itself says: the last score of each customer, and the last time."""
    last = {each.customer: each for each in scores}
    base = msgspec.convert([msgspec.to_builtins(each) for each in last.values()], list[Acquired])
    return told(base, max(each.at for each in scores))


def stored(engine: Engine) -> object:
    queries = CampaignQueries(engine)
    return told(queries.acquired(), queries.now())


def test_they_are_those_of_the_log_after_a_replay_and_kills(database: Engine) -> None:
    scores = happened()
    world = World(database, [campaign()])
    world.append(*scores)
    # Killed on every line where that is interesting, one after another.
    assert world.through_kills(world.process, count()) > 1
    assert stored(database) == folded(scores)
    world.process(0)  # what was read is read again
    assert stored(database) == folded(scores)


def test_they_are_those_of_the_log_after_an_older_backup_was_restored(database: Engine) -> None:
    scores = happened()
    world = World(database, [campaign()])
    world.append(*scores[: CUSTOMERS + 4])
    world.process()
    saved = backup(database)
    assert stored(database) == folded(scores[: CUSTOMERS + 4])
    world.append(*scores[CUSTOMERS + 4 :])
    world.process(0)
    world.publish()
    assert stored(database) == folded(scores)

    restore(database, saved)
    world.now += MINUTE
    world.start()
    world.process()
    assert stored(database) == folded(scores)


def months(engine: Engine) -> object:
    base = CampaignQueries(engine).base
    return {cell: sums for by in MONTHS_BY for cell, sums in base.cells(by).items()}


def months_of(scores: list[Score]) -> Changes:
    """Return what a base over time is that nothing ever happened to."""
    booked, seen, changes = dict[str, Booked](), dict[str, Seen](), Changes()
    for each in scores:
        before = booked.get(each.customer), seen.get(each.customer)
        booked[each.customer], more = book(*before, each)
        seen[each.customer] = Seen.of(each)
        add(changes, more)
    return changes


def grown() -> list[Score]:
    """Return `happened`, a month and more between two turns, and plans that change."""
    return [
        replace(
            each,
            at=each.at + turn * 33 * DAY,
            stage=("growth", "growth", "lapsed")[(turn + who) % 3],
            profile=replace(each.profile, plan=("basic", "plus")[(turn + who) % 2]),
        )
        for number, each in enumerate(happened())
        for turn, who in (divmod(number, CUSTOMERS),)
    ]


def test_the_base_over_time_counts_once_whatever_is_killed_and_read_again(
    database: Engine,
) -> None:
    scores = grown()
    world = World(database, [campaign()])
    for some in (scores[:13], scores[13:]):
        world.append(*some)
        passing = world.through_kills(world.process, count())
    assert passing > 1
    expected = months_of(scores)
    assert months(database) == expected
    world.append(*scores)  # the scorer was rebuilt, and tells all of it again
    world.process()
    world.process(0)
    assert months(database) == expected
    stages = CampaignQueries(database).base.equity()
    assert sum(stages.values()) == pytest.approx(48.5 * CUSTOMERS)


def test_the_base_over_time_is_that_of_the_log_after_an_older_backup_was_restored(
    database: Engine,
) -> None:
    scores = grown()
    world = World(database, [campaign()])
    world.append(*scores[: CUSTOMERS + 4])
    world.process()
    saved = backup(database)
    world.append(*scores[CUSTOMERS + 4 :])
    world.process(0)
    world.publish()
    restore(database, saved)
    world.now += MINUTE
    world.start()
    world.process()
    assert months(database) == months_of(scores)


def test_who_is_erased_leaves_the_base_and_no_name_in_it(database: Engine) -> None:
    scores = grown()
    inside = [each for each in scores[CUSTOMERS : 2 * CUSTOMERS] if each.stage == "growth"]
    world = World(database, [campaign()])
    world.append(*scores[: 2 * CUSTOMERS])
    world.process()
    before = CampaignQueries(database).base.cells("all")
    world.log.append(Record(len(world.log), None, key=inside[0].customer.encode()))
    world.process()
    month = Cell(month_of(scores[2 * CUSTOMERS - 1].at), "all", "all")
    after = CampaignQueries(database).base.cells("all")
    assert after[month] == before[month]._replace(lost_erased=1)
