"""What people change in the console: the same changes as by the operator API, in the same log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.campaigner.console.parts import Parts
from services.campaigner.controls import approval
from shared.adapters.api_keys import Caller
from shared.adapters.control_log import tell_every_partition
from shared.domain.controls import ALL
from shared.schemas.control_events import pin_event

#: Changes something of a name, for a caller and a reason; returns what to tell.
Change = Callable[[Parts, str, Caller, str], str]


def pause(parts: Parts, campaign: str, caller: Caller, reason: str) -> str:
    """Stop a campaign, or `ALL`; return what to tell."""
    parts.controls.hold(campaign, caller.name, reason)
    return f"{_name(campaign)} stopped: nothing fires, and what waits stays until it expires."


def resume(parts: Parts, campaign: str, caller: Caller, reason: str) -> str:
    """Let a campaign, or `ALL`, go on; raises a `RefusedError` when nothing is stopped."""
    parts.controls.resume(campaign, caller.name, reason)
    return f"{_name(campaign)} resumed."


def approve(parts: Parts, campaign: str, version: str, caller: Caller) -> str:
    """Approve the version that was read.

    Raises
    ------
    RefusedError, OutdatedError
        As by the operator API.

    """
    approval.approve(
        parts.controls,
        parts.book(),
        parts.knows,
        campaign=campaign,
        version=version,
        caller=caller,
    )
    return f"Version {version} of {campaign} is approved."


def suppress(parts: Parts, customer: str, caller: Caller, reason: str) -> str:
    """Put a customer on the suppression list; return what to tell."""
    parts.controls.suppress([customer], caller.name, reason)
    return "On the suppression list: no campaign contacts this customer."


def unsuppress(parts: Parts, customer: str, caller: Caller, reason: str) -> str:
    """Take a customer off the suppression list; return what to tell."""
    parts.controls.unsuppress([customer], caller.name, reason)
    return "Off the suppression list: campaigns may contact this customer."


async def pin(parts: Parts, version: int | None, caller: Caller, reason: str) -> str:
    """Serve a version of the model alone, or with None the newest again; return what to tell.

    Raises
    ------
    TenureError
        Kafka was not told, and nothing has changed.

    """
    event = pin_event(version, parts.clock(), caller.name, reason, "tenure/console")
    await tell_every_partition(parts.settings, event, pinned=version)
    served = "the newest version" if version is None else f"version {version}"
    detail = {"reason": reason}
    await asyncio.to_thread(parts.controls.note, caller.name, "serve model", served, detail)
    return f"From now on {served} is served."


def _name(campaign: str) -> str:
    return "All campaigns are" if campaign == ALL else f"{campaign} is"
