"""The HTTP interface: what each request is answered, over a real server and the log in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from prometheus_client import REGISTRY

from services.ingest.bootstrap import build
from shared.adapters.api_keys import Caller, KeyRing, Quota, create_key
from shared.adapters.event_log import EventLogError, MemoryEventLog, customer_partition
from shared.settings import Settings
from tests.ingest_events import BATCH, STRUCTURED, event, ids, numbered
from tests.unit.ingest.running import NOW, Bench, problem, running
from tests.waiting import until


async def test_a_structured_event_is_published_as_it_came(bench: Bench) -> None:
    raw = b'{"x":  {"kept": [1, 2.50]},' + json.dumps(event()).encode()[1:]
    for kind in (STRUCTURED, "application/json"):
        response = await bench.post(raw, kind)
        assert (response.status_code, response.json()) == (202, {"accepted": 1})
    partition = customer_partition("c1", 4)
    assert bench.log.records[partition] == [b"[" + raw + b"]"] * 2


async def test_a_batch_is_spread_over_the_partitions_of_its_customers(bench: Bench) -> None:
    events = numbered(50)
    response = await bench.post(events, BATCH)
    assert response.json() == {"accepted": 50}
    for partition, records in enumerate(bench.log.records):
        expected = [e["id"] for e in events if customer_partition(e["subject"], 4) == partition]
        assert [each for record in records for each in ids(record)] == expected


async def test_binary_mode_is_published_as_structured(bench: Bench) -> None:
    attributes = {f"ce_{name}": str(value) for name, value in event(trace="t").items()}
    del attributes["ce_data"]
    response = await bench.post(b'{"amount": 20.0}', "application/json", **attributes)
    assert response.status_code == 202, response.text
    (record,) = bench.log.records[customer_partition("c1", 4)]
    assert json.loads(record) == [event(trace="t") | {"datacontenttype": "application/json"}]


async def test_an_empty_batch_is_accepted(bench: Bench) -> None:
    response = await bench.post([], BATCH)
    assert (response.status_code, response.json()) == (202, {"accepted": 0})


async def test_one_bad_event_refuses_the_whole_batch_and_is_named(bench: Bench) -> None:
    events = [event(id="1"), event(id="2", data={"amount": "x"}), event(id="3", time="soon")]
    found = problem(await bench.post(events, BATCH), 422, "invalid")
    assert [(e["index"], e["field"]) for e in found["errors"]] == [(1, "data.amount"), (2, "time")]
    assert all(e["reason"] and e["remedy"] for e in found["errors"])
    assert bench.published() == []


async def test_what_is_no_json_is_a_bad_request(bench: Bench) -> None:
    for kind in (STRUCTURED, BATCH, "application/json"):
        problem(await bench.post(b"{nope", kind), 400, "unreadable")
    binary = await bench.post(b"{nope", "application/json", ce_specversion="1.0")
    problem(binary, 400, "unreadable")


async def test_an_array_as_a_single_event_says_what_is_expected(bench: Bench) -> None:
    found = problem(await bench.post([event()], "application/json"), 422, "invalid")
    assert found["errors"][0]["field"] == "$"


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; x=y"])
async def test_other_content_types_are_told_which_are_taken(bench: Bench, kind: str) -> None:
    assert STRUCTURED in problem(await bench.post(event(), kind), 415)["detail"]


async def test_without_a_content_type_likewise(bench: Bench) -> None:
    response = await bench.client.post("/v1/events", content=b"{}")
    assert STRUCTURED in problem(response, 415)["detail"]


async def test_a_compressed_body_is_refused(bench: Bench) -> None:
    problem(await bench.post(event(), content_encoding="gzip"), 415)


async def test_paths_and_methods_that_do_not_exist_are_problems_too(bench: Bench) -> None:
    problem(await bench.client.get("/v1/events"), 405)
    problem(await bench.client.get("/v2"), 404)


async def test_a_body_over_the_limit_is_refused_with_and_without_a_length() -> None:
    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 200

    async with running(ingest_max_body_bytes=1000) as bench:
        assert "1000 bytes" in problem(await bench.post(b"x" * 1001), 413)["detail"]
        response = await bench.client.post(
            "/v1/events", content=in_pieces(), headers={"content-type": STRUCTURED}
        )
        problem(response, 413)
        just_fits = json.dumps(event()).encode()
        just_fits += b" " * (1000 - len(just_fits))
        assert (await bench.post(just_fits)).status_code == 202


@pytest.mark.parametrize("length", ["-1", "abc", "9" * 5000])
async def test_a_length_that_is_none_is_a_bad_request(bench: Bench, length: str) -> None:
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    writer.write(head.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()


async def test_a_body_that_never_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.ingest.http.BODY_TIMEOUT_S", 0.1)
    async with running() as bench:
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
        head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: {STRUCTURED}\r\n"
        writer.write(head.encode() + b"content-length: 100\r\n\r\n{")
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(bench: Bench) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: {STRUCTURED}\r\n"
    writer.write(head.encode() + b"content-length: 1000000000\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_sender_who_hangs_up_half_way_publishes_nothing_and_is_no_fault(
    bench: Bench,
) -> None:
    given_up = counter("tenure_ingest_requests_total", route="events", status="400")
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", bench.port)
        head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: {STRUCTURED}\r\n"
        raw = json.dumps(event()).encode()
        writer.write(head.encode() + b"content-length: 9999\r\n\r\n" + raw)
        await writer.drain()
        writer.transport.abort()
    await until(lambda: given_up() == 3, 10)
    assert (await bench.post(event(id="next"))).status_code == 202
    assert bench.published() == ["next"]


# ---- keys, sources, quotas ---------------------------------------------------------------------


def ring(**entry: object) -> tuple[KeyRing, dict[str, str]]:
    key, hashed = create_key("billing")
    return KeyRing([Caller("billing", hashed, **entry)]), {  # type: ignore[arg-type]
        "authorization": f"Bearer {key}"
    }


async def test_without_a_known_key_nobody_comes_in() -> None:
    keys, known = ring(sources=("*",))
    async with running(keys) as bench:
        for headers in ({}, {"authorization": "Bearer billing.wrong"}, {"authorization": "x"}):
            response = await bench.post(event(), **headers)
            problem(response, 401)
            assert response.headers["www-authenticate"] == "Bearer"
        assert (await bench.post(event(), **known)).status_code == 202


async def test_a_key_speaks_for_its_sources_only() -> None:
    keys, known = ring(sources=("//billing.example/*",))
    async with running(keys) as bench:
        mine, foreign = "//billing.example/eu", "//shop.example"
        events = [event(source=mine), event(source=foreign), event(source=foreign)]
        found = problem(await bench.post(events, BATCH, **known), 403, "forbidden")
        assert [(e["index"], e["field"]) for e in found["errors"]] == [(1, "source"), (2, "source")]
        assert foreign in found["detail"]
        assert bench.published() == []
        assert (await bench.post(events[:1], BATCH, **known)).status_code == 202


async def test_ticks_need_their_own_permission() -> None:
    keys, known = ring(sources=("*",))
    async with running(keys) as bench:
        tick = {"time": "2026-01-31T00:00:00Z"}
        response = await bench.post(tick, "application/json", "/v1/ticks", **known)
        assert "'ticks'" in problem(response, 403)["detail"]
    keys, known = ring(permissions=("ticks",))
    async with running(keys) as bench:
        response = await bench.post(tick, "application/json", "/v1/ticks", **known)
        assert response.status_code == 202
        assert "'events'" in problem(await bench.post(event(), **known), 403)["detail"]


async def test_a_source_above_its_quota_is_told_when_to_come_back() -> None:
    keys, known = ring(sources=("*",), quota=Quota(1, 10))
    async with running(keys) as bench:
        assert (await bench.post(numbered(30), BATCH, **known)).status_code == 202
        response = await bench.post(event(), **known)
        problem(response, 429, "quota")
        assert 15 <= int(response.headers["retry-after"]) <= 20
        assert len(bench.published()) == 30


# ---- Kafka away, too much, shutting down ---------------------------------------------------------


async def test_202_waits_for_the_log_and_503_says_that_a_retry_is_safe() -> None:
    async with running(ingest_delivery_timeout_s=0.2) as bench:
        bench.log.pause()
        response = await bench.post(event())
        found = problem(response, 503, "unavailable")
        assert response.headers["retry-after"] == "1"
        assert "repeated one counts once" in found["detail"]


async def test_a_log_that_refuses_is_503(bench: Bench) -> None:
    bench.log.refuse(EventLogError("Kafka did not take a record"))
    problem(await bench.post(event()), 503, "unavailable")


async def test_too_much_pending_is_503_at_once() -> None:
    async with running(ingest_max_pending=10) as bench:
        bench.log.pause()
        first = asyncio.create_task(bench.post(numbered(10), BATCH))
        await until(lambda: REGISTRY.get_sample_value("tenure_ingest_events_pending") == 10)
        response = await bench.post(event(id="more"))
        problem(response, 503, "overloaded")
        assert response.headers["retry-after"] == "1"
        bench.log.resume()
        assert (await first).status_code == 202
        assert "more" not in bench.published()


async def test_while_it_drains_new_requests_get_503_and_old_ones_their_answer() -> None:
    log = MemoryEventLog()
    ingest = build(Settings(ingest_port=0), event_log=log, now=lambda: NOW)
    await ingest.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ingest.server.port}") as client:
        bench = Bench(ingest, log, client)
        assert (await client.get("/readyz")).status_code == 200
        log.pause()
        old = asyncio.create_task(bench.post(event(id="old")))
        await until(lambda: REGISTRY.get_sample_value("tenure_ingest_events_pending") == 1)
        drain = asyncio.create_task(ingest.drain())
        await asyncio.sleep(0)
        problem(await bench.post(event(id="new")), 503, "draining")
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (
            503,
            {"lifecycle": "shutting down"},
        )
        log.resume()
        assert (await old).status_code == 202
        await drain
        with pytest.raises(httpx.ConnectError):
            await client.get("/livez")
    assert bench.published() == ["old"]


# ---- ticks ---------------------------------------------------------------------------------------


async def test_a_tick_is_in_every_partition_behind_what_was_accepted_before(bench: Bench) -> None:
    bench.log.pause()
    before = [asyncio.create_task(bench.post(numbered(20, start=n * 20), BATCH)) for n in range(5)]
    await until(lambda: REGISTRY.get_sample_value("tenure_ingest_events_pending") == 100)
    tick = asyncio.create_task(
        bench.post({"time": "2026-01-31T00:00:00Z"}, "application/json", "/v1/ticks")
    )
    await until(lambda: REGISTRY.get_sample_value("tenure_ingest_events_pending") == 104)
    bench.log.resume()
    assert [response.status_code for response in [*await asyncio.gather(*before), await tick]] == (
        [202] * 6
    )
    for records in bench.log.records:
        events = [each for record in records for each in json.loads(record)]
        assert [e["type"] for e in events].index("tenure.tick") == len(events) - 1
        assert events[-1]["time"] == "2026-01-31T00:00:00Z"


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"time": 1},
        {"time": "2026-02-01T00:05:01Z"},
        {"time": "1969-01-01T00:00:00Z"},
        {"time": "2026-01-31T00:00:00"},
        {"time": "2026-01-31T00:00:00Z", "partition": 3},
    ],
)
async def test_a_wrong_tick_moves_nothing(bench: Bench, content: object) -> None:
    found = problem(await bench.post(content, "application/json", "/v1/ticks"), 422, "invalid")
    assert found["errors"][0]["remedy"]
    assert bench.published() == []


async def test_a_tick_that_is_no_json_or_no_tick(bench: Bench) -> None:
    problem(await bench.post(b"{", "application/json", "/v1/ticks"), 400, "unreadable")
    problem(await bench.post(b"[]", BATCH, "/v1/ticks"), 415)


# ---- metrics -------------------------------------------------------------------------------------


def counter(name: str, **labels: str) -> Callable[[], float]:
    before = REGISTRY.get_sample_value(name, labels) or 0.0
    return lambda: (REGISTRY.get_sample_value(name, labels) or 0.0) - before


async def test_what_is_accepted_and_refused_is_counted(bench: Bench) -> None:
    accepted = counter("tenure_ingest_events_accepted_total")
    refused = counter("tenure_ingest_events_refused_total", reason="invalid")
    invalid = counter("tenure_ingest_events_invalid_total")
    answers = counter("tenure_ingest_requests_total", route="events", status="202")
    seconds = counter("tenure_ingest_request_seconds_count", route="events")
    await bench.post(numbered(20), BATCH)
    await bench.post([event(), event(id="")], BATCH)
    await bench.post(b"{")
    assert (accepted(), refused(), invalid()) == (20, 2, 1)
    assert (answers(), seconds()) == (1, 3)
    page = (await bench.client.get("/metrics")).text
    assert "tenure_ingest_publish_seconds_bucket" in page
