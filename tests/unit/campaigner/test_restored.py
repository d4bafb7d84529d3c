"""A database that is restored from an older backup: what left has left, nothing leaves twice."""

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select

from shared.adapters.sql.tables import audit, budgets, metadata
from shared.domain.budgets import Budget
from shared.domain.campaigns import Campaign, GuardRails
from shared.domain.outputs import Clock, Score
from tests.campaign_builders import DAY, HOUR, MINUTE, T0, campaign
from tests.campaign_builders import score as score_of
from tests.campaign_lives import RAILS, files, happenings, lives
from tests.unit.campaigner.world import World, emptied

RISE = [score_of(risk=0.1), score_of(risk=0.7, step=1)]
Backup = dict[str, list[dict[str, object]]]


def backup(engine: Engine) -> Backup:
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in metadata.sorted_tables
            if table is not audit
        }


def restore(engine: Engine, saved: Backup) -> None:
    with emptied(engine).begin() as connection:
        for name, rows in saved.items():
            if rows:
                connection.execute(insert(metadata.tables[name]), rows)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lives(), files(), RAILS, st.data())
def test_after_a_restore_nothing_leaves_twice_and_all_is_decided_as_it_was(
    memory: Engine,
    scores: list[Score],
    campaigns: list[Campaign],
    rails: GuardRails,
    data: st.DataObject,
) -> None:
    world, happened = World(emptied(memory), campaigns, rails=rails), list(happenings(scores))
    size, saved_at = data.draw(st.integers(1, 20)), data.draw(st.integers(0, len(happened)))
    saved = backup(memory)
    for start in range(0, len(happened), size):
        for each in happened[start : start + size]:
            world.append(Clock(partition=0, at=each) if isinstance(each, int) else each)
            world.now = each if isinstance(each, int) else each.at
        world.process(0)
        if start <= saved_at:  # with what waits in the outbox
            saved = backup(memory)
        world.publish()
    told = world.outcomes()
    settled = {each.id: outcome for outcome, at, each in world.stored() if at is not None}
    left = Counter(each.decision for each in world.bus.triggers())

    restore(memory, saved)
    world.now += data.draw(st.sampled_from([MINUTE, DAY]))
    world.start()
    world.process(0)
    world.publish()
    assert Counter(each.decision for each in world.bus.triggers()) == left
    assert {
        each: outcome for each, outcome in world.outcomes().items() if each in settled
    } == settled
    assert set(world.outcomes()) == set(told)


def lived(world: World) -> Backup:
    """Back up a database from before the crossing, and live on."""
    world.append(RISE[0])
    world.process()
    saved = backup(world.engine)
    world.append(RISE[1])
    world.process(0)
    world.publish()
    return saved


def test_a_contact_that_the_database_forgot_still_counts(memory: Engine) -> None:
    """For the cool-down, and against the budget."""
    rule = campaign(cool_down_ms=DAY, cost_per_contact=1.0)
    world = World(emptied(memory), [rule], rails=GuardRails(budget=Budget(in_all=10)))
    restore(memory, lived(world))
    world.now += 5 * HOUR  # what it forgot would be expired by now
    world.append(score_of(risk=0.1, step=300), score_of(risk=0.7, step=301))
    world.start()
    world.process(0)
    assert [each.outcome for _, _, each in world.stored()] == ["fired", "suppressed"]
    with memory.connect() as connection:
        assert connection.execute(select(budgets.c.spent)).scalar() == 1_000_000


def test_it_is_remembered_through_a_crash_before_the_decision_is_told_again(
    memory: Engine,
) -> None:
    world = World(emptied(memory), [campaign(valid_for_ms=DAY)])
    restore(memory, lived(world))
    world.start()
    world.process(0)
    world.start()
    world.publish()
    assert len(world.bus.triggers()) == 1


def test_what_waited_in_the_outbox_of_the_backup_may_have_left(memory: Engine) -> None:
    world = World(emptied(memory), [campaign(valid_for_ms=DAY)])
    world.append(*RISE)
    world.process()
    saved = backup(memory)
    world.publish()
    restore(memory, saved)
    world.start()
    assert world.publish() == 1
    assert len(world.bus.triggers()) == 1
    assert [settled for _, settled, _ in world.stored()] == [T0]


def test_the_topics_are_read_back_only_from_where_the_database_stands(memory: Engine) -> None:
    """By an empty database not at all: what they hold is about crossings that it does not see."""
    world = World(emptied(memory), [campaign()])
    assert world.bus.searches == 0
    world.append(*RISE)
    world.process()
    world.start()
    assert world.bus.searches == 3  # decisions, triggers, and who was erased


def test_with_an_empty_database_the_same_number_is_another_crossing(memory: Engine) -> None:
    world = World(emptied(memory), [campaign()])
    lived(world)
    emptied(memory)
    world.now += DAY
    world.start()
    anew = (score_of(risk=0.1, step=1_440), score_of(risk=0.7, step=1_441))
    world.log.clear()
    world.append(*anew)
    world.process()
    world.publish()
    assert len(world.bus.triggers()) == 2  # under one id: tools may drop the second
