"""Asking before something is done that others will notice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from nicegui import ui

from services.campaigner.console.acts import Change
from services.campaigner.console.frame import Visit
from services.campaigner.console.widgets import Text, button
from shared.adapters.api_keys import Caller, Permission

_MOST: Final = 500

#: Shows a page anew.
Refresh = Callable[[], Awaitable[None]]
#: Does something for a caller, for a reason; returns what to tell.
Act = Callable[[Caller, str], Awaitable[str]]


def ask_reason(
    visit: Visit, permission: Permission, act: Act, *, title: str, text: str, do: str
) -> None:
    """Ask for a reason, and do it.

    Parameters
    ----------
    permission
        What it takes; asked for when it is done.
    act
        What is done.
    title, text
        What is about to happen.
    do
        The button that does it.

    """
    with ui.dialog().props("persistent") as dialog, ui.element("div").classes("dialog"):
        dialog.props["aria-label"] = title
        Text("h2", title)
        Text("p", text)
        reason = ui.input("Reason, for the audit log").props(
            f'outlined dense autofocus maxlength="{_MOST}"'
        )

        async def proceed() -> None:
            async def chosen(caller: Caller) -> str:
                return await act(caller, (reason.value or "").strip())

            if await visit.change(permission, chosen):
                dialog.close()

        with ui.element("div").classes("buttons"):
            button(do, proceed, kind="danger")
            button("Cancel", dialog.close)
    reason.on("keydown.enter", proceed)
    dialog.on("hide", dialog.delete)
    dialog.open()


def ask_change(
    visit: Visit,
    permission: Permission,
    change: Change,
    name: str,
    refresh: Refresh,
    *,
    title: str,
    text: str,
    do: str,
) -> None:
    """Ask for a reason, change something of a name, and show the page anew; else as `ask_reason`.

    Parameters
    ----------
    change
        What is changed.
    name
        Of a campaign or a customer.
    refresh
        Shows what that changed.

    """
    console = visit.console

    async def changed(caller: Caller, reason: str) -> str:
        told = await console.ask(change, console.parts, name, caller, reason)
        await refresh()
        return told

    ask_reason(visit, permission, changed, title=title, text=text, do=do)
