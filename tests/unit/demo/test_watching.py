"""The demo's eyes: samples of the services, the screen, and waiting without end or hurry."""

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from services.demo.monitor import Model, Monitor, Sample, read_metrics, read_sample
from services.demo.screen import Rate, plain, screen
from services.demo.service import InStep, UnsettledError, until
from services.replay.pace import EventsPerSecond
from services.replay.plan import Tick
from services.standalone.stack import Stack
from shared.domain.policy import DAY_MS
from tests.unit.demo.builders import sample

STATUS: dict[str, Any] = {
    "partitions": {
        "0": {
            "offset": 5,
            "now": 10 * DAY_MS,
            "customers": 3,
            "counts": {"accepted": 9, "applied": 7, "duplicates": 1, "dead_letters": 1},
            "stages": {"growth": 2, "lapsed": 1},
        },
        "1": {
            "offset": 4,
            "now": 12 * DAY_MS,
            "customers": 1,
            "counts": {"accepted": 4, "applied": 4, "duplicates": 0, "dead_letters": 0},
            "stages": {"growth": 1},
        },
    },
    "lag": 2,
    "model": {"version": 3, "labels": 100, "auc": 0.8, "log_loss": 0.4, "ece": None, "recent": {}},
}
CAMPAIGNS: dict[str, Any] = {
    "campaigns": [{"outcomes": {"fired": 2}}, {"outcomes": {"fired": 1, "held_out": 1}}]
}


class Clock:
    """A clock that moves a second each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def watched(*samples: Sample) -> Monitor:
    """Return a monitor that saw these samples; the last is its newest."""
    monitor = Monitor(nowhere(), lambda: 0)
    monitor.samples += samples
    return monitor


def nowhere() -> Stack:
    return cast("Stack", SimpleNamespace(url=lambda _: "http://127.0.0.1:1"))


def test_a_sample_adds_up_partitions_and_campaigns() -> None:
    gauges = {"tenure_campaigner_lag_records": 4.0, "tenure_campaigner_outbox_rows": 1.0}
    found = read_sample(1.5, 20, STATUS, CAMPAIGNS, gauges)
    assert (found.now, found.at, found.lag, found.behind) == (10 * DAY_MS, 11 * DAY_MS, 2, 5)
    assert (found.in_state, found.accounted, found.customers) == (11, 12, 4)
    assert (found.stages["growth"], found.stages["lapsed"], found.stages["decline"]) == (3, 1, 0)
    assert found.outcomes == {"fired": 3, "held_out": 1, "suppressed": 0, "expired": 0}
    assert found.model == Model(3, 100, 0.8, 0.4, None)


def test_without_a_trainer_there_is_no_model() -> None:
    assert read_sample(0, 0, STATUS | {"model": None}, CAMPAIGNS, {}).model == Model()


def test_metrics_are_summed_over_their_labels() -> None:
    page = '# TYPE a gauge\na{x="1"} 2\na{x="2"} 3\n# TYPE b counter\nb_total 7\n'
    assert read_metrics(page) == {"a": 5.0, "b_total": 7.0}


async def test_a_service_that_does_not_answer_makes_no_sample() -> None:
    monitor = watched()
    assert await monitor.sample() is None
    await monitor.close()
    assert monitor.samples == [Sample()]


async def test_waiting_ends_when_nothing_is_missing_and_all_is_quiet() -> None:
    clock = Clock()
    await until(watched(sample()), lambda _: [], quiet_s=3, clock=clock)
    assert clock.now > 3


async def test_time_that_passes_is_a_sign_of_life_and_no_unrest() -> None:
    monitor, clock = watched(sample()), Clock()

    def missing(last: Sample) -> list[str]:
        monitor.samples.append(sample(now=last.now + 1))
        return ["more"] if clock.now < 100 else []

    await until(monitor, missing, quiet_s=3, clock=clock)
    assert 100 < clock.now < 120


async def test_waiting_gives_up_and_says_what_is_missing() -> None:
    with pytest.raises(UnsettledError, match="one trigger has not left"):
        await until(watched(sample()), lambda _: ["one trigger has not left"], clock=Clock())


async def test_while_something_moves_nobody_gives_up() -> None:
    monitor = watched(sample(counts={"applied": 0}))

    def missing(last: Sample) -> list[str]:
        arrived = last.counts["applied"]
        monitor.samples.append(sample(counts={"applied": arrived + 1}))
        return ["more"] if arrived < 100 else []

    clock = Clock()
    await until(monitor, missing, clock=clock)
    assert clock.now > 100  # seconds, of which it forgives sixty


async def test_the_pace_waits_for_the_scorer() -> None:
    monitor = watched(sample(counts={"applied": 0}))
    asked = []

    def ahead(last: Sample) -> list[str]:
        asked.append(last)
        monitor.samples.append(sample(counts={"applied": len(asked)}))
        return ["too far ahead"] if len(asked) < 4 else []

    await InStep(EventsPerSecond(1_000), monitor, ahead).wait(Tick(0))
    assert len(asked) == 4


def test_a_line_tells_how_it_goes() -> None:
    line = plain(sample(lag=5), rate=1234.5)
    assert line.startswith("1970-04-11  accepted 1,000  in state 997  lag 5  1,234 events/s")
    assert "AUC 0.870 (500 labels)  fired 2  held out 1" in line


def test_without_a_terminal_there_is_a_line_every_five_seconds() -> None:
    output = io.StringIO()
    with screen(Console(file=output, width=200)) as shown:
        shown.say("[starting]")
        for second in range(11):
            shown.show(sample(seconds=float(second), accepted=second))
    first, *lines = output.getvalue().splitlines()
    assert first == "[starting]"
    assert [line.split()[2] for line in lines] == ["0", "5", "10"]


def test_on_a_terminal_there_is_a_picture() -> None:
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=True, color_system=None)
    with screen(console) as shown:
        shown.expect(2_000)
        shown.say("Replaying")
        shown.show(sample())
    picture = output.getvalue()
    for part in ("1970-04-11", "1,000", "0.870", "lapsed", "held out", "Replaying"):
        assert part in picture


def test_the_rate_is_over_the_last_seconds() -> None:
    rate = Rate()
    for second in range(20):
        events = 100 * second if second < 10 else 1000 + 10 * (second - 10)
        rate.of(sample(seconds=float(second), counts={"applied": events}))
    assert rate.value == pytest.approx(10)
