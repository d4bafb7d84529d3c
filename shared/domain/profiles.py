"""How ``tenure.account`` events change a customer's profile."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from shared.domain.events import AccountData, epoch_ms
from shared.domain.lifecycle import CLOSED_INVOLUNTARY, CLOSED_VOLUNTARY, OPEN
from shared.domain.outputs import Profile

_PLAIN: Final = (
    "plan", "plan_limit", "brand", "market", "time_zone", "balance", "acquisition_source",
    "referred_by",
)  # fmt: skip
_CONSENT: Final = {"consent_given": True, "consent_withdrawn": False}
_REOPENS: Final = frozenset({"opened", "activated", "renewed", "trial_started"})


def update_profile(profile: Profile, data: AccountData) -> Profile:
    """Return the profile after an account event: what the event names replaces what was known."""
    changes: dict[str, Any] = {
        name: value for name in _PLAIN if (value := getattr(data, name)) is not None
    }
    changes |= {
        name: epoch_ms(value)
        for name in ("expiry", "contract_end")
        if (value := getattr(data, name)) is not None
    }
    if data.attributes:
        changes["attributes"] = {**profile.attributes, **data.attributes}
    if data.status in _CONSENT:
        changes["consent"] = {**profile.consent, _purpose(data): _CONSENT[data.status]}
    else:
        changes["status"] = data.status
    return msgspec.structs.replace(profile, **changes)


def _purpose(data: AccountData) -> str:
    """Name what consent is about: a channel, a purpose, both, or everything (``*``)."""
    return "/".join(filter(None, (data.channel, data.purpose))) or "*"


def closed_code(before: int, data: AccountData) -> int:
    """Return the code of `lifecycle` for whether the account is closed after this event."""
    if data.status == "closed":
        return CLOSED_INVOLUNTARY if data.voluntary is False else CLOSED_VOLUNTARY
    return OPEN if data.status in _REOPENS else before
