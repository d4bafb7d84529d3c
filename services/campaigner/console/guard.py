"""Between the web and the pages: who has no session sees the entrance, whoever calls from where.

An ASGI middleware, since web sockets pass here, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlsplit

from services.campaigner.console.entry import Entry
from shared.settings import LOOPBACK

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: What the entrance itself needs; no customer's data is among it.
_PUBLIC: Final = ("/login", "/favicon.ico", "/look/", "/_nicegui/")
_FOREVER: Final = "public, max-age=31536000, immutable"
#: Browsers then refuse to load anything from elsewhere, to show us in a frame, and to post to
#: others. NiceGUI's pages consist of inline scripts, and Vue compiles templates in the browser.
_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "object-src 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


class Guard:
    """Lets through what has a session, asks the rest in by the door.

    Parameters
    ----------
    app
        What is guarded; sessions are in ``scope["session"]`` by now.
    entry
        Knows whose they are.

    """

    def __init__(self, app: App, entry: Entry) -> None:
        self._app = app
        self._entry = entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or a web socket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if (refusal := self._refusal(scope, path)) is not None:
            await _refuse(scope, send, *refusal)
            return
        await self._app(scope, receive, _hardened(send, path))

    def _refusal(self, scope: Scope, path: str) -> tuple[HTTPStatus, str] | None:
        """Return what to answer in place of the page: a status, and a text or an address."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if self._entry.is_open and _name(host) not in LOOPBACK:
            # Else any site could have its name point here, and be let in like this machine's users.
            return HTTPStatus.FORBIDDEN, "Without API keys the console is for localhost alone."
        writes = scope["type"] == "websocket" or scope["method"] not in {"GET", "HEAD"}
        if writes and origin is not None and origin.partition("://")[2] != host:
            return HTTPStatus.FORBIDDEN, "This request comes from another site."
        if path.startswith(_PUBLIC) or self._entry.who(scope["session"]) is not None:
            return None
        if scope["type"] == "websocket" or path.startswith("/_nicegui"):
            return HTTPStatus.FORBIDDEN, "The session has ended. Sign in again."
        root = scope.get("root_path", "")
        return HTTPStatus.SEE_OTHER, f"{root}/login?next={quote(path)}"


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _hardened(send: Send, path: str) -> Send:
    lasting = path.startswith("/_nicegui/") and "/dynamic_resources/" not in path

    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), *_HEADERS]
            if lasting and message["status"] == HTTPStatus.OK:
                headers = [each for each in headers if each[0].lower() != b"cache-control"]
                headers.append((b"cache-control", _FOREVER.encode()))
            message["headers"] = headers
        await send(message)

    return hardened


async def _refuse(scope: Scope, send: Send, status: HTTPStatus, text: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": text})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
    if status is HTTPStatus.SEE_OTHER:
        headers.append((b"location", text.encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": b"" if status < 400 else text.encode()})  # noqa: PLR2004
