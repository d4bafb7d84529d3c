"""The HTTP interface: ``POST /v1/events``, ``POST /v1/ticks``, the probes, and OpenAPI.

Bodies are read as bytes and decoded by msgspec; no model of the framework touches them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any, Final

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.requests import ClientDisconnect

from services.ingest import openapi
from services.ingest.cloudevents import UnsupportedMediaTypeError, mode_of, structured
from services.ingest.refusal import Reason, RefusedError
from services.ingest.service import IngestService
from shared import metrics
from shared.adapters.access import authorized
from shared.adapters.api_keys import Caller, Doorkeeper, Permission
from shared.adapters.health import Health, health_routes
from shared.adapters.http import PROBLEM_HANDLERS, ProblemError, problem_response
from shared.adapters.tracing import NO_TRACES, Traces

log = structlog.get_logger(__name__)

_STATUS: Final[dict[Reason, int]] = {
    "unreadable": 400,
    "forbidden": 403,
    "invalid": 422,
    "quota": 429,
    "overloaded": 503,
    "draining": 503,
    "unavailable": 503,
}

#: Seconds that a body may take to arrive.
BODY_TIMEOUT_S: Final = 30.0

Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The two operations, as request handlers.

    Parameters
    ----------
    service
        What they call.
    doorkeeper
        Who may call them.
    max_body_bytes
        Size of a body above which it is refused, whether or not it says its size.

    """

    def __init__(
        self, service: IngestService, doorkeeper: Doorkeeper, *, max_body_bytes: int
    ) -> None:
        self._service = service
        self._doorkeeper = doorkeeper
        self._max_body_bytes = max_body_bytes

    async def events(self, request: Request) -> Response:
        """Accept one event or a batch, as a whole."""
        caller = self._caller(request, "events")
        mode = _mode(request)
        body = await self._body(request)
        if mode == "binary":
            body = structured(request.headers.items(), body)
        accepted = await self._service.accept(caller, body, batch=mode == "batch")
        return _accepted({"accepted": accepted})

    async def ticks(self, request: Request) -> Response:
        """Move the time of every partition."""
        self._caller(request, "ticks")
        if _mode(request) != "structured":
            raise ProblemError(415, "Send application/json.")
        await self._service.tick(await self._body(request))
        return _accepted({})

    def _caller(self, request: Request, permission: Permission) -> Caller:
        return authorized(self._doorkeeper, request.headers.get("authorization"), permission)

    async def _body(self, request: Request) -> bytes:
        if int(request.headers.get("content-length", 0)) > self._max_body_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await self._read(request)
        except TimeoutError:
            raise ProblemError(408, f"No body within {BODY_TIMEOUT_S:g} s.") from None
        except ClientDisconnect:
            raise ProblemError(400, "The connection ended before the body did.") from None

    async def _read(self, request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_body_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> ProblemError:
        return ProblemError(
            413, f"The body is over {self._max_body_bytes} bytes. Send smaller batches."
        )


def create_app(api: Api, health: Health, traces: Traces = NO_TRACES) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="Tenure ingest",
        summary="Takes what happens to customers, as CloudEvents.",
        version=version("tenure"),
        routes=health_routes(health, metrics.of("ingest")),
        exception_handlers=PROBLEM_HANDLERS,
        # The usual pages of documentation load their scripts from other hosts.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    for name, handler, documentation in (
        ("events", api.events, openapi.EVENTS),
        ("ticks", api.ticks, openapi.TICKS),
    ):
        app.post(
            f"/v1/{name}",
            name=f"post_{name}",
            status_code=202,
            response_model=None,
            openapi_extra=documentation,
        )(_observed(name, handler, traces))
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # as FastAPI says
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = get_openapi(
            title=app.title, summary=app.summary, version=app.version, routes=app.routes
        )
        app.openapi_schema["components"] = openapi.components()
    return app.openapi_schema


def _observed(route: str, handler: Handler, traces: Traces) -> Handler:
    """Answer refusals as problems, and count and time every answer."""
    seconds = metrics.INGEST_REQUEST_SECONDS.labels(route)

    async def observed(request: Request) -> Response:
        started = time.perf_counter()
        with traces.serve(f"POST /v1/{route}", request.headers):
            response = await _answer(handler, request)
        seconds.observe(time.perf_counter() - started)
        metrics.INGEST_REQUESTS.labels(route, str(response.status_code)).inc()
        return response

    observed.__doc__ = handler.__doc__
    return observed


async def _answer(handler: Handler, request: Request) -> Response:
    try:
        return await handler(request)
    except RefusedError as refusal:
        log.info("refused", reason=refusal.reason, events=refusal.events)
        return problem_response(_problem(refusal))
    except ProblemError as problem:
        log.info("refused", status=problem.status)
        return problem_response(problem)


def _problem(refusal: RefusedError) -> ProblemError:
    headers = {}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after_s))
    members: dict[str, Any] = {"type": f"urn:tenure:problem:{refusal.reason}"}
    if refusal.problems:
        members["errors"] = [msgspec.to_builtins(problem) for problem in refusal.problems]
    return ProblemError(_STATUS[refusal.reason], refusal.detail, headers=headers, **members)


def _mode(request: Request) -> str:
    try:
        return mode_of(request.headers.items())
    except UnsupportedMediaTypeError as error:
        raise ProblemError(415, str(error)) from None


def _accepted(body: dict[str, int]) -> Response:
    return Response(msgspec.json.encode(body), 202, media_type="application/json")
