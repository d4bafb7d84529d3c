"""How many events a second ingest takes: ``python -m tests.bench.ingest [--json]``.

Starts a real broker, ingest as its own process, and one sender as another; all share the machine.
The sender speaks bare HTTP/1.1 over kept connections with bodies made beforehand, so that what is
measured is ingest and the broker. CPU time of the ingest process alone is the figure to compare
between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle

import httpx
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.topics import CUSTOMER_EVENTS

PORT = 18_001
CUSTOMERS = 100_000
PARTITIONS = 4
BATCH = "application/cloudevents-batch+json"
SINGLE = "application/cloudevents+json"


@dataclass(frozen=True)
class Load:
    """What is sent: events a request, and how many connections send at once."""

    name: str
    events: int
    connections: int


@dataclass(frozen=True)
class Result:
    """What came of it. Latencies in milliseconds, CPU in microseconds an event."""

    name: str
    requests: int
    events_per_second: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


LOADS = (
    Load("batches of 500, 4 at once", 500, 4),
    Load("batches of 500, 1 at once", 500, 1),
    Load("batches of 50, 16 at once", 50, 16),
    Load("single events, 64 at once", 1, 64),
    Load("single events, 1 at once", 1, 1),
)


def event(number: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "type": "tenure.purchase",
        "source": "//billing.example/eu",
        "id": f"bench-{number:09}",
        "subject": f"customer-{number * 7919 % CUSTOMERS:06}",
        "time": "2026-01-31T12:00:00Z",
        "data": {"product": "topup-20", "category": "recharge", "amount": 20.0, "currency": "USD"},
    }


def requests(load: Load) -> list[bytes]:
    """Return about 60,000 events as requests, made before the clock runs."""
    count = max(60_000 // load.events, 1) if load.events > 1 else 10_000
    return [
        _request([event(i * load.events + k) for k in range(load.events)]) for i in range(count)
    ]


def _request(events: list[dict[str, object]]) -> bytes:
    body = json.dumps(events if len(events) > 1 else events[0]).encode()
    kind = BATCH if len(events) > 1 else SINGLE
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def send(load: Load, seconds: float) -> list[float]:
    """Send for some seconds; return each request's latency."""
    bodies = cycle(requests(load))
    until = time.perf_counter() + seconds
    latencies: list[float] = []
    await asyncio.gather(*(_sender(bodies, until, latencies) for _ in range(load.connections)))
    return latencies


async def _sender(bodies: Iterator[bytes], until: float, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    while time.perf_counter() < until:
        started = time.perf_counter()
        writer.write(next(bodies))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 202"):
            raise SystemExit(head.decode())
        length = next(h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length"))
        await reader.readexactly(int(length.partition(b":")[2]))
        latencies.append(time.perf_counter() - started)
    writer.close()


def cpu_seconds() -> float:
    text = httpx.get(f"http://127.0.0.1:{PORT}/metrics").text
    line = next(x for x in text.splitlines() if x.startswith("process_cpu_seconds_total"))
    return float(line.split()[1])


def measure(load: Load, seconds: float) -> Result:
    """Run one load in a process of its own."""
    before = cpu_seconds()
    command = [sys.executable, "-m", "tests.bench.ingest", "--send", load.name]
    done = subprocess.run([*command, "--seconds", str(seconds)], stdout=subprocess.PIPE, check=True)
    latencies = sorted(json.loads(done.stdout))
    cpu, count = cpu_seconds() - before, len(latencies)
    rate = count / seconds
    return Result(
        name=load.name,
        requests=count,
        events_per_second=round(rate * load.events),
        requests_per_second=round(rate),
        p50_ms=round(latencies[count // 2] * 1000, 1),
        p99_ms=round(latencies[count * 99 // 100] * 1000, 1),
        cpu_us=round(cpu / (count * load.events) * 1e6, 2),
    )


@contextmanager
def running() -> Iterator[None]:
    """Run a broker and ingest."""
    with EmbeddedKafka() as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        declared = CUSTOMER_EVENTS
        admin.create_topics(
            [NewTopic(declared.name, PARTITIONS, 1, topic_configs=dict(declared.config))]
        )
        admin.close()
        settings = {
            "TENURE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "TENURE_INGEST_PORT": str(PORT),
            "TENURE_LOG_LEVEL": "WARNING",
        }
        ingest = subprocess.Popen(
            [sys.executable, "-m", "services.ingest"], env={**os.environ, **settings}
        )
        try:
            _await_ready()
            yield
        finally:
            ingest.terminate()
            ingest.wait()


def _await_ready() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{PORT}/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("ingest did not become ready within 60 s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--send", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.send:
        load = next(load for load in LOADS if load.name == arguments.send)
        sys.stdout.write(json.dumps(asyncio.run(send(load, arguments.seconds))))
        return
    with running():
        measure(LOADS[0], 3)  # the broker's and our own caches
        results = [measure(load, arguments.seconds) for load in LOADS]
    report(results, as_json=arguments.json)


def report(results: list[Result], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps([asdict(result) for result in results], indent=2) + "\n")
        return
    sys.stdout.write(
        f"{'':28}{'events/s':>10}{'req/s':>8}{'p50 ms':>8}{'p99 ms':>8}{'CPU us':>8}\n"
    )
    for r in results:
        sys.stdout.write(
            f"{r.name:28}{r.events_per_second:>10,.0f}{r.requests_per_second:>8,.0f}"
            f"{r.p50_ms:>8}{r.p99_ms:>8}{r.cpu_us:>8}\n"
        )


if __name__ == "__main__":
    main()
