"""What every HTTP server of Tenure shares: a server that leaves signals alone, problem details."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from http import HTTPStatus
from typing import Any, Final, Self

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from shared.domain.errors import TenureError

#: Seconds that a server which stops waits for answers under way.
GRACE_S: Final = 5
#: Longer than proxies and clients keep a connection (60 s mostly), so that they close it, and no
#: request is sent on a connection that is closing here.
_KEEP_ALIVE_S: Final = 75
#: Of one message of a page: a campaign file or a dead letter that somebody typed.
_MOST_WS_BYTES: Final = 8 * 1024 * 1024
#: Connections that may wait to be accepted.
_BACKLOG: Final = 2048


class ListenError(TenureError):
    """The address cannot be listened on."""


class ProblemError(TenureError):
    """A refusal: becomes an ``application/problem+json`` answer (RFC 9457).

    Parameters
    ----------
    status
        HTTP status.
    detail
        What is wrong, and what to do about it.
    headers
        Further headers, e.g. ``Retry-After``.
    members
        Extension members of the problem, e.g. ``errors``.

    """

    def __init__(
        self, status: int, detail: str, *, headers: dict[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members

    def body(self) -> dict[str, Any]:
        """Return the members of the problem object."""
        title = HTTPStatus(self.status).phrase
        named = {"type": "about:blank", "title": title, "status": self.status}
        return {**named, "detail": self.detail, **self.members}


def problem_response(problem: ProblemError) -> JSONResponse:
    """Render a problem."""
    return JSONResponse(
        problem.body(), problem.status, problem.headers, media_type="application/problem+json"
    )


async def answer_problem(_: Request, error: Exception) -> JSONResponse:
    """Answer a `ProblemError`; an exception handler of Starlette and FastAPI."""
    assert isinstance(error, ProblemError)  # noqa: S101  # how it was registered
    return problem_response(error)


async def answer_http_exception(_: Request, error: Exception) -> JSONResponse:
    """Answer what the framework itself refuses (404, 405) as a problem, too."""
    assert isinstance(error, HTTPException)  # noqa: S101  # how it was registered
    headers = dict(error.headers or {})
    return problem_response(ProblemError(error.status_code, error.detail, headers=headers))


async def answer_unexpected(_: Request, __: Exception) -> JSONResponse:
    """Answer 500 without telling what went wrong inside; the log has the traceback."""
    return problem_response(ProblemError(500, "An unexpected error; the service's log has it"))


#: Pass as ``exception_handlers`` to Starlette or FastAPI.
PROBLEM_HANDLERS: Final[dict[Any, Any]] = {
    ProblemError: answer_problem,
    HTTPException: answer_http_exception,
    Exception: answer_unexpected,
}


class HttpServer:
    """A uvicorn server inside a running loop: started, stopped, and deaf to signals.

    Use it as an asynchronous context manager, or call `start` and `stop`.

    Parameters
    ----------
    app
        Any ASGI application.
    host, port
        Where to listen; port 0 takes a free one, which `port` then names.
    pages
        Whether the application has pages that live: web sockets, and a start and an end of its own.

    """

    def __init__(self, app: ASGIApp, host: str, port: int, *, pages: bool = False) -> None:
        config = uvicorn.Config(
            app,
            http="httptools",  # said, so that nobody runs on the slower one by accident
            lifespan="on" if pages else "off",  # bootstraps own what the application needs
            log_config=None,  # shared.logs has configured logging
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="websockets-sansio" if pages else "none",
            ws_max_size=_MOST_WS_BYTES,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        self._host = host
        self.app = app
        self.port = port
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and return when requests are answered.

        Raises
        ------
        ListenError
            The address is taken or not of this machine.

        """
        listener = _listen(self._host, self.port)
        self.port = listener.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Close the listener, let answers under way go out, and return."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the service, which drains before it stops its server."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol said: asyncio turns Nagle's algorithm off on such sockets only, and with it
    # an answer would wait 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. "
            "Stop what listens there, or set another port."
        ) from None
    return listener
