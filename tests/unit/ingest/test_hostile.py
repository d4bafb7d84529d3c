"""Whatever is sent, ingest answers, and says what is wrong."""

from __future__ import annotations

import asyncio
import json

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.bootstrap import build
from shared.adapters.event_log import MemoryEventLog
from shared.settings import Settings
from tests.ingest_events import BATCH, STRUCTURED, body, event
from tests.unit.ingest.running import NOW

KINDS = st.sampled_from([STRUCTURED, BATCH, "application/json", "text/plain", ""])
HEADER_NAMES = st.sampled_from(
    ["ce-specversion", "ce-id", "ce-time", "ce-type", "ce-source", "ce-subject", "ce-x", "ce-X_"]
)
HEADERS = st.lists(st.tuples(HEADER_NAMES, st.binary(max_size=20)), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers() | st.just(event()),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "id", "x"]), inner),
)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(["/v1/events", "/v1/ticks"]),
    KINDS,
    HEADERS,
    st.binary() | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_no_request_makes_it_fail(
    path: str, kind: str, headers: list[tuple[str, bytes]], content: bytes
) -> None:
    async def scenario() -> None:
        log = MemoryEventLog()
        await log.start()
        ingest = build(Settings(ingest_linger_ms=0), event_log=log, now=lambda: NOW)
        # Exceptions of the application come out of this transport, and would fail the test.
        transport = httpx.ASGITransport(ingest.server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            sent = [(b"content-type", kind.encode()), *((n.encode(), v) for n, v in headers)]
            response = await client.post(path, content=content, headers=sent)
        assert response.status_code in (202, 400, 415, 422)
        if response.status_code != 202:
            assert response.json()["detail"]
        await ingest.drain()

    asyncio.run(scenario())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_each_bad_event_of_a_batch_is_reported_by_its_index(good: list[bool]) -> None:
    async def scenario() -> None:
        log = MemoryEventLog()
        await log.start()
        ingest = build(Settings(ingest_linger_ms=0), event_log=log, now=lambda: NOW)
        transport = httpx.ASGITransport(ingest.server.app)
        batch = body(*(event(id=f"e{n}" if fine else "") for n, fine in enumerate(good)))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            response = await client.post(
                "/v1/events", content=batch, headers={"content-type": BATCH}
            )
        reported = {error["index"] for error in response.json().get("errors", [])}
        assert reported == {n for n, fine in enumerate(good) if not fine}
        assert response.status_code == (202 if all(good) else 422)
        await ingest.drain()

    asyncio.run(scenario())
