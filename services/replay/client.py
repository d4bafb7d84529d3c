"""Ingest's HTTP API as seen by a sender that must lose nothing and keep the order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Self

import httpx

from services.replay.pace import Clock, Sleep
from shared.adapters.event_files import Bad, Good
from shared.domain.errors import TenureError

BATCH: Final = "application/cloudevents-batch+json"
#: Nothing is wrong with the request: the same one may succeed later.
_LATER: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_REMEDIES: Final = {
    HTTPStatus.UNAUTHORIZED: "Give a key with --key or in TENURE_API_KEY",
    HTTPStatus.FORBIDDEN: "Give a key that covers the events' source, and ticks",
    HTTPStatus.NOT_FOUND: "Give ingest's address with --url",
    HTTPStatus.METHOD_NOT_ALLOWED: "Give ingest's address with --url",
}
_LONGEST_PAUSE_S: Final = 5.0


class ReplayError(TenureError):
    """The replay cannot go on; the message says why and what to do."""


class RefusedError(TenureError):
    """Some events of a batch were refused, and therefore the whole batch.

    Attributes
    ----------
    bad
        Each refused event with its line, field, reason and remedy.

    """

    def __init__(self, bad: list[Bad]) -> None:
        super().__init__(f"{len(bad)} events were refused")
        self.bad = bad


@dataclass
class Retries:
    """How long to go on trying when nobody answers, and how it went.

    Attributes
    ----------
    patience_s
        Seconds without success after which to give up.
    count
        Requests that had to be repeated.

    """

    patience_s: float = 60.0
    count: int = 0
    clock: Clock = time.monotonic
    sleep: Sleep = asyncio.sleep


class IngestClient:
    """Posts to one ingest, one request at a time, and repeats what may not have arrived.

    That is safe: an event's id stays the same, so one that arrived twice counts once.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=60.0, transport=transport, trust_env=False
        )
        self._url = url
        self.retries = retries or Retries()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def post(self, events: list[Good]) -> None:
        """Return when all events were accepted.

        Raises
        ------
        RefusedError
            Ingest found some of them bad; it accepted none.
        ReplayError
            Nobody answered for too long, or the request as a whole was refused.

        """
        body = b"[" + b",".join(event.value for event in events) + b"]"
        answer = await self._send("/v1/events", body, BATCH)
        if answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(events) > 1:
            middle = len(events) // 2
            await self.post(events[:middle])
            await self.post(events[middle:])
        elif answer.status_code != HTTPStatus.ACCEPTED:
            raise self._refusal(answer, events)

    async def tick(self, at: int) -> None:
        """Return when every partition was told that it is ``at``, in milliseconds since 1970."""
        moment = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
        body = f'{{"time": "{moment}"}}'.encode()
        answer = await self._send("/v1/ticks", body, "application/json")
        if answer.status_code != HTTPStatus.ACCEPTED:
            raise self._refusal(answer, [])

    async def _send(self, path: str, body: bytes, content_type: str) -> httpx.Response:
        clock = self.retries.clock
        give_up = clock() + self.retries.patience_s
        pause = 0.1
        while True:
            answer, trouble = await self._try(path, body, content_type)
            if answer is not None and answer.status_code not in _LATER:
                return answer
            if clock() >= give_up:
                raise ReplayError(
                    f"{self._url} takes nothing since {self.retries.patience_s:.0f} s ({trouble}). "
                    "See what it logs at /readyz, then continue with --from"
                )
            self.retries.count += 1
            await self.retries.sleep(max(pause, _retry_after(answer)))
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _try(
        self, path: str, body: bytes, content_type: str
    ) -> tuple[httpx.Response | None, str]:
        try:
            answer = await self._http.post(
                path, content=body, headers={"Content-Type": content_type}
            )
        except httpx.TransportError as error:
            return None, str(error) or type(error).__name__
        return answer, f"HTTP {answer.status_code}"

    def _refusal(self, answer: httpx.Response, events: list[Good]) -> TenureError:
        problem = _problem(answer)
        if errors := problem.get("errors"):
            return RefusedError([_bad(each, events) for each in errors])
        detail = problem.get("detail") or answer.text[:200]
        if answer.status_code == HTTPStatus.BAD_REQUEST and events:  # no JSON, so no list of errors
            whole = {"reason": detail.rstrip("."), "remedy": "Send UTF-8 JSON (RFC 8259)"}
            return RefusedError([_bad(whole | {"index": n}, events) for n in range(len(events))])
        remedy = _REMEDIES.get(HTTPStatus(answer.status_code), "See ingest's log")
        return ReplayError(f"{self._url} answered {answer.status_code}: {detail}. {remedy}")


def _problem(answer: httpx.Response) -> dict[str, Any]:
    """Return the problem details (RFC 9457) of an answer; nothing where it has none."""
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _bad(error: Mapping[str, Any], events: list[Good]) -> Bad:
    index = error.get("index")
    event = events[index] if isinstance(index, int) and index < len(events) else None
    return Bad(
        line=event.line if event else 0,
        field=error.get("field", "$"),
        reason=error.get("reason", "refused"),
        remedy=error.get("remedy", ""),
        raw=event.value.decode(errors="replace") if event else "",
    )


def _retry_after(answer: httpx.Response | None) -> float:
    text = answer.headers.get("Retry-After", "0") if answer is not None else "0"
    return min(float(text), _LONGEST_PAUSE_S) if text.isdigit() else 0.0
