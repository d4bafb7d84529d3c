"""What is around each page: where one is, who one is, and what keeps it alive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import structlog
from nicegui import ui

from services.campaigner.console.entry import ForbiddenError, role_of
from services.campaigner.console.kept import unexpected
from services.campaigner.console.state import Console
from services.campaigner.console.widgets import Banner, Text
from shared.adapters.api_keys import Caller, Permission
from shared.domain.errors import TenureError

log = structlog.get_logger(__name__)

PAGES: Final = (
    ("Overview", "/"),
    ("Customers", "/customers"),
    ("Months", "/months"),
    ("Campaigns", "/campaigns"),
    ("Model", "/model"),
    ("Dead letters", "/letters"),
)


@dataclass
class Visit:
    """Somebody on a page.

    Attributes
    ----------
    root
        Where the console is.
    session
        As the browser showed it when the page was opened; rights are asked for anew each time.
    banner
        Says what is wrong.

    """

    console: Console
    root: str
    session: Mapping[str, Any]
    banner: Banner

    def href(self, path: str) -> str:
        """Return the address of a page."""
        return self.root + path

    def customer(self, name: str) -> str:
        """Return the address of a customer's page."""
        return self.href(f"/customers/{quote(name, safe='')}")

    def campaign(self, name: str) -> str:
        """Return the address of a campaign's page."""
        return self.href(f"/campaigns/{quote(name, safe='')}")

    def may(self, permission: Permission) -> bool:
        """Tell whether the visitor has a permission now."""
        caller = self.console.entry.who(self.session)
        return caller is not None and caller.may(permission)

    def require(self, permission: Permission) -> Caller:
        """Return the visitor, who has a permission now; raises a `ForbiddenError`."""
        return self.console.entry.require(self.session, permission)

    def live(self, refresh: Callable[[], Awaitable[None]], every_s: float = 2.0) -> None:
        """Refresh the page now and every few seconds, as long as it is open."""

        async def turn() -> None:
            if self.console.entry.who(self.session) is None:
                ui.navigate.to("/login")
                return
            try:
                await refresh()
            except TenureError as error:
                self.banner.show(str(error))
            except Exception as error:
                log.exception("a page of the console could not be refreshed")
                self.banner.show(unexpected(error))

        ui.timer(every_s, turn)

    async def change(self, permission: Permission, act: Callable[[Caller], Awaitable[str]]) -> bool:
        """Do something for the visitor, and say what came of it; return whether it was done."""
        try:
            done = await act(self.require(permission))
        except TenureError as error:
            ui.notify(str(error), type="negative", multi_line=True, timeout=10_000)
            return False
        ui.notify(done, type="positive")
        return True


@contextmanager
def frame(console: Console, title: str, *, within: str = "") -> Iterator[Visit]:
    """Open a page.

    Parameters
    ----------
    console
        What pages share.
    title
        The page's heading.
    within
        The entry of the navigation that it belongs to, if that is another.

    """
    request = ui.context.client.request
    root = str(request.scope.get("root_path", ""))
    session = dict(request.session)
    caller = console.entry.who(session)
    if caller is None:  # the guard was here before, so the key was taken back this very moment
        raise ForbiddenError("The session has ended. Sign in again.")
    ui.page_title(f"{title} · Tenure")
    # Beside NiceGUI's `main`, in which all else is.
    with ui.context.client.layout, ui.element("header").classes("top") as header:
        Text("a", "Tenure", "brand").props["href"] = f"{root}/"
        with ui.element("nav").props('aria-label="Pages"'):
            for name, path in PAGES:
                link = Text("a", name)
                link.props["href"] = root + path
                if name == (within or title):
                    link.props["aria-current"] = "page"
        _who(caller, root, is_open=console.entry.is_open)
    header.move(target_index=0)
    with ui.element("div").classes("page") as page:
        ui.skip_link("Skip to the page", target=page)
        Text("h1", title)
        yield Visit(console, root, session, Banner())


def _who(caller: Caller, root: str, *, is_open: bool) -> None:
    with ui.element("div").classes("who"):
        if is_open:
            Text("span", "No keys are set: everybody on this machine may do all")
            return
        Text("span", f"{caller.name} ({role_of(caller)})")
        # A form of the page's own: the cookie is not to be had from a web socket.
        with ui.element("form").props(f'method="post" action="{root}/logout"'):
            Text("button", "Sign out", "button plain").props('type="submit"')
