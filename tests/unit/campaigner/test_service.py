"""Scores in, decisions and outbox out: killed on any line, delivered twice, out of its hands."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from shared.domain.campaign_state import LostPartitionError
from shared.domain.campaigns import Campaign
from shared.domain.outputs import Clock, DeadLetter, Score
from shared.domain.standings import Enrolment
from tests.campaign_builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    campaign,
    campaign_sets,
    histories,
    score,
)
from tests.unit.campaigner.world import Killed, World, emptied, everything

RISE = [score(risk=0.1), score(risk=0.7, step=1)]

many = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def killing(where: str, nth: int = 1) -> Callable[[str], None]:
    """Return a hook that ends the process as a place is passed for the nth time."""
    seen = [0]

    def hook(place: str) -> None:
        seen[0] += place == where
        if seen[0] == nth and place == where:
            raise Killed(place)

    return hook


def test_a_crossing_is_decided_published_and_settled(world: World) -> None:
    world.append(*RISE)
    assert world.process() == 1
    assert [(outcome, settled) for outcome, settled, _ in world.stored()] == [("fired", None)]
    world.now += 5
    assert world.publish() == 1
    assert [(outcome, settled) for outcome, settled, _ in world.stored()] == [("fired", T0 + 5)]
    (trigger,), (decision,) = world.bus.triggers(), world.bus.decisions()
    assert trigger.decision == decision.id
    assert (trigger.customer, trigger.risk) == ("anna", 0.7)
    assert world.publish() == 0


def test_whoever_is_told_of_decisions_is_told_after_the_commit(world: World) -> None:
    told: list[int] = []
    world.campaigner.on_decided(lambda: told.append(len(world.stored())))
    world.append(*RISE)
    world.process()
    assert told == [1]
    world.append(score(risk=0.8, step=2))
    world.process()
    assert told == [1]


@pytest.mark.parametrize("where", ["folded", "advanced", "written", "committed"])
def test_killed_on_any_line_it_goes_on_from_the_last_transaction(world: World, where: str) -> None:
    world.append(*RISE)
    world.hook = killing(where)
    with pytest.raises(Killed):
        world.process()
    world.hook = lambda _: None
    assert world.start() == {0: 2 if where == "committed" else 0}
    world.process()
    world.publish()
    assert [outcome for outcome, _, _ in world.stored()] == ["fired"]
    assert len(world.bus.triggers()) == 1


def test_an_error_in_the_database_forgets_what_was_only_in_memory(world: World) -> None:
    def fail(place: str) -> None:
        if place == "written":
            raise ConnectionError(place)

    world.append(*RISE)
    world.hook = fail
    with pytest.raises(ConnectionError):
        world.process()
    assert world.campaigner.leases() == []
    world.hook = lambda _: None
    world.positions = world.campaigner.own([0])
    assert world.process() == 1


def test_who_lost_its_partition_decides_nothing_and_knows_it(world: World) -> None:
    zombie = world.campaigner
    world.start()
    world.append(*RISE)
    with pytest.raises(LostPartitionError):
        zombie.process({0: world.log})
    assert zombie.leases() == []
    assert world.process() == 1


def test_records_before_the_position_are_passed_over(world: World) -> None:
    world.append(*RISE, b"unreadable")
    world.process()
    before = everything(world.engine)
    assert world.process(start=0, end=2) == 0
    assert world.process(start=0) == 0
    assert everything(world.engine) == before
    world.append(score(risk=0.8, step=3))
    world.process(start=0)
    world.publish()
    assert world.start() == {0: 4}
    assert len(world.bus.written("dead-letter")) == 1


def test_gaps_in_the_offsets_are_fine(world: World) -> None:
    """Compaction and transaction markers leave them."""
    world.append(*RISE, score(risk=0.2, step=2))
    log = [record._replace(offset=record.offset * 10 + 3) for record in world.log]
    assert world.campaigner.process({0: log}) == 1
    assert world.start() == {0: 24}


def test_records_of_partitions_that_are_not_owned_change_nothing(world: World) -> None:
    world.append(*RISE)
    assert world.campaigner.process({7: world.log}) == 0
    assert everything(world.engine)["customers"] == []


def test_a_clock_moves_the_partitions_time_and_nothing_else(world: World) -> None:
    world.append(*RISE)
    world.process()
    before = everything(world.engine)
    world.append(Clock(partition=0, at=T0 + HOUR))
    world.process()
    assert everything(world.engine) == before


def test_an_erased_customer_is_no_error(world: World) -> None:
    world.append(None, *RISE)
    assert world.process() == 1


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 5_000,
        b'{"kind":"score"}',
        b'{"kind":"refund"}',
        msgspec.json.encode(score("x" * 129)),
        msgspec.json.encode(score("a\0b")),
    ],
)
def test_what_cannot_be_read_becomes_a_dead_letter_and_holds_up_nothing(
    world: World, bad: bytes
) -> None:
    world.append(RISE[0], bad, RISE[1])
    assert world.process() == 1
    world.publish()
    (written,) = world.bus.written("dead-letter")
    headers = dict(written.message.headers)
    assert written.message.value == bad
    assert (headers["topic"], headers["partition"], headers["offset"]) == (
        "customer-scores", "0", "1",
    )  # fmt: skip
    assert headers["index"] == ""
    assert headers["error"]
    assert headers["reason"]
    assert headers["remedy"]


def test_a_letter_keeps_every_byte(world: World) -> None:
    value = bytes(range(256))
    letter = DeadLetter(value, "E", "$", "r", "m", 0, 0, None)
    assert msgspec.json.decode(msgspec.json.encode(letter), type=DeadLetter).value == value
    world.append(value)
    world.process()
    world.publish()
    assert world.bus.written("dead-letter")[0].message.value == value


def test_rules_hold_for_a_whole_batch(world: World) -> None:
    world.append(*RISE)
    world.rules = world.rules._replace(campaigns=[campaign(state="paused")])
    world.process()
    assert [outcome for outcome, _, _ in world.stored()] == ["suppressed"]


def test_a_released_cool_down_is_written_with_the_next_batch(world: World) -> None:
    world.rules = world.rules._replace(campaigns=[campaign(cool_down_ms=DAY)])
    world.append(*RISE)
    world.process()
    world.campaigner.release_enrolments(0, [Enrolment("anna", "early-warning", RISE[1].at)])
    world.campaigner.process({})
    world.start()
    world.append(score(risk=0.1, step=2), score(risk=0.7, step=3))
    world.process()
    assert [outcome for outcome, _, _ in world.stored()] == ["fired", "fired"]


@many
@given(histories(), campaign_sets(), st.data())
def test_any_suffix_delivered_again_changes_nothing(
    memory: Engine, scores: list[Score], campaigns: list[Campaign], data: st.DataObject
) -> None:
    world = World(emptied(memory), campaigns)
    world.append(*scores)
    world.process()
    before = everything(memory)
    world.start()
    world.process(start=data.draw(st.integers(0, len(scores))))
    assert everything(memory) == before


@many
@given(histories(), campaign_sets(), st.data())
def test_restarts_between_any_batches_decide_the_same(
    memory: Engine, scores: list[Score], campaigns: list[Campaign], data: st.DataObject
) -> None:
    whole = World(emptied(memory), campaigns)
    whole.append(*scores)
    whole.process()
    expected = [record for _, _, record in whole.stored()]
    parts = World(emptied(memory), campaigns)
    parts.append(*scores)
    for end in sorted(data.draw(st.lists(st.integers(0, len(scores)), max_size=4))):
        parts.process(end=end)
        parts.start()
    parts.process()
    assert [record for _, _, record in parts.stored()] == expected


#: Where a process may die, by the name that it passes there.
PLACES = [
    "folded", "advanced", "written", "committed", "selected", "sending",
    "triggers acknowledged", "decisions acknowledged", "settled", "forgotten",
]  # fmt: skip


class Day(NamedTuple):
    """A piece of the log is read and published; something breaks, is mended, and time passes."""

    records: int
    dies_at: str | None
    takes: bool
    acknowledges: bool
    then: int


DAYS = st.builds(
    Day,
    records=st.integers(0, 30),
    dies_at=st.none() | st.sampled_from(PLACES),
    takes=st.sampled_from([True, True, True, False]),
    acknowledges=st.sampled_from([True, True, True, False]),
    then=st.sampled_from([1, MINUTE, HOUR, 2 * DAY]),
)


def live_through(world: World, day: Day) -> None:
    """Process and publish; a death is followed by a restart."""
    world.bus.takes, world.bus.acknowledges = day.takes, day.acknowledges
    if day.dies_at is not None:
        world.hook = killing(day.dies_at)
    try:
        world.process(end=world.start()[0] + day.records)
        world.publish()
    except Killed:
        world.bus.takes = True  # nobody starts without Kafka
        world.start()
    except ConnectionError:
        pass  # the search of a topic while Kafka is away: the publisher tries again later
    world.hook = lambda _: None
    world.now += day.then


@settings(many, max_examples=150)
@given(histories(), campaign_sets(), st.lists(DAYS, min_size=1, max_size=5))
def test_through_crashes_and_outages_each_decision_has_one_final_outcome(
    memory: Engine,
    scores: list[Score],
    campaigns: list[Campaign],
    days: list[Day],
) -> None:
    world = World(emptied(memory), campaigns)
    world.append(*scores)
    for day in [*days, Day(len(scores), None, True, True, 2 * DAY), Day(0, None, True, True, 0)]:
        live_through(world, day)

    stored = world.stored()
    assert all(settled for _, settled, _ in stored)
    assert all(outcome == record.outcome for outcome, _, record in stored)
    expected = World(emptied(memory), campaigns)
    expected.append(*scores)
    expected.process()
    assert [each.id for _, _, each in stored] == [each.id for _, _, each in expected.stored()]

    fired = {record.id for outcome, _, record in stored if outcome == "fired"}
    held = {record.id for outcome, _, record in stored if record.arm == "control"}
    left = {each.decision for each in world.bus.triggers()}
    assert left == fired
    assert not left & held
    for written, trigger in zip(
        world.bus.written("retention-triggers"), world.bus.triggers(), strict=True
    ):
        assert written.at <= trigger.expires_at
    told = {(each.id, each.outcome) for each in world.bus.decisions()}
    assert told == {(record.id, outcome) for outcome, _, record in stored}
