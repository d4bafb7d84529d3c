"""The console's own HTTP: adding it to the campaigner's application, signing in and out.

Signing in is a plain form, since a page that lives on a web socket cannot set a cookie.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final
from urllib.parse import parse_qs

from fastapi import FastAPI
from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.campaigner.console.entry import Entry, ForbiddenError
from services.campaigner.console.parts import Parts
from shared.adapters.api_keys import Doorkeeper, UnauthenticatedError

#: Adds the console to an application of a campaigner's parts.
AddConsole = Callable[[FastAPI, Parts, Doorkeeper], None]

PATH: Final = "/console"
_MOST_BYTES: Final = 10_000
_templates: Final = Environment(
    loader=PackageLoader("services.campaigner.console", "look"), autoescape=True
)


def add_console(app: FastAPI, parts: Parts, doorkeeper: Doorkeeper) -> None:
    """Add the console to an application; where NiceGUI is missing, a page that says how to get it.

    At most once in a process: NiceGUI is one application.
    """
    if find_spec("nicegui") is None:
        app.add_route(PATH, _missing, include_in_schema=False)
        return
    from services.campaigner.console.mount import mount  # noqa: PLC0415  # an extra

    settings = parts.settings
    given = settings.console_secret
    secret = given.get_secret_value() if given else secrets.token_hex(32)
    mount(app, parts, Entry(doorkeeper), PATH, secret=secret, https=settings.console_https)


def entrance(entry: Entry) -> list[BaseRoute]:
    """Return the pages by which people come in and leave."""

    async def show(request: Request) -> Response:
        if entry.who(request.session) is not None:
            return _onwards(request, request.query_params.get("next"))
        return _page("login.html.j2", next=request.query_params.get("next", "/"))

    async def sign_in(request: Request) -> Response:
        form = await _form(request)
        target = form.get("next", "/")
        try:
            entry.sign_in(form.get("key", ""), request.session)
        except (UnauthenticatedError, ForbiddenError) as error:
            problem = str(error) if form.get("key") else "Enter an API key."
            return _page("login.html.j2", 401, next=target, problem=problem)
        return _onwards(request, target)

    async def sign_out(request: Request) -> Response:
        request.session.clear()
        return _onwards(request, "/login")

    return [
        Route("/login", show, methods=["GET"]),
        Route("/login", sign_in, methods=["POST"]),
        Route("/logout", sign_out, methods=["POST"]),
    ]


async def _missing(_: Request) -> Response:
    return _page("missing.html.j2", 501)


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", errors="replace"))
    return {name: values[0] for name, values in fields.items()}


def _onwards(request: Request, target: str | None) -> Response:
    """Go to a page of the console: an address that leads elsewhere is not followed."""
    within = target if target and target.startswith("/") else "/"
    if within.startswith(("//", "/\\")):
        within = "/"
    return RedirectResponse(request.scope.get("root_path", "") + within, 303)


def _page(name: str, status: int = 200, **values: object) -> Response:
    text = _templates.get_template(name).render(values)
    return HTMLResponse(text, status, headers={"cache-control": "no-store"})
