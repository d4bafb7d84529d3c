"""A customer's trail through the logs: what is found, how far it looks, and what it leaves out."""

import json

import msgspec
import pytest

from services.campaigner.console.questions.moves import MoveCounter
from services.campaigner.console.questions.trail import Trail
from shared.adapters.event_log import customer_partition
from shared.domain.outputs import Identity, Transition
from tests.campaign_builders import DAY, T0, raw, score
from tests.unit.console.logs import MemoryLogs

ANNA = "anna"


def put_events(logs: MemoryLogs, *events: dict[str, object], who: str = ANNA) -> None:
    value = json.dumps(events).encode() if len(events) != 1 else json.dumps(events[0]).encode()
    logs.append("customer-events", customer_partition(who, 2), value)


def event(subject: str = ANNA, number: int = 1, **data: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "type": "tenure.purchase",
        "source": "shop",
        "id": str(number),
        "subject": subject,
        "time": "2026-01-31T12:00:00Z",
        "data": {"amount": 20, **data},
    }


def move(before: str, after: str, at: int = T0, number: int = 0) -> bytes:
    made = Transition(ANNA, at, Identity(0, number, 0), before, after, "silent", DAY)  # type: ignore[arg-type]
    return msgspec.json.encode(made)


def test_all_that_is_about_the_customer_is_found() -> None:
    logs, own = MemoryLogs(), customer_partition(ANNA, 2)
    put_events(logs, event("annabel"), event(product="tea"))
    put_events(logs, event(number=2, amount=30))
    logs.append("score-history", own, raw(score(ANNA, 0.4)).encode(), ANNA.encode())
    logs.append("score-history", own, raw(score("bela", 0.9)).encode(), b"bela")
    logs.append("lifecycle-transitions", own, move("growth", "decline"), ANNA.encode())
    past = Trail(logs, ANNA).look()
    assert [(each.kind, each.title) for each in past.entries] == [
        ("event", "purchase: 20.00, tea"),
        ("event", "purchase: 30.00"),
        ("score", "risk 40%, growth"),
        ("stage", "growth → decline"),
    ]
    assert past.risks == [(T0, 0.4)]
    assert (past.complete, past.problem) == (True, None)


@pytest.mark.parametrize("name", ['a"b', "c\\d", "ünal", "<b>"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_an_id_is_found_however_it_is_escaped(name: str, ascii_only: bool) -> None:
    logs = MemoryLogs()
    value = json.dumps([event(name)], ensure_ascii=ascii_only).encode()
    logs.append("customer-events", customer_partition(name, 2), value)
    assert len(Trail(logs, name).look().entries) == 1


def test_what_arrives_is_added_and_nothing_is_read_twice() -> None:
    logs = MemoryLogs()
    put_events(logs, event())
    trail = Trail(logs, ANNA)
    trail.look()
    put_events(logs, event(number=2, amount=99))
    assert len(trail.look().entries) == 2
    assert len(trail.look().entries) == 2
    assert logs.read_records == 2


def test_scores_that_say_the_same_are_one_line() -> None:
    logs, own = MemoryLogs(), customer_partition(ANNA, 2)
    for step, risk in enumerate((0.41, 0.42, 0.44, 0.46, 0.47)):
        logs.append("score-history", own, raw(score(ANNA, risk, step)).encode(), ANNA.encode())
    past = Trail(logs, ANNA).look()
    assert [each.title for each in past.entries] == ["risk 41%, growth", "risk 46%, growth"]
    assert len(past.risks) == 5


def test_it_looks_further_back_when_asked() -> None:
    logs = MemoryLogs(first=100)
    for number in range(9_000):
        put_events(logs, event(number=number) if number in {50, 150, 4_500} else {})
    trail = Trail(logs, ANNA)
    assert (len(trail.look().entries), trail.look().complete) == (0, False)
    assert [each.detail for each in trail.look_back().entries] == ["shop, id 4500"]
    past = trail.look_back()  # what is before the first that Kafka keeps has aged out
    assert [each.detail for each in past.entries] == ["shop, id 150", "shop, id 4500"]
    assert past.complete


def test_what_cannot_be_read_is_left_alone() -> None:
    logs, own = MemoryLogs(), customer_partition(ANNA, 2)
    for value in (b"", b"[", b'["anna"]', b'{"subject":"anna"}', b'[{"subject":"anna","time":3}]'):
        logs.append("customer-events", own, value)
    for topic in ("score-history", "lifecycle-transitions"):
        logs.append(topic, own, b"{}", ANNA.encode())
    assert Trail(logs, ANNA).look().entries == []


def test_without_kafka_it_says_so_and_keeps_what_it_has() -> None:
    logs = MemoryLogs()
    put_events(logs, event())
    trail = Trail(logs, ANNA)
    assert len(trail.look().entries) == 1
    logs.away = True
    for past in (trail.look(), trail.look_back()):
        assert len(past.entries) == 1
        assert past.problem == "no Kafka answers. Start it"
    assert Trail(logs, ANNA).look().problem is not None


def test_moves_add_up_as_they_come() -> None:
    logs = MemoryLogs()
    counter = MoveCounter(logs)
    assert counter.look().total == 0
    logs.append("lifecycle-transitions", 0, move("growth", "decline", T0))
    logs.append("lifecycle-transitions", 1, move("growth", "decline", T0 + DAY))
    logs.append("lifecycle-transitions", 1, b"nonsense")
    logs.append("lifecycle-transitions", 1, move("decline", "dormant", T0 + 2 * DAY))
    found = counter.look()
    assert found.counts == {("growth", "decline"): 2, ("decline", "dormant"): 1}
    assert (found.first, found.last, found.total) == (T0, T0 + 2 * DAY, 3)
    assert counter.look() == found
