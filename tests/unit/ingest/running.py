"""A running ingest over the log in memory, and what its answers have in common."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import jsonschema

from services.ingest import openapi
from services.ingest.bootstrap import Ingest, build
from shared.adapters.api_keys import KeyRing
from shared.adapters.event_log import MemoryEventLog
from shared.settings import Settings
from tests.ingest_events import STRUCTURED, ids

NOW = datetime(2026, 2, 1, tzinfo=UTC)
PROBLEM = "application/problem+json"


class Bench:
    """A running ingest with a client."""

    def __init__(self, ingest: Ingest, log: MemoryEventLog, client: httpx.AsyncClient) -> None:
        self.ingest, self.log, self.client = ingest, log, client

    @property
    def port(self) -> int:
        return self.ingest.server.port

    def published(self) -> list[str]:
        return sorted(each for records in self.log.records for r in records for each in ids(r))

    async def post(
        self, content: object, kind: str = STRUCTURED, path: str = "/v1/events", **headers: str
    ) -> httpx.Response:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=raw, headers={"content-type": kind, **sent})


@asynccontextmanager
async def running(keys: KeyRing | None = None, **changes: object) -> AsyncIterator[Bench]:
    log = MemoryEventLog()
    usual: dict[str, object] = {"ingest_port": 0, "ingest_linger_ms": 0}
    ingest = build(
        Settings(**(usual | changes)),  # type: ignore[arg-type]
        event_log=log,
        keys=keys,
        now=lambda: NOW,
    )
    await ingest.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ingest.server.port}") as client:
        yield Bench(ingest, log, client)
    log.resume()
    await ingest.drain()


def problem(response: httpx.Response, status: int, kind: str = "about:blank") -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    found: dict[str, Any] = response.json()
    expected = kind if kind == "about:blank" else f"urn:tenure:problem:{kind}"
    assert (found["status"], found["type"]) == (status, expected)
    assert found["title"]
    assert found["detail"]
    jsonschema.validate(found, openapi.components()["schemas"]["ProblemDetails"])
    return found
