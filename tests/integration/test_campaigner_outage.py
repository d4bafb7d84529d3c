"""A broker that goes away: what is still valid leaves when it is back, the rest expires."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from kafka.errors import KafkaError

from services.campaigner.bootstrap import Campaigning, build, wall_clock
from services.campaigner.bus import KafkaBus
from services.campaigner.messages import decision_message
from services.campaigner.publisher import GRACE_MS
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.domain.campaign_decisions import Crossing, decide
from shared.domain.campaigns import UNTOUCHED
from shared.domain.outputs import Identity
from shared.settings import Settings, load_settings
from tests.campaign_builders import DAY, HOUR, campaign, score
from tests.integration.campaigner_kafka import (
    PARTITIONS,
    decisions,
    make_topics,
    send_scores,
    triggers,
)
from tests.waiting import until

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

CAMPAIGNS = """\
campaigns:
  - name: treated
    state: live
    trigger: {risk_over: 0.6}
    channel: sms
    offer: ten-percent-off
    control: 0%
  - name: held-out
    state: live
    trigger: {risk_under: 0.2}
    channel: sms
    offer: ten-percent-off
    control: 100%
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedKafka]:
    """One that only these tests stop."""
    with EmbeddedKafka() as broker:
        yield broker


@pytest.fixture
def settings(broker: EmbeddedKafka, prefix: str, tmp_path: Path) -> Settings:
    path = tmp_path / "campaigns.yaml"
    path.write_text(CAMPAIGNS)
    settings = load_settings(
        kafka_bootstrap_servers=broker.bootstrap_servers,
        topic_prefix=prefix,
        partitions=PARTITIONS,
        database_url=f"sqlite:///{tmp_path / 'tenure.db'}",
        campaigner_port=0,
        campaigns_file=path,
        session_timeout_s=6,
    )
    make_topics(settings)
    return settings


class Clock:
    """The wall clock, and how far ahead of it we pretend to be."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return wall_clock() + self.ahead


class Gate:
    """Holds the publisher before it sends, so that the broker can go away first."""

    def __init__(self) -> None:
        self.closed = False

    def __call__(self, place: str) -> None:
        if place == "selected" and self.closed:
            raise ConnectionError("the gate is closed")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def running(settings: Settings, clock: Clock, gate: Gate) -> AsyncIterator[Campaigning]:
    errors: list[BaseException] = []
    stop = asyncio.Event()
    campaigning = build(settings, clock=clock, hook=gate, fail=errors.append)
    work = asyncio.create_task(campaigning.run(stop))
    await until(lambda: not campaigning.health.reasons())
    yield campaigning
    stop.set()
    await work
    assert not errors


async def crossed(settings: Settings, running: Campaigning, gate: Gate) -> None:
    """Have a crossing decided by each campaign, and wait in the outbox."""
    gate.closed = True
    now = wall_clock()
    risks = [("anna", 0.5), ("anna", 0.7), ("bert", 0.5), ("bert", 0.1)]
    scores = [
        score(customer, risk, at=now, origin=Identity(0, number, 0))
        for number, (customer, risk) in enumerate(risks)
    ]
    await asyncio.to_thread(send_scores, settings, scores)
    await until(lambda: "outbox" in running.health.reasons())


async def live_through(
    outage: int, broker: EmbeddedKafka, running: Campaigning, clock: Clock, gate: Gate
) -> None:
    """Have the broker away, until the campaigner notices, for what the clock takes for so long."""
    await asyncio.to_thread(broker.kill)
    gate.closed = False
    await until(lambda: "does not" in str(running.health.reasons().get("scores")))
    clock.ahead = outage
    await asyncio.to_thread(broker.restart)
    await until(lambda: not running.health.reasons())


async def test_after_a_short_outage_what_is_valid_leaves(
    settings: Settings, broker: EmbeddedKafka, running: Campaigning, clock: Clock, gate: Gate
) -> None:
    await crossed(settings, running, gate)
    await live_through(HOUR // 2, broker, running, clock, gate)
    await until(lambda: len(decisions(settings)) >= 2)
    outcomes = {each.campaign: each.outcome for each in decisions(settings)}
    assert outcomes == {"treated": "fired", "held-out": "held_out"}
    assert {each.campaign for each in triggers(settings)} == {"treated"}


async def test_after_six_hours_both_arms_expire_alike(
    settings: Settings, broker: EmbeddedKafka, running: Campaigning, clock: Clock, gate: Gate
) -> None:
    await crossed(settings, running, gate)
    await live_through(6 * HOUR, broker, running, clock, gate)
    await until(lambda: len(decisions(settings)) >= 2)
    assert {each.outcome for each in decisions(settings)} == {"expired"}
    assert triggers(settings) == []


def test_a_bus_that_hangs_says_no_before_the_grace_is_over(
    settings: Settings, broker: EmbeddedKafka
) -> None:
    crossing = Crossing(campaign(), score(risk=0.7), UNTOUCHED, 0.1, wall_clock() - DAY, "salt")
    message = decision_message(decide(crossing))
    bus = KafkaBus(settings)
    assert bus.send([message]) == [True]
    broker.pause()
    try:
        started = time.monotonic()
        assert bus.send([message, message]) == [False, False]
        assert (time.monotonic() - started) * 1000 < GRACE_MS
    finally:
        broker.resume()
    assert bus.send([message]) == [True]
    bus.close()


def test_a_bus_that_cannot_look_back_does_not_guess(
    settings: Settings, broker: EmbeddedKafka
) -> None:
    bus = KafkaBus(settings)
    before = threading.active_count()
    broker.kill()
    try:
        with pytest.raises(KafkaError):
            bus.find("campaign-decisions", 0)
        assert threading.active_count() == before  # or each try would leave one behind
    finally:
        broker.restart()
    assert bus.find("campaign-decisions", 0) == {}
