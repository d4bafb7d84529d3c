"""Ingest as a process, with a real Kafka: what was answered 202 is in the log, come what may."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import httpx
import pytest

from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.event_log import customer_partition
from tests.http import http
from tests.ingest_events import BATCH, event, numbered
from tests.integration.ingest_process import PARTITIONS, IngestProcess
from tests.kafka_topics import read_partition
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def ingest(kafka: EmbeddedKafka, prefix: str, tmp_path: Path) -> AsyncIterator[IngestProcess]:
    process = IngestProcess(kafka, prefix, tmp_path, ingest_delivery_timeout_s=10)
    await process.create_topic()
    await process.start()
    await process.ready()
    yield process
    process.end()


class Senders:
    """Clients that post batches of distinct events until told to stop, and remember the answers.

    Each has customers of its own, and sends a batch again until it was accepted if it ``retries``.
    """

    def __init__(self, url: str, clients: int, *, retries: bool = False) -> None:
        self.accepted: list[list[str]] = [[] for _ in range(clients)]
        self.statuses: Counter[int] = Counter()
        self.retry_after: set[str | None] = set()
        self._retries = retries
        self._url = url
        self._stopped = False
        self._tasks = [asyncio.create_task(self._client(n)) for n in range(clients)]

    @property
    def count(self) -> int:
        return sum(map(len, self.accepted))

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)

    async def _client(self, number: int) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=60) as client:
            for batch in count():
                if self._stopped:
                    return
                # Clients differ in how many events they send at once; the first sends singles.
                size = 1 if number == 0 else 7 * number
                events = [
                    event(id=f"{number}-{batch}-{n}", subject=f"c{number}-{n % 5}")
                    for n in range(size)
                ]
                if not await self._post(client, number, events):
                    return

    async def _post(self, client: httpx.AsyncClient, number: int, events: list[object]) -> bool:
        while True:
            try:
                response = await client.post(
                    "/v1/events", json=events, headers={"content-type": BATCH}
                )
            except httpx.TransportError:
                return False
            self.statuses[response.status_code] += 1
            if response.status_code == httpx.codes.ACCEPTED:
                self.accepted[number] += [each["id"] for each in events]  # type: ignore[index]
                return True
            self.retry_after.add(response.headers.get("retry-after"))
            if not self._retries or self._stopped:
                return not self._stopped
            await asyncio.sleep(0.05)


async def in_log(ingest: IngestProcess) -> Counter[str]:
    return Counter(each for partition in await ingest.published() for each in partition)


async def test_original_bytes_reach_the_partition_of_the_java_client(ingest: IngestProcess) -> None:
    raw = (
        '{"x": {"kept":  [1.50, "Ω"]}, '
        + httpx.Request("POST", "x:", json=event()).content[1:].decode()
    )
    async with httpx.AsyncClient(base_url=ingest.url) as client:
        response = await client.post(
            "/v1/events", content=raw, headers={"content-type": "application/json"}
        )
    assert response.status_code == 202
    partition = customer_partition("c1", PARTITIONS)
    assert await read_partition(ingest.servers, ingest.topic, partition) == [f"[{raw}]".encode()]


async def test_a_tick_is_behind_all_that_was_accepted_in_every_partition(
    ingest: IngestProcess,
) -> None:
    async with httpx.AsyncClient(base_url=ingest.url) as client:
        batches = [numbered(50, customers=40, start=50 * n) for n in range(20)]
        posts = [
            client.post("/v1/events", json=batch, headers={"content-type": BATCH})
            for batch in batches
        ]
        assert {r.status_code for r in await asyncio.gather(*posts)} == {202}
        tick = await client.post("/v1/ticks", json={"time": "2026-01-31T23:00:00Z"})
        assert tick.status_code == 202
    published = await ingest.published()
    assert sum(map(len, published)) == 1000 + PARTITIONS
    for partition in published:
        assert [each for each in partition if each.startswith("tick-")] == partition[-1:]


@pytest.mark.faults
async def test_sigterm_answers_what_was_taken_in_and_loses_nothing(ingest: IngestProcess) -> None:
    senders = Senders(ingest.url, 8)
    await until(lambda: senders.count > 1000)
    ingest.send(signal.SIGTERM)
    assert await ingest.exit_code() == 0
    await senders.stop()
    assert set(senders.statuses) <= {202, 503}
    found = await in_log(ingest)
    assert {each for accepted in senders.accepted for each in accepted} <= set(found)
    assert set(found.values()) == {1}
    assert ingest.logged("stopped")


@pytest.mark.faults
async def test_sigterm_while_kafka_is_away_waits_for_what_was_taken_in(
    ingest: IngestProcess, kafka: EmbeddedKafka
) -> None:
    async with httpx.AsyncClient(base_url=ingest.url, timeout=60) as client:
        kafka.pause()
        try:
            request = asyncio.create_task(client.post("/v1/events", json=event()))
            await until(lambda: _pending(ingest.url) == 1)
            ingest.send(signal.SIGTERM)
            await until(lambda: _status(f"{ingest.url}/readyz") == 503)
            late = await client.post("/v1/events", json=event(id="late"))
            assert late.status_code == 503
            assert late.json()["type"] == "urn:tenure:problem:draining"
            assert not request.done()
        finally:
            kafka.resume()
        assert (await request).status_code == 202
    assert await ingest.exit_code() == 0
    assert await in_log(ingest) == {"e1": 1}


def _status(url: str) -> int:
    return http.get(url).status_code


def _pending(url: str) -> float:
    lines = http.get(f"{url}/metrics").text.splitlines()
    return float(next(x for x in lines if x.startswith("tenure_ingest_events_pending ")).split()[1])


@pytest.mark.faults
async def test_kill_9_loses_nothing_that_was_answered(ingest: IngestProcess) -> None:
    senders = Senders(ingest.url, 8)
    await until(lambda: senders.count > 1000)
    ingest.send(signal.SIGKILL)
    await ingest.exit_code()
    await senders.stop()
    found = await in_log(ingest)
    assert {each for accepted in senders.accepted for each in accepted} <= set(found)


@pytest.mark.faults
async def test_a_pause_of_the_process_loses_nothing_that_was_answered(
    kafka: EmbeddedKafka, prefix: str, tmp_path: Path
) -> None:
    ingest = IngestProcess(kafka, prefix, tmp_path, ingest_delivery_timeout_s=1)
    await ingest.create_topic()
    await ingest.start()
    try:
        await ingest.ready()
        senders = Senders(ingest.url, 4, retries=True)
        for _ in range(2):
            await _more(senders)
            ingest.send(signal.SIGSTOP)
            await asyncio.sleep(2)  # longer than the delivery timeout: timers fire when it wakes
            ingest.send(signal.SIGCONT)
        await _more(senders)
        await senders.stop()
        _assert_all_there_in_order(senders, await ingest.published())
    finally:
        ingest.end()


async def _more(senders: Senders) -> None:
    before = senders.count
    await until(lambda: senders.count > before + 300)


def _kill(broker: EmbeddedKafka) -> Callable[[], None]:
    broker.kill()
    return broker.start


def _pause(broker: EmbeddedKafka) -> Callable[[], None]:
    broker.pause()
    return broker.resume


@pytest.mark.kafka
@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("fault", [_kill, _pause])
async def test_while_kafka_is_away_503_and_afterwards_everything_that_was_accepted_is_there(
    fault: Callable[[EmbeddedKafka], Callable[[], None]], prefix: str, tmp_path: Path
) -> None:
    with EmbeddedKafka() as broker:
        ingest = IngestProcess(broker, prefix, tmp_path, ingest_delivery_timeout_s=1)
        await ingest.create_topic()
        await ingest.start()
        await ingest.ready()
        try:
            senders = Senders(ingest.url, 6, retries=True)
            await until(lambda: senders.count > 500)
            recover = fault(broker)
            await until(lambda: senders.statuses[503] > 20)
            await until(lambda: _status(f"{ingest.url}/readyz") == 503)
            while_away = senders.count
            await until(lambda: senders.statuses[503] > 40)
            assert senders.count == while_away
            await asyncio.to_thread(recover)
            await until(lambda: senders.count > while_away + 500)
            await senders.stop()
            await ingest.ready()
            assert set(senders.statuses) == {202, 503}
            assert senders.retry_after == {"1"}
            _assert_all_there_in_order(senders, await ingest.published())
        finally:
            ingest.end()


def _assert_all_there_in_order(senders: Senders, published: list[list[str]]) -> None:
    """Each partition has what each sender had accepted there, in the order in which it was sent.

    A record that was under way when its requests were answered 503 arrives besides their retry;
    what counts then is its first arrival, as the scorer counts it.
    """
    first = [list(dict.fromkeys(partition)) for partition in published]
    for number, accepted in enumerate(senders.accepted):
        for partition, arrived in enumerate(first):
            mine = [each for each in arrived if each.startswith(f"{number}-")]
            wanted = [
                each
                for each in accepted
                if customer_partition(f"c{number}-{int(each.split('-')[2]) % 5}", PARTITIONS)
                == partition
            ]
            # The last batch of a sender may have arrived without having been answered.
            assert mine[: len(wanted)] == wanted


async def test_before_the_topic_exists_it_is_unready_and_says_why(
    kafka: EmbeddedKafka, prefix: str, tmp_path: Path
) -> None:
    ingest = IngestProcess(kafka, prefix, tmp_path)
    await ingest.start()
    try:
        async with httpx.AsyncClient(base_url=ingest.url) as client:
            await until(lambda: "tenure topics" in http.get(f"{ingest.url}/readyz").text)
            response = await client.post("/v1/events", json=event())
            assert response.status_code == 503
            assert "tenure topics" in response.json()["detail"]
            assert (await client.get("/livez")).status_code == 200
            await ingest.create_topic()
            await ingest.ready()
            assert (await client.post("/v1/events", json=event())).status_code == 202
    finally:
        ingest.end()
    assert ingest.logged("listening")[0]["service"] == "ingest"


def refused_start(**settings: str) -> str:
    environment = {f"TENURE_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "services.ingest"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def test_wrong_settings_end_it_with_what_to_do(tmp_path: Path) -> None:
    message = refused_start(ingest_port="99999", ingest_linger_ms="-1")
    assert "TENURE_INGEST_PORT" in message
    assert "TENURE_INGEST_LINGER_MS" in message
    assert "TENURE_INGEST_KEYS_FILE" in refused_start(ingest_host="0.0.0.0")  # noqa: S104
    keys = tmp_path / "keys.yaml"
    keys.write_text("keys: [{name: a}]")
    assert "`hash`" in refused_start(ingest_keys_file=str(keys))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "set another port" in refused_start(ingest_port=port)
