"""Answers that are kept: asked anew when they have aged, shown while they cannot be."""

import threading

from services.campaigner.console.kept import Answer, Kept
from shared.domain.errors import TenureError


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_good_for_a_while() -> None:
    time, asked = Time(), list[float]()
    kept = Kept(lambda: asked.append(time.now) or len(asked), least_s=2, clock=time)
    assert (kept.get().value, kept.get().value) == (1, 1)
    time.now = 1.9
    assert kept.get().value == 1
    time.now = 2.0
    assert kept.get().value == 2


def test_what_takes_long_is_asked_rarely() -> None:
    time = Time()

    def slow() -> float:
        time.now += 3.0
        return time.now

    kept = Kept(slow, least_s=2, clock=time)
    assert kept.get().value == 3.0
    time.now = 62.9  # a twentieth of the time: 3 s in 60
    assert kept.get().value == 3.0
    time.now = 63.0
    assert kept.get().value == 66.0


def test_a_failure_leaves_the_last_answer_and_says_why() -> None:
    time, answers = Time(), iter([1, TenureError("Kafka is away. Start it."), KeyError("x"), 4])

    def ask() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    kept = Kept(ask, least_s=1, clock=time)
    found = []
    for now in (0, 1, 2, 3):
        time.now = now
        found.append(kept.get())
    assert found[0] == Answer(1)
    assert found[1] == Answer(1, "Kafka is away. Start it.")
    assert found[2].value == 1
    assert "KeyError" in str(found[2].problem)
    assert found[3] == Answer(4)


def test_nobody_waits_for_another_who_asks() -> None:
    time, asking, go_on = Time(), threading.Event(), threading.Event()
    values = iter(["first", "second"])

    def ask() -> str:
        value = next(values)
        if value == "second":
            asking.set()
            assert go_on.wait(10)
        return value

    kept = Kept(ask, least_s=1, clock=time)
    assert kept.get().value == "first"
    time.now = 1.0
    other = threading.Thread(target=kept.get)
    other.start()
    assert asking.wait(10)
    assert kept.get().value == "first"
    go_on.set()
    other.join(10)
    assert kept.get().value == "second"
