"""The load: requests at times that are fixed beforehand, and what is in them.

Open loop: a request leaves when it is due, though earlier ones have no answer yet, and counts from
when it was due. A sender that waits for answers sends less just when the system is slow, and leaves
the slow ones out of its figures (coordinated omission: Tene, "How NOT to measure latency", 2013).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final, NamedTuple, Self

import httpx
import msgspec

from services.latency.watch import Watch
from shared.domain.errors import TenureError

_BATCH: Final = {"Content-Type": "application/cloudevents-batch+json"}
_SEED_EVENTS: Final = 500
_TIMEOUT_S: Final = 30.0
_encode = msgspec.json.Encoder().encode


class LoadError(TenureError):
    """An event was not accepted, so that the figures would be those of another load."""


class Load(NamedTuple):
    """What is posted.

    Attributes
    ----------
    rate
        Events a second.
    seconds
        How long is measured; `warm_up_s` before that is posted as well, and not measured.
    request_events
        Events in a request.
    triggers
        Of the events of a second, those that each make a trigger.
    customers
        To whom the other events belong.

    """

    rate: int = 1_000
    seconds: int = 60
    request_events: int = 50
    triggers: int = 50
    customers: int = 10_000
    warm_up_s: int = 10

    @property
    def requests(self) -> int:
        """How many requests there are, those of the warm-up included."""
        return self.rate * (self.warm_up_s + self.seconds) // self.request_events

    @property
    def probes(self) -> int:
        """How many customers make a trigger."""
        return len([None for each in range(self.requests) for _ in self.probes_of(each)])

    def due_s(self, request: int) -> float:
        """Return when a request is due, seconds from the start."""
        return request * self.request_events / self.rate

    def probes_of(self, request: int) -> range:
        """Return the numbers of the customers who make a trigger by a request, evenly spread."""
        first, behind = (
            each * self.request_events * self.triggers // self.rate
            for each in (request, request + 1)
        )
        return range(first, behind)

    def is_measured(self, request: int) -> bool:
        """Tell whether a request is behind the warm-up."""
        return self.due_s(request) >= self.warm_up_s


def probe_name(number: int) -> str:
    """Return the id of a customer who makes a trigger."""
    return f"probe-{number}"


def seeds(load: Load) -> Iterator[bytes]:
    """Yield requests that make everybody known: customers who use something, and leads."""
    at = _rfc3339(time.time())
    known = [_usage(f"customer-{each}", f"seed-{each}", at) for each in range(load.customers)]
    known += [_lead(probe_name(each), at) for each in range(load.probes)]
    for first in range(0, len(known), _SEED_EVENTS):
        yield _encode(known[first : first + _SEED_EVENTS])


class Sender:
    """Posts any number of requests at once, each over a connection that is idle, or a new one.

    A pool of httpx looks at all of its connections and requests for each of them, so that the
    sender, not Tenure, would be what is measured: here each connection has a client of its own.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[httpx.AsyncClient] = []
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Return it; connections are opened as they are needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._open.aclose()

    async def send(self, body: bytes) -> None:
        """Post one request.

        Raises
        ------
        LoadError
            It was not accepted.

        """
        http = self._idle.pop() if self._idle else await self._connect()
        answer = await http.post("/v1/events", content=body, headers=_BATCH)
        self._idle.append(http)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise LoadError(
                f"ingest answered {answer.status_code}, so this is not the load that was asked "
                f"for: {answer.text[:300]}. Ask for less with --rate."
            )

    async def _connect(self) -> httpx.AsyncClient:
        http = httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=_TIMEOUT_S)
        return await self._open.enter_async_context(http)


async def post(sender: Sender, load: Load, watch: Watch) -> None:
    """Post all requests, each when it is due.

    Raises
    ------
    LoadError
        An event was not accepted.

    """
    start, wall = time.monotonic(), time.time()
    async with asyncio.TaskGroup() as tasks:
        for request in range(load.requests):
            due = start + load.due_s(request)
            await asyncio.sleep(due - time.monotonic())
            probes = [probe_name(each) for each in load.probes_of(request)]
            if load.is_measured(request):
                watch.expect(probes, due)
            body = _body(load, request, probes, wall + load.due_s(request))
            tasks.create_task(_post(sender, body, watch, probes))


async def _post(sender: Sender, body: bytes, watch: Watch, probes: Sequence[str]) -> None:
    await sender.send(body)
    watch.accepted(probes)


def _body(load: Load, request: int, probes: Sequence[str], at: float) -> bytes:
    """Return a request: first purchases of leads, and usage of other customers."""
    when, first = _rfc3339(at), request * load.request_events
    events = [_purchase(each, when) for each in probes]
    for number in range(first, first + load.request_events - len(probes)):
        # A stride that is prime to usual numbers: neighbours in time are not neighbours in the log.
        customer = number * 7_919 % load.customers
        events.append(_usage(f"customer-{customer}", f"load-{number}", when))
    return _encode(events)


def _event(kind: str, customer: str, identity: str, at: str, data: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "type": f"tenure.{kind}",
        "source": "bench",
        "id": identity,
        "subject": customer,
        "time": at,
        "data": data,
    }


def _usage(customer: str, identity: str, at: str) -> dict[str, object]:
    data = {"service": "data", "quantity": 1, "unit": "GB", "initiated_by": "customer"}
    return _event("usage", customer, identity, at, data)


def _lead(customer: str, at: str) -> dict[str, object]:
    return _event("account", customer, f"lead-{customer}", at, {"status": "lead"})


def _purchase(customer: str, at: str) -> dict[str, object]:
    data = {"product": "plan", "category": "plan", "amount": 20.0, "currency": "USD"}
    return _event("purchase", customer, f"first-{customer}", at, data)


def _rfc3339(at: float) -> str:
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
