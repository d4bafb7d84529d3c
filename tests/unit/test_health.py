"""The probes, over real HTTP."""

import asyncio
import signal

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from shared import metrics
from shared.adapters.health import Health, health_server
from shared.adapters.http import ListenError


async def get(port: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        return await client.get(path)


async def test_ready_until_a_check_says_why_not() -> None:
    health, reason = Health(), {"kafka": "not connected"}
    async with health_server(health, "127.0.0.1", 0) as server:
        assert (await get(server.port, "/readyz")).status_code == 200
        health.add_check("kafka", lambda: reason.get("kafka"))
        answer = await get(server.port, "/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "reasons": {"kafka": "not connected"}}
        assert (await get(server.port, "/livez")).status_code == 200
        reason.clear()
        assert (await get(server.port, "/readyz")).json() == {"ready": True, "reasons": {}}


async def test_metrics_say_which_checks_pass() -> None:
    health, reason = Health(), {"kafka": "not connected"}
    health.add_check("kafka", lambda: reason.get("kafka"))
    async with health_server(health, "127.0.0.1", 0, registry=metrics.of("ingest")) as server:
        page = (await get(server.port, "/metrics")).text
        assert 'tenure_ready{check="kafka"} 0.0' in page
        assert 'tenure_ready{check="lifecycle"} 1.0' in page
        reason.clear()
        assert 'tenure_ready{check="kafka"} 1.0' in (await get(server.port, "/metrics")).text


async def test_draining_is_unready_for_good() -> None:
    health = Health()
    health.drain()
    async with health_server(health, "127.0.0.1", 0) as server:
        answer = await get(server.port, "/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == {"lifecycle": "shutting down"}


def test_a_broken_check_is_unready_and_tells_no_details() -> None:
    def broken() -> str:
        raise RuntimeError("password=hunter2")

    health = Health()
    health.add_check("kafka", broken)
    assert health.reasons() == {"kafka": "the check itself failed: RuntimeError"}


async def test_metrics_are_in_the_text_format_of_prometheus() -> None:
    registry = CollectorRegistry()
    Counter("spam_total", "Spam", registry=registry).inc(2)
    async with health_server(Health(), "127.0.0.1", 0, registry=registry) as server:
        answer = await get(server.port, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "spam_total 2.0" in answer.text


async def test_further_pages_show_what_the_service_says() -> None:
    pages = {"/status": lambda: {"lag": 3}}
    async with health_server(Health(), "127.0.0.1", 0, pages=pages) as server:
        assert (await get(server.port, "/status")).json() == {"lag": 3}
        missing = await get(server.port, "/nothing")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"


async def test_a_taken_port_is_an_error_with_a_remedy() -> None:
    async with health_server(Health(), "127.0.0.1", 0) as server:
        with pytest.raises(ListenError, match=f":{server.port}.*set another port"):
            await health_server(Health(), "127.0.0.1", server.port).start()


async def test_signals_stay_with_the_service() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with health_server(Health(), "127.0.0.1", 0):
        assert signal.getsignal(signal.SIGTERM) is before


async def test_stopping_answers_what_is_under_way() -> None:
    health = Health()
    server = health_server(health, "127.0.0.1", 0)
    await server.start()
    answers = [asyncio.create_task(get(server.port, "/livez")) for _ in range(20)]
    done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*answers)
    await server.stop()
    assert {task.result().status_code for task in (*done, *answers)} == {200}
    with pytest.raises(httpx.ConnectError):
        await get(server.port, "/livez")


async def test_an_answer_does_not_wait_for_the_clients_acknowledgement() -> None:
    async with health_server(Health(), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        loop, seconds = asyncio.get_running_loop(), []
        for _ in range(60):
            started = loop.time()
            writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"true}")
            seconds.append(loop.time() - started)
        writer.close()
    # Linux acknowledges the first packets of a connection at once, so only later ones tell.
    assert min(seconds[-20:]) < 0.030  # Nagle's algorithm would make each of them 0.040 at least
