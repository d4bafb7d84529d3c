"""Puts NiceGUI's application, with our pages and our guard, into the campaigner's."""

from __future__ import annotations

from hashlib import blake2b
from importlib import resources
from typing import Final

from fastapi import FastAPI
from nicegui import app as pages
from nicegui import core, ui

from services.campaigner.console.entry import LASTS_S, Entry
from services.campaigner.console.guard import Guard
from services.campaigner.console.http import entrance
from services.campaigner.console.pages import (
    campaigns,
    customers,
    letters,
    model,
    months,
    overview,
    simulate,
)
from services.campaigner.console.parts import Parts
from services.campaigner.console.state import Console

_LOOK: Final = resources.files("services.campaigner.console") / "look"
_ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="7" fill="#0b6e63"/>'
    '<path d="M7 21c5 0 5-10 9-10s4 6 9 6" fill="none" stroke="#fff"'
    ' stroke-width="3" stroke-linecap="round"/></svg>'
)


def mount(app: FastAPI, parts: Parts, entry: Entry, path: str, *, secret: str, https: bool) -> None:
    """Add the console to an application at a path.

    Parameters
    ----------
    secret
        Signs the sessions.
    https
        Whether browsers show the cookie to HTTPS alone.

    """
    console = Console(parts, entry)
    # NiceGUI lets pages of any site open its sockets; ours are for our own pages.
    core.sio.eio.cors_allowed_origins = None
    pages.add_middleware(Guard, entry=entry)
    pages.router.routes.extend(entrance(entry))
    with resources.as_file(_LOOK / "console.css") as style:
        pages.add_static_file(local_file=style, url_path="/look/console.css")
    version = blake2b((_LOOK / "console.css").read_bytes(), digest_size=6).hexdigest()
    ui.add_head_html(
        f'<link rel="stylesheet" href="{path}/look/console.css?{version}">', shared=True
    )
    for each in (overview, customers, months, campaigns, simulate, model, letters):
        each.add(console)
    ui.run_with(
        app,
        mount_path=path,
        title="Tenure",
        favicon=_ICON,
        dark=None,  # as the system's
        language="en-US",
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=20.0,
        show_welcome_message=False,
        storage_secret=secret,
        session_middleware_kwargs={
            "session_cookie": "tenure-console",
            "max_age": LASTS_S,
            "path": path,
            # Links from elsewhere arrive signed in; posts from elsewhere do not.
            "same_site": "lax",
            "https_only": https,
        },
    )
