"""Segments by conditions out of SQL: entries and exits leave once, whatever happens meanwhile."""

from itertools import count

import msgspec
import pytest
from sqlalchemy import Engine, select

from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.segment_store import SegmentStore
from shared.adapters.sql.tables import memberships, metadata, outbox
from shared.domain.conditions import Between
from shared.domain.named_segments import BUILT_IN, Membership, NamedSegment, SegmentChange
from shared.domain.outputs import Clock, Score
from shared.domain.standings import Sweep
from tests.campaign_builders import DAY, HOUR, MINUTE, T0, campaign, score
from tests.unit.campaigner.test_restored import backup, restore
from tests.unit.campaigner.world import TOPIC, World

RISKY = NamedSegment("risky", Between("risk", 0.6))
SEGMENTS = (*BUILT_IN, RISKY, NamedSegment("quiet", Between("silence_days", 13.0)))
CROWD = [f"c{n}" for n in range(7)]
#: Each customer rises, falls and rises again; the first one is last seen inactive.
SCORES = [
    score(who, risk, 7 * turn + n)
    for turn, risk in enumerate((0.7, 0.2, 0.8))
    for n, who in enumerate(CROWD)
] + [score("c0", 0.9, 30, stage="dormant")]


def world_of(database: Engine) -> World:
    world = World(database, [campaign()])
    world.rules = world.rules._replace(segments=SEGMENTS, definitions="v1")
    return world


def told(world: World) -> list[SegmentChange]:
    """Return what was told, in order, each id once."""
    sent = world.bus.written("segment-changes")
    changes = [msgspec.json.decode(each.message.value, type=SegmentChange) for each in sent]
    return list({each.id: each for each in changes}.values())


def expected() -> list[tuple[str, str, int]]:
    """Return every customer's entries and exits, in order."""
    turns = (("entered", 1), ("left", 1), ("entered", 2))
    return [(who, change, number) for change, number in turns for who in CROWD]


def summary(changes: list[SegmentChange], segment: str = "risky") -> list[tuple[str, str, int]]:
    return [(each.customer, each.change, each.number) for each in changes
            if each.segment == segment]  # fmt: skip


def test_each_entry_and_exit_leaves_once_whenever_the_campaigner_is_killed(
    database: Engine,
) -> None:
    world = world_of(database)
    world.append(*SCORES)

    def work() -> None:
        world.process()
        world.publish()

    assert world.through_kills(work, count()) > 3
    assert summary(told(world)) == expected()
    counts = SegmentStore(database).counts()
    assert counts == {"risky": len(CROWD), "inactive": 1}
    before = len(world.bus.written("segment-changes"))
    world.process(0)
    world.publish()
    assert len(world.bus.written("segment-changes")) == before


def test_it_is_a_cloud_event(database: Engine) -> None:
    world = world_of(database)
    world.append(SCORES[0])
    world.process()
    world.publish()
    (written,) = world.bus.written("segment-changes")
    headers = dict(written.message.headers)
    (change,) = told(world)
    assert headers["ce_id"] == change.id
    assert (headers["ce_type"], headers["ce_segment"]) == ("tenure.segment_entered", "risky")
    assert (headers["ce_subject"], written.message.key) == ("c0", "c0")


def test_what_an_older_backup_forgot_has_the_same_ids_again(database: Engine) -> None:
    world = world_of(database)
    world.append(*SCORES[:9])
    world.process()
    world.publish()
    saved = backup(database)
    world.append(*SCORES[9:])
    world.process(0)
    world.publish()
    known = told(world)
    restore(database, saved)
    world.now += MINUTE
    world.start()
    world.process()
    world.publish()
    assert told(world) == known


def seen_at(scores: list[Score]) -> list[Score]:
    return [msgspec.structs.replace(each, last_activity=T0 - 12 * DAY) for each in scores]


def test_time_alone_is_looked_at_once_a_day_with_batches_that_bring_nothing(
    database: Engine,
) -> None:
    world = world_of(database)
    world.append(*seen_at(SCORES[:7]), Clock(0, T0 + HOUR))
    world.process()
    world.now = T0 + DAY + HOUR
    world.append(Clock(0, T0 + DAY + HOUR))
    world.process()
    world.start()  # what was found is on record
    (lease,) = world.campaigner.leases()
    swept = CampaignStore(database, TOPIC).standings(lease).swept
    assert swept == Sweep("v1", (T0 + DAY + HOUR) // DAY, None)
    world.process()
    world.publish()
    assert summary(told(world), "quiet") == [(who, "entered", 1) for who in CROWD]
    assert SegmentStore(database).of("c3")["quiet"] == Membership(
        member=True, number=1, since=T0 + DAY + HOUR
    )


def test_an_erased_customer_leaves_nothing(database: Engine) -> None:
    world = world_of(database)
    world.append(SCORES[0], SCORES[1])
    world.process()
    world.log.append(world.log[0]._replace(offset=2, value=None, key=b"c0"))
    world.process(2)
    assert set(SegmentStore(database).of("c0")) == set()
    with database.connect() as connection:
        left = connection.execute(select(outbox.c.customer).where(outbox.c.change.is_not(None)))
        assert left.scalars().all() == ["c1"]
        assert connection.execute(select(memberships.c.customer)).scalars().all() == ["c1"]
        for table in metadata.sorted_tables:
            assert "c0" not in repr(connection.execute(select(table)).all())


@pytest.mark.parametrize("segments", [(), SEGMENTS])
def test_a_segment_that_is_gone_is_left(
    database: Engine, segments: tuple[NamedSegment, ...]
) -> None:
    world = world_of(database)
    world.append(*SCORES[:7])
    world.process()
    world.rules = world.rules._replace(segments=segments, definitions="v2")
    world.process()
    world.process()
    world.publish()
    left = [] if segments else [(who, "left", 1) for who in CROWD]
    assert summary(told(world))[len(CROWD) :] == left
