"""From the outbox to the bus: at least once, one id, in time, and both arms alike."""

import pytest
from sqlalchemy import Engine

from services.campaigner.publisher import GRACE_MS
from shared import metrics
from tests.campaign_builders import DAY, HOUR, MINUTE, campaign, risk_over, score
from tests.unit.campaigner.world import Killed, World, emptied

RISE = [score(risk=0.1), score(risk=0.7, step=1)]
EXPIRES = RISE[1].at + HOUR


@pytest.fixture(params=["treatment", "control"])
def arm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(memory: Engine, arm: str) -> World:
    """A decision that waits in the outbox, in either arm."""
    world = World(emptied(memory), [campaign(control=float(arm == "control"), cool_down_ms=DAY)])
    world.append(*RISE)
    world.process()
    return world


def final_of(arm: str) -> str:
    return "fired" if arm == "treatment" else "held_out"


def die_at(world: World, where: str) -> None:
    def hook(place: str) -> None:
        if place == where:
            raise Killed(place)

    world.hook = hook
    with pytest.raises(Killed):
        world.publish()
    world.hook = lambda _: None
    world.start()


def test_on_the_last_millisecond_it_is_in_time(world: World, arm: str) -> None:
    world.now = EXPIRES
    assert world.publish() == 1
    assert [outcome for outcome, _, _ in world.stored()] == [final_of(arm)]
    assert len(world.bus.triggers()) == (arm == "treatment")


def test_the_time_from_the_event_to_its_trigger_is_measured(world: World, arm: str) -> None:
    before = _measured()
    world.now = RISE[1].at + MINUTE
    world.publish()
    count, seconds = _measured()
    fired = arm == "treatment"
    assert (count - before[0], seconds - before[1]) == (fired, 60 * fired)


def _measured() -> tuple[float, float]:
    (family,) = metrics.CAMPAIGNER_EVENT_SECONDS.collect()
    values = {sample.name.rpartition("_")[2]: sample.value for sample in family.samples}
    return values["count"], values["sum"]


def test_after_expiry_nothing_leaves_and_both_arms_expire_alike(world: World) -> None:
    world.now = EXPIRES + 1
    assert world.publish() == 0
    assert world.bus.topics == {}  # a producer that hangs might still deliver it
    world.now = EXPIRES + GRACE_MS + 1
    assert world.publish() == 1
    assert [(outcome, record.outcome) for outcome, _, record in world.stored()] == [
        ("expired", "expired")
    ]
    assert world.bus.triggers() == []
    assert [each.outcome for each in world.bus.decisions()] == ["expired"]


def test_what_expired_at_the_outbox_costs_no_cool_down(world: World, arm: str) -> None:
    world.now = EXPIRES + DAY
    world.publish()
    world.append(score(risk=0.1, step=60), score(risk=0.7, step=70))
    world.now = RISE[1].at + 70 * MINUTE
    world.process(start=2)
    assert [outcome for outcome, _, _ in world.stored()] == ["expired", final_of(arm)]


@pytest.mark.parametrize(
    "where", ["sending", "triggers acknowledged", "decisions acknowledged", "settled"]
)
def test_what_left_before_a_crash_is_not_declared_expired(
    world: World, arm: str, where: str
) -> None:
    die_at(world, where)
    world.now = EXPIRES + DAY
    assert world.publish() == 1
    assert [outcome for outcome, _, _ in world.stored()] == [final_of(arm)]
    assert {each.outcome for each in world.bus.decisions()} == {final_of(arm)}
    assert len(world.bus.triggers()) == (arm == "treatment")


def test_what_did_not_leave_before_a_crash_expires(world: World) -> None:
    die_at(world, "selected")
    world.now = EXPIRES + DAY
    world.publish()
    assert [outcome for outcome, _, _ in world.stored()] == ["expired"]


def test_a_crash_after_expiry_was_told_tells_the_same_again(world: World) -> None:
    world.now = EXPIRES + DAY
    die_at(world, "decisions acknowledged")
    assert [each.outcome for each in world.bus.decisions()] == ["expired"]
    world.publish()
    assert {each.outcome for each in world.bus.decisions()} == {"expired"}
    assert [outcome for outcome, _, _ in world.stored()] == ["expired"]


@pytest.mark.parametrize("where", ["sending", "triggers acknowledged", "settled"])
def test_a_crash_within_validity_sends_again_under_the_same_id(world: World, where: str) -> None:
    die_at(world, where)
    assert world.publish() == 1
    ids = {record.id for _, _, record in world.stored()}
    assert {each.id for each in world.bus.decisions()} == ids
    assert {each.decision for each in world.bus.triggers()} <= ids


def test_a_lost_acknowledgement_is_tried_again(world: World, arm: str) -> None:
    world.bus.acknowledges = False
    assert world.publish() == 0
    assert world.publisher.problem is not None
    world.bus.acknowledges = True
    assert world.publish() == 1
    assert world.publisher.problem is None
    assert len(world.bus.triggers()) == (2 if arm == "treatment" else 0)
    assert len({each.decision for each in world.bus.triggers()}) <= 1


@pytest.mark.parametrize("topic", ["retention-triggers", "campaign-decisions"])
def test_all_that_follows_must_be_acknowledged(world: World, arm: str, topic: str) -> None:
    world.bus.unacknowledged = topic
    needed = arm == "treatment" or topic == "campaign-decisions"
    assert world.publish() == (0 if needed else 1)
    world.bus.unacknowledged = ""
    assert world.publish() == (1 if needed else 0)
    assert {each.outcome for each in world.bus.decisions()} == {final_of(arm)}


def test_an_outage_keeps_everything_until_it_ends(world: World) -> None:
    world.bus.takes = False
    assert world.publish() == 0
    assert [settled for _, settled, _ in world.stored()] == [None]
    world.bus.takes = True
    assert world.publish() == 1


def test_the_topics_are_searched_only_for_what_expired(world: World) -> None:
    before = world.bus.searches
    world.publish()
    assert world.bus.searches == before


def test_the_decision_of_a_trigger_waits_for_the_trigger(world: World, arm: str) -> None:
    """Otherwise a crash in between could leave a fired decision whose trigger never left."""
    order: list[str] = []
    send = world.bus.send

    def noted(messages: list[object]) -> list[bool]:
        order.append(",".join(sorted({each.topic for each in messages})))  # type: ignore[attr-defined]
        return send(messages)  # type: ignore[arg-type]

    world.bus.send = noted  # type: ignore[assignment,method-assign]
    world.publish()
    trigger_first = ["retention-triggers", "campaign-decisions"]
    assert order == (trigger_first if arm == "treatment" else ["campaign-decisions"])


def test_suppressed_and_late_decisions_are_told_without_a_trigger(memory: Engine) -> None:
    world = World(emptied(memory), [campaign(state="paused"), campaign("late", valid_for_ms=1)])
    world.append(*RISE)
    world.now = RISE[1].at + MINUTE
    world.process()
    before = world.bus.searches
    world.publish()
    assert sorted(each.outcome for each in world.bus.decisions()) == ["expired", "suppressed"]
    assert world.bus.triggers() == []
    assert world.bus.searches == before


def test_rows_that_wait_for_their_expiry_do_not_hold_up_others(
    memory: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.campaigner.publisher.PAGE", 2)
    short = campaign("short", valid_for_ms=1)
    world = World(emptied(memory), [short, campaign(transactional=True)])
    crowd = [f"c{number}" for number in range(4)]
    world.append(*(score(who, 0.1, step) for step, who in enumerate(crowd)))
    world.append(*(score(who, 0.7, 4) for who in crowd))
    world.now = world_time = score(step=4).at
    world.process()
    world.now = world_time + 2
    assert world.publish() == 4
    assert {each.campaign for each in world.bus.triggers()} == {"early-warning"}


def test_the_new_owner_settles_what_the_former_one_sent(world: World) -> None:
    former, sent = world.publisher, world.bus.send
    world.bus.send = lambda messages: (world.start(), sent(messages))[1]  # type: ignore[assignment,method-assign]
    stop = _StopAfterOneAttempt()
    former.run(stop)  # type: ignore[arg-type]
    assert [settled for _, settled, _ in world.stored()] == [None]
    world.bus.send = sent  # type: ignore[method-assign]
    assert world.publish() == 1


def test_an_error_is_a_reason_for_not_being_ready_and_goes_away(world: World) -> None:
    world.now = EXPIRES + DAY
    world.bus.takes = False
    world.publisher.run(_StopAfterOneAttempt())  # type: ignore[arg-type]
    assert "ConnectionError" in str(world.publisher.problem)
    world.bus.takes = True
    world.publish()
    assert world.publisher.problem is None


class _StopAfterOneAttempt:
    def __init__(self) -> None:
        self.asked = 0

    def is_set(self) -> bool:
        self.asked += 1
        return self.asked > 1


def test_a_trigger_says_what_the_campaign_was(memory: Engine) -> None:
    world = World(emptied(memory), [campaign(trigger=risk_over(0.6, 0.5), version="v7")])
    world.append(*RISE)
    world.process()
    world.publish()
    (trigger,) = world.bus.triggers()
    assert (trigger.version, trigger.threshold, trigger.expires_at) == ("v7", 0.6, EXPIRES)
