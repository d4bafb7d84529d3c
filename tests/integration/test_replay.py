"""A file through a real ingest onto a real topic: each event there, in order, through kills."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import KafkaConsumer, TopicPartition

from services.cli import app
from services.replay.client import IngestClient
from services.replay.pace import EventsPerSecond
from services.replay.plan import Limits
from services.replay.service import Progress, Replay
from services.standalone.child import Command
from services.standalone.stack import environment
from services.standalone.supervisor import Supervisor
from shared.adapters.embedded_kafka import EmbeddedKafka, free_port
from shared.adapters.event_files import Good, read_events
from shared.adapters.kafka_admin import topic_admin
from shared.settings import Settings, load_settings

pytestmark = pytest.mark.kafka

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(kafka: EmbeddedKafka, prefix: str) -> Settings:
    return load_settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=prefix,
        partitions=2,
        ingest_port=free_port(),
    )


@pytest.fixture
async def ingest(settings: Settings, tmp_path: Path) -> AsyncIterator[Supervisor]:
    with topic_admin(settings) as admin:
        admin.ensure()
    command = Command(
        "ingest",
        (sys.executable, "-m", "services.ingest"),
        os.environ | environment(settings),
        tmp_path,
    )
    supervisor = Supervisor(command, first_pause_s=0.05)
    await supervisor.start()
    await ready(settings)
    yield supervisor
    await supervisor.stop()


async def ready(settings: Settings) -> None:
    async with httpx.AsyncClient(base_url=url(settings)) as http, asyncio.timeout(30):
        while True:
            try:
                if (await http.get("/readyz")).is_success:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


def url(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.ingest_port}"


def csv_file(folder: Path, rows: int) -> Path:
    """Write purchases of seven customers, an hour apart, the newest first."""
    path = folder / "orders.csv"
    lines = [
        f"c-{number % 7},{START + timedelta(hours=number)},{number}"
        for number in reversed(range(rows))
    ]
    path.write_text("\n".join(["customer,ts,total", *lines]))
    return path


def on_topic(settings: Settings) -> list[dict[str, Any]]:
    """Return the events of the topic, partition after partition."""
    topic = settings.topic("customer-events")
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers, consumer_timeout_ms=1000
    )
    partitions = [TopicPartition(topic, number) for number in range(settings.partitions)]
    found: list[dict[str, Any]] = []
    for partition in partitions:
        consumer.assign([partition])
        consumer.seek_to_beginning()
        for record in consumer:
            value = json.loads(record.value)
            found += value if isinstance(value, list) else [value]
    consumer.close()
    return found


def amounts_by_customer(events: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Return each customer's amounts in the order of their first arrival."""
    amounts: dict[str, list[int]] = {}
    for event in events:
        if event["type"] == "tenure.purchase":
            seen = amounts.setdefault(event["subject"], [])
            if (amount := int(event["data"]["amount"])) not in seen:
                seen.append(amount)
    return amounts


async def test_the_command_sends_a_file_in_order_and_moves_time(
    ingest: Supervisor, settings: Settings, tmp_path: Path
) -> None:
    file = csv_file(tmp_path, 100)
    arguments = ["replay", str(file), "--map", "subject=customer,time=ts,amount=total"]
    await asyncio.to_thread(app, [*arguments, "--url", url(settings)], standalone_mode=False)
    events = on_topic(settings)
    assert amounts_by_customer(events) == {
        f"c-{customer}": list(range(customer, 100, 7)) for customer in range(7)
    }
    ticks = [
        datetime.fromisoformat(event["time"]) for event in events if event["type"] == "tenure.tick"
    ]
    one, other = ticks[: len(ticks) // 2], ticks[len(ticks) // 2 :]
    assert one == other  # on each partition
    *midnights, present = one
    assert midnights == [
        datetime(2026, 1, 2, tzinfo=UTC) + timedelta(days=day) for day in range(len(midnights))
    ]
    assert timedelta() <= present - midnights[-1] < timedelta(days=1)
    assert abs(present - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.faults
async def test_nothing_is_lost_or_reordered_when_ingest_is_killed(
    ingest: Supervisor, settings: Settings, tmp_path: Path
) -> None:
    rows = 2_000
    lines = list(read_events(csv_file(tmp_path, rows), "subject=customer,time=ts,amount=total"))
    events = sorted((line for line in lines if isinstance(line, Good)), key=lambda each: each.at)
    async with IngestClient(url(settings)) as client:
        done = await Replay(
            client,
            pace=EventsPerSecond(800),
            limits=Limits(events=20),
            watch=killing(ingest, at=[300, 900, 1_500]),
        ).run(events)
        assert client.retries.count > 0
    assert ingest.starts == 4
    assert done.accepted == rows
    assert amounts_by_customer(on_topic(settings)) == {
        f"c-{customer}": list(range(customer, rows, 7)) for customer in range(7)
    }


def killing(service: Supervisor, at: list[int]) -> Callable[[Progress], None]:
    """Kill the service each time that so many events were accepted."""

    def watch(done: Progress) -> None:
        if at and done.accepted >= at[0] and service.pid is not None:
            at.pop(0)
            os.kill(service.pid, signal.SIGKILL)

    return watch
