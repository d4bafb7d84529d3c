"""What people change in the console: the same changes as by the operator API, in the same log."""

from __future__ import annotations

from services.campaigner.console.entry import ForbiddenError
from services.campaigner.console.parts import Parts
from shared.adapters.api_keys import ANYONE, Caller
from shared.domain.controls import ALL
from shared.domain.errors import TenureError


class OutdatedError(TenureError):
    """What was looked at is not in force any more."""


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
    ForbiddenError, RefusedError
        The caller has no name, or wrote the version.
    OutdatedError
        Another version is in force by now.

    """
    if caller is ANYONE:
        raise ForbiddenError(
            "An approval needs a name: set TENURE_CAMPAIGNER_KEYS_FILE to a keys file."
        )
    current = {each.name: each.version for each in parts.book().campaigns}.get(campaign)
    if version != current:
        raise OutdatedError(f"{current} is in force, and not {version}. Read it first.")
    parts.controls.approve(campaign, version, caller.name)
    return f"Version {version} of {campaign} is approved."


def _name(campaign: str) -> str:
    return "All campaigns are" if campaign == ALL else f"{campaign} is"
