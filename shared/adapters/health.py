"""``/livez``, ``/readyz`` and ``/metrics``: the same three pages in every service.

``/livez`` says that the process answers at all; ``/readyz`` says whether it can do its work, with
the reasons when it cannot; ``/metrics`` is for Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from shared.adapters.http import PROBLEM_HANDLERS, HttpServer
from shared.metrics import READY

#: Returns why the service is not ready, or ``None`` when this part of it is. Must not block.
Check = Callable[[], str | None]


class Health:
    """Whether a service is ready, as the sum of its named checks.

    >>> health = Health()
    >>> health.add_check("kafka", lambda: "not connected yet")
    >>> health.reasons()
    {'kafka': 'not connected yet'}

    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._draining: str | None = None
        self.add_check("lifecycle", lambda: self._draining)

    def add_check(self, name: str, check: Check) -> None:
        """Let ``check`` have a say in readiness, under ``name``."""
        self._checks[name] = check

    def drain(self, reason: str = "shutting down") -> None:
        """Be unready from now on: the service finishes what it has and stops."""
        self._draining = reason

    @property
    def draining(self) -> bool:
        """Whether `drain` was called."""
        return self._draining is not None

    def reasons(self) -> dict[str, str]:
        """Return why the service is not ready; empty when it is."""
        return {name: reason for name, reason in self._results() if reason is not None}

    def show(self) -> None:
        """Set the metric that says which checks pass."""
        for name, reason in self._results():
            READY.labels(name).set(reason is None)

    def _results(self) -> Iterator[tuple[str, str | None]]:
        return ((name, _run(check)) for name, check in self._checks.items())


def _run(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001  # a broken check means unready, not a broken page
        return f"the check itself failed: {type(error).__name__}"


def health_routes(health: Health, registry: CollectorRegistry = REGISTRY) -> list[BaseRoute]:
    """Return the three pages as routes for a Starlette or FastAPI application."""

    async def livez(_: Request) -> Response:
        return _json({"alive": True})

    async def readyz(_: Request) -> Response:
        reasons = health.reasons()
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def metrics(_: Request) -> Response:
        health.show()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


def health_server(
    health: Health,
    host: str,
    port: int,
    *,
    pages: Mapping[str, Callable[[], object]] | None = None,
    registry: CollectorRegistry = REGISTRY,
) -> HttpServer:
    """Return a server of the three pages for a service without an HTTP interface of its own.

    Parameters
    ----------
    health
        What ``/readyz`` asks.
    host, port
        Where to listen; port 0 takes a free one.
    pages
        Further GET pages: path to a function whose result is shown as JSON.
    registry
        Where ``/metrics`` reads.

    Examples
    --------
    ``async with health_server(health, "127.0.0.1", 8002, pages={"/status": status}): ...``

    """
    routes = health_routes(health, registry)
    routes += [Route(path, _page(show)) for path, show in (pages or {}).items()]
    return HttpServer(Starlette(routes=routes, exception_handlers=PROBLEM_HANDLERS), host, port)


def _page(show: Callable[[], object]) -> Callable[[Request], Response]:
    # Asynchronous, or Starlette would run it in a thread, beside the loop that owns the state.
    async def page(_: Request) -> Response:
        return _json(show())

    return page  # type: ignore[return-value]  # Starlette awaits it


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
