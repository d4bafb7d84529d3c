"""The latency benchmark: a load that does not wait, and figures from when a request was due."""

import asyncio
import time
from typing import Any, cast

import msgspec
import pytest

from services.latency.load import Load, Sender, post, probe_name, seeds
from services.latency.watch import MissingError, Watch
from shared.domain.events import decode_record

LOAD = Load(rate=200, seconds=1, request_events=10, triggers=30, customers=50, warm_up_s=1)


class SlowSender:
    """Answers each request only after a while."""

    def __init__(self, answers_after_s: float) -> None:
        self.answers_after_s = answers_after_s
        self.bodies: list[bytes] = []
        self.at: list[float] = []

    async def send(self, body: bytes) -> None:
        self.bodies.append(body)
        self.at.append(time.monotonic())
        await asyncio.sleep(self.answers_after_s)


async def posted(load: Load, answers_after_s: float = 0.0) -> tuple[SlowSender, Watch]:
    sender, watch = SlowSender(answers_after_s), Watch()
    await post(cast("Sender", sender), load, watch)
    return sender, watch


def test_triggers_are_spread_evenly_and_each_customer_makes_one() -> None:
    numbers = [each for request in range(LOAD.requests) for each in LOAD.probes_of(request)]
    assert numbers == list(range(60)), "2 seconds of 30"
    assert {len(LOAD.probes_of(request)) for request in range(LOAD.requests)} == {1, 2}


def test_everybody_is_known_beforehand() -> None:
    events = [event for body in seeds(LOAD) for event in msgspec.json.decode(body)]
    leads = {each["subject"] for each in events if each["type"] == "tenure.account"}
    assert leads == {probe_name(each) for each in range(LOAD.probes)}
    assert len(events) == LOAD.customers + LOAD.probes


async def test_a_load_has_its_rate_its_triggers_and_no_event_twice() -> None:
    sender, _ = await posted(LOAD)
    events = [cast("Any", each) for body in sender.bodies for each in decode_record(body)]
    assert len(events) == LOAD.rate * 2
    assert len({each.id for each in events}) == len(events)
    assert sum(each.id.startswith("first-") for each in events) == 2 * LOAD.triggers


async def test_requests_do_not_wait_for_answers() -> None:
    sender, _ = await posted(LOAD, answers_after_s=0.5)
    late = max(at - sender.at[0] - LOAD.due_s(number) for number, at in enumerate(sender.at))
    assert late < 0.4, "as many requests wait for their answers as leave in half a second"


async def test_time_counts_from_when_a_request_was_due() -> None:
    watch = Watch()
    watch.expect(["a"], time.monotonic() - 10)
    watch.accepted(["a", "of the warm-up"])
    found = {each.name: each for each in watch.quantiles()}
    assert found["POST to 202"].count == 1
    assert found["POST to 202"].p50 == pytest.approx(10_000, abs=500)
    assert found["POST to trigger readable"].count == 0


async def test_a_trigger_that_does_not_come_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.latency.watch._DRAIN_S", 0.05)
    watch = Watch()
    watch.expect(["a", "b"], time.monotonic())
    with pytest.raises(MissingError, match="2 of 2 triggers did not come"):
        await watch.drained()
