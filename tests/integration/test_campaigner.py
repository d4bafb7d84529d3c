"""A campaigner on a real Kafka, from the score to the trigger and the operator's answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event

from services.campaigner.bootstrap import Campaigning, build, wall_clock
from services.campaigner.bus import KafkaBus
from services.campaigner.ports import Message
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.domain.outputs import Identity, Score
from shared.settings import Settings, load_settings
from tests.campaign_builders import DAY, HOUR, score
from tests.integration.campaigner_kafka import (
    PARTITIONS,
    decisions,
    make_topics,
    records,
    send_scores,
    triggers,
)
from tests.waiting import until

pytestmark = pytest.mark.kafka

T = TypeVar("T")

CAMPAIGNS = """\
campaigns:
  - name: early-warning
    state: live
    trigger: {risk_over: 0.6}
    channel: sms
    offer: ten-percent-off
    control: 0%
    cool_down: 0s
"""


@pytest.fixture
def settings(kafka: EmbeddedKafka, prefix: str, tmp_path: Path) -> Settings:
    campaigns = tmp_path / "campaigns.yaml"
    campaigns.write_text(CAMPAIGNS)
    settings = load_settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=prefix,
        partitions=PARTITIONS,
        database_url=f"sqlite:///{tmp_path / 'tenure.db'}",
        campaigner_port=0,
        campaigns_file=campaigns,
        session_timeout_s=6,
    )
    make_topics(settings)
    return settings


async def eventually(ask: Callable[[], Awaitable[T | None]], seconds: float = 60) -> T:
    """Ask until there is an answer."""
    async with asyncio.timeout(seconds):
        while not (answer := await ask()):  # noqa: ASYNC110  # the answer is over HTTP
            await asyncio.sleep(0.05)
        return answer


class Running:
    """A campaigner that works in this process."""

    def __init__(self, campaigning: Campaigning, errors: list[BaseException]) -> None:
        self.campaigning = campaigning
        self.errors = errors

    def ready(self) -> bool:
        assert not self.errors
        return not self.campaigning.health.reasons()

    async def get(self, path: str, **query: str) -> httpx.Response:
        url = f"http://127.0.0.1:{self.campaigning.server.port}{path}"
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.get(url, params=query)

    async def metric(self, name: str) -> float:
        lines = (await self.get("/metrics")).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@pytest.fixture
async def running(settings: Settings) -> AsyncIterator[Running]:
    errors: list[BaseException] = []
    stop = asyncio.Event()
    campaigning = build(settings, fail=errors.append)
    work = asyncio.create_task(campaigning.run(stop))
    running = Running(campaigning, errors)
    await until(running.ready)
    yield running
    stop.set()
    await work
    assert not errors


def rise(customer: str, start: int = 0) -> list[Score]:
    """Return a fall and a rise over the threshold, now."""
    now = wall_clock()
    return [
        score(customer, 0.1, at=now, origin=Identity(0, start, 0)),
        score(customer, 0.7, at=now, origin=Identity(0, start + 1, 0)),
    ]


async def test_a_crossing_becomes_a_cloud_event_that_a_campaign_tool_can_read(
    settings: Settings, running: Running
) -> None:
    await asyncio.to_thread(send_scores, settings, rise("änne/7"))
    await until(lambda: len(decisions(settings)) == 1)
    (record,) = records(settings, "retention-triggers")
    event = from_binary_event(KafkaMessage(dict(record.headers), record.key, record.value))
    (decision,) = decisions(settings)
    assert event.get_id() == decision.id
    assert (event.get_type(), event.get_source()) == ("tenure.trigger", "tenure/campaigner")
    assert (event.get_subject(), record.key.decode()) == ("änne/7", "änne/7")
    assert event.get_datacontenttype() == "application/json"
    assert event.get_time().timestamp() * 1000 == decision.decided_at
    data = event.get_data()
    assert (data["offer"], data["expires_at"]) == ("ten-percent-off", decision.at + HOUR)


async def test_an_operator_sees_who_was_contacted_and_why(
    settings: Settings, running: Running
) -> None:
    await asyncio.to_thread(send_scores, settings, rise("änne/7"))
    await until(lambda: triggers(settings))
    profile = (await running.get("/v1/customers/änne%2F7")).json()
    assert (profile["customer"], profile["risk"]) == ("änne/7", 0.7)

    async def settled() -> dict[str, Any] | None:
        page = (await running.get("/v1/customers/änne%2F7/decisions")).json()
        decision: dict[str, Any] = page["decisions"][0]
        return decision if decision["settled_at"] else None

    decision = await eventually(settled)
    assert decision["outcome"] == "fired"
    assert {each["check"] for each in decision["checks"] if each["passed"]} >= {"stage", "consent"}
    assert (await running.get(f"/v1/decisions/{decision['id']}")).json() == decision
    (campaign,) = (await running.get("/v1/campaigns")).json()["campaigns"]
    assert (campaign["name"], campaign["outcomes"]) == ("early-warning", {"fired": 1})
    assert (await running.get("/v1/stages")).json() == {"stages": {"growth": 1}}


async def test_what_was_not_committed_is_not_decided_and_does_not_count_as_lag(
    settings: Settings, running: Running
) -> None:
    await asyncio.to_thread(send_scores, settings, rise("aborted"), commit=False)
    await asyncio.to_thread(send_scores, settings, rise("committed"), commit=True)
    await until(lambda: triggers(settings))
    assert {each.customer for each in triggers(settings)} == {"committed"}

    async def caught_up() -> bool:
        return await running.metric("tenure_campaigner_lag_records") == 0

    assert await eventually(caught_up)


async def test_a_changed_campaign_file_is_in_force_without_a_restart(
    settings: Settings, running: Running
) -> None:
    assert settings.campaigns_file is not None
    settings.campaigns_file.write_text(CAMPAIGNS.replace("state: live", "state: paused"))
    before = running.campaigning.server

    async def paused() -> bool:
        (campaign,) = (await running.get("/v1/campaigns")).json()["campaigns"]
        return bool(campaign["state"] == "paused")

    assert await eventually(paused)
    await asyncio.to_thread(send_scores, settings, rise("anna"))
    await until(lambda: decisions(settings))
    assert [each.outcome for each in decisions(settings)] == ["suppressed"]
    assert running.campaigning.server is before


async def test_two_years_of_history_contact_nobody_and_the_present_goes_on(
    settings: Settings, running: Running
) -> None:
    await asyncio.to_thread(send_scores, settings, rise("before"))
    await until(lambda: len(triggers(settings)) == 1)
    old, days = wall_clock() - 730 * DAY, 730
    past = [
        score(who, 0.7 if day % 2 else 0.1, at=old + day * DAY, origin=Identity(0, 9 * day + n, 0))
        for day in range(days)
        for n, who in enumerate(("anna", "bela", "chris"))
    ]
    await asyncio.to_thread(send_scores, settings, past)
    await asyncio.to_thread(send_scores, settings, rise("after", 9 * days))
    await until(lambda: len(triggers(settings)) == 2)
    await until(lambda: len(decisions(settings)) == 2 + 3 * days // 2)
    history = [each for each in decisions(settings) if each.customer not in {"before", "after"}]
    assert {each.outcome for each in history} == {"expired"}
    assert {each.customer for each in triggers(settings)} == {"before", "after"}


async def test_unreadable_bytes_become_a_dead_letter(settings: Settings, running: Running) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    producer.send(settings.topic("customer-scores"), b"{", b"key", partition=1).get(10)
    producer.close()
    await until(lambda: records(settings, "dead-letter"))
    (letter,) = records(settings, "dead-letter")
    assert letter.value == b"{"
    headers = {name: value.decode() for name, value in letter.headers}
    assert (headers["topic"], headers["partition"]) == (settings.topic("customer-scores"), "1")
    assert running.ready()


async def test_a_topic_that_was_made_anew_is_not_read_silently(settings: Settings) -> None:
    from kafka import KafkaAdminClient

    await asyncio.to_thread(send_scores, settings, rise("anna"))
    stop = asyncio.Event()
    work = asyncio.create_task(build(settings).run(stop))
    await until(lambda: triggers(settings))
    stop.set()
    await work
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    admin.delete_topics([settings.topic("customer-scores")])
    admin.close()
    await until(lambda: _made_again(settings))
    again, stop = build(settings), asyncio.Event()
    work = asyncio.create_task(again.run(stop))
    await until(lambda: "TENURE_DATABASE_URL" in str(again.consumer.problem))
    stop.set()
    await work


def _made_again(settings: Settings) -> bool:
    """Try until the deletion is through."""
    make_topics(settings)
    try:
        return len(records(settings, "customer-scores")) == 0
    except TypeError:
        return False


def test_the_bus_finds_what_was_written_since(settings: Settings) -> None:
    bus = KafkaBus(settings)
    early = [_message(number) for number in range(3)]
    assert bus.send(early) == [True, True, True]
    between = max(each.timestamp for each in records(settings, "campaign-decisions")) + 1
    while wall_clock() <= between:
        pass
    late = [_message(number) for number in range(3, 6)]
    assert bus.send(late) == [True, True, True]
    found = bus.find("campaign-decisions", between)
    assert sorted(found) == ["id-3", "id-4", "id-5"]
    assert found["id-4"]["ce_outcome"] == "fired"
    assert sorted(bus.find("campaign-decisions", 0)) == [f"id-{number}" for number in range(6)]
    assert bus.find("campaign-decisions", wall_clock() + DAY) == {}
    assert bus.find("retention-triggers", 0) == {}
    bus.close()


def _message(number: int) -> Message:
    headers = [("ce_id", f"id-{number}"), ("ce_outcome", "fired")]
    return Message("campaign-decisions", f"customer-{number}", b"{}", headers)
