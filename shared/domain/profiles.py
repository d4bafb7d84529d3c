"""How ``tenure.account`` events change what is known about a customer.

Of each fact the newest event that names it counts, by event time and not by arrival; of two events
of one instant the greater value counts, and no consent before consent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from shared.domain.event_data import AccountData
from shared.domain.events import epoch_ms
from shared.domain.ledger import Ledger, mention, newest_status, plan, status
from shared.domain.outputs import Profile

_Value = float | str | bool

#: Facts, and what a ledger calls them.
_FACTS: Final = {
    "plan_limit": "l", "brand": "b", "market": "m", "time_zone": "z", "balance": "$",
    "expiry": "e", "contract_end": "c", "acquisition_source": "s", "referred_by": "r",
}  # fmt: skip
_CONSENT: Final = {"consent_given": True, "consent_withdrawn": False}


def update_profile(profile: Profile, ledger: Ledger, data: AccountData, at: int) -> Profile:
    """Return the profile after an account event of a time; the ledger is changed in place."""
    changes: dict[str, Any] = {
        name: value
        for name, key in _FACTS.items()
        if (value := _plain(getattr(data, name))) is not None
        and _counts(ledger, key, getattr(profile, name), value, at)
    }
    if data.attributes:
        changes["attributes"] = _newest(ledger, "a", profile.attributes, data.attributes, at)
    if data.status in _CONSENT:
        given = {_purpose(data): _CONSENT[data.status]}
        changes["consent"] = _newest(ledger, "?", profile.consent, given, at)
    else:
        status(ledger, _way(data), at)
        changes["status"] = newest_status(ledger)
    if data.plan is not None:
        mention(ledger.plans, at, data.plan, kept=1)
        changes["plan"] = plan(ledger)[0]
    ledger.profile_at = ledger.profile_at or at
    return msgspec.structs.replace(profile, **changes)


def _plain(value: _Value | datetime | None) -> _Value | None:
    return epoch_ms(value) if isinstance(value, datetime) else value


def _newest(
    ledger: Ledger, prefix: str, known: Mapping[str, Any], named: Mapping[str, Any], at: int
) -> dict[str, Any]:
    """Return what is known by name, with what an event names where it counts."""
    counts = {
        name: value
        for name, value in named.items()
        if _counts(ledger, prefix + name, known.get(name), value, at)
    }
    return {**known, **counts}


def _counts(ledger: Ledger, key: str, known: _Value | None, value: _Value, at: int) -> bool:
    """Tell whether an event's word counts, and note its time where it does.

    Times are noted where they are not that of the first account event, which often says all.
    """
    since = ledger.newer.get(key, ledger.profile_at)
    if known is not None and (at < since or (at == since and not _beats(value, known))):
        return False
    if ledger.profile_at in {0, at}:
        ledger.newer.pop(key, None)
    else:
        ledger.newer[key] = at
    return True


def _beats(value: Any, known: Any) -> bool:  # noqa: ANN401  # both of the fact's own type
    """Tell which of two values of one instant counts."""
    return bool(value < known if isinstance(value, bool) else value > known)


def _way(data: AccountData) -> str:
    """Name the status, and who closed the account where that is said."""
    if data.status != "closed" or data.voluntary is None:
        return data.status
    return "closed_voluntary" if data.voluntary else "closed_involuntary"


def _purpose(data: AccountData) -> str:
    """Name what consent is about: a channel, a purpose, both, or everything (``*``)."""
    return "/".join(filter(None, (data.channel, data.purpose))) or "*"
