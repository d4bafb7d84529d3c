"""What passes the guard: by session, by origin, and by the name under which we are called."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.campaigner.console.entry import Entry
from services.campaigner.console.guard import Guard
from shared.adapters.api_keys import OpenDoor, ReloadingKeyRing, create_key


@pytest.fixture
def locked(tmp_path: Path) -> tuple[Entry, dict[str, Any]]:
    key, hashed = create_key("viewer")
    path = tmp_path / "keys.yaml"
    path.write_text(
        yaml.safe_dump({"keys": [{"name": "viewer", "hash": hashed, "role": "viewer"}]})
    )
    entry, session = Entry(ReloadingKeyRing(path)), dict[str, Any]()
    entry.sign_in(key, session)
    return entry, session


async def answered(
    entry: Entry,
    path: str = "/",
    *,
    session: dict[str, Any] | None = None,
    kind: str = "http",
    method: str = "GET",
    **headers: str,
) -> list[MutableMapping[str, Any]]:
    """Return what a request through the guard was answered."""
    sent: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        await send({"type": f"{kind}.response.start", "status": 200, "headers": []})

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {}

    scope = {
        "type": kind,
        "method": method,
        "path": f"/console{path}",
        "root_path": "/console",
        "session": session or {},
        "headers": [
            (name.encode(), value.encode()) for name, value in ({"host": "ops"} | headers).items()
        ],
    }
    await Guard(app, entry)(scope, receive, send)
    return sent


async def status(*arguments: Any, **more: Any) -> int:  # noqa: ANN401
    (start, *_) = await answered(*arguments, **more)
    return int(start.get("status", 0))


async def test_a_session_comes_in_and_none_goes_to_the_door(
    locked: tuple[Entry, dict[str, Any]],
) -> None:
    entry, session = locked
    assert await status(entry, session=session) == 200
    (start, _) = await answered(entry, "/customers/a b", session={})
    assert (b"location", b"/console/login?next=/customers/a%20b") in start["headers"]
    assert start["status"] == 303


@pytest.mark.parametrize("path", ["/login", "/look/console.css", "/_nicegui/3/static/x.js"])
async def test_the_door_itself_is_open(locked: tuple[Entry, dict[str, Any]], path: str) -> None:
    assert await status(locked[0], path) == 200


async def test_a_web_socket_needs_a_session_and_our_own_page(
    locked: tuple[Entry, dict[str, Any]],
) -> None:
    entry, session = locked
    for headers, own in (({}, {}), ({"origin": "https://evil.example"}, session)):
        (closed,) = await answered(
            entry, "/_nicegui_ws/socket.io", kind="websocket", session=own, **headers
        )
        assert closed["type"] == "websocket.close"
    own_origin = {"origin": "https://ops"}
    (opened,) = await answered(
        entry, "/_nicegui_ws/socket.io", kind="websocket", session=session, **own_origin
    )
    assert opened["type"] != "websocket.close"


async def test_posts_come_from_our_own_pages(locked: tuple[Entry, dict[str, Any]]) -> None:
    entry, session = locked
    post = {"session": session, "method": "POST"}
    assert await status(entry, "/logout", **post, origin="https://evil.example") == 403
    assert await status(entry, "/logout", **post, origin="null") == 403
    assert await status(entry, "/logout", **post, origin="http://ops") == 200


@pytest.mark.parametrize(
    ("host", "comes_in"),
    [("localhost:8003", True), ("127.0.0.1:8003", True), ("[::1]:8003", True),
     ("evil.example", False), ("127.0.0.1.evil.example", False), ("[", False), ("", False)],
)  # fmt: skip
async def test_without_keys_we_answer_to_localhost_alone(host: str, comes_in: bool) -> None:
    # Another site's name may point to this machine (DNS rebinding).
    assert (await status(Entry(OpenDoor()), host=host) == 200) is comes_in


async def test_browsers_are_told_to_load_nothing_from_elsewhere(
    locked: tuple[Entry, dict[str, Any]],
) -> None:
    entry, session = locked
    for path, own in (("/", session), ("/", {}), ("/login", {})):
        (start, *_) = await answered(entry, path, session=own)
        policy = dict(start["headers"])[b"content-security-policy"].decode()
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy
