"""Who may come into the console, and what they may do there: the API's keys and their roles.

A session is a signed cookie that names a key and carries a fingerprint of the key's entry in the
keys file. Rights are read from that file each time: a key that was taken back, or replaced, opens
nothing from then on, whatever cookies are still about.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, MutableMapping
from hashlib import blake2b
from typing import Any, Final
from uuid import uuid4

from shared.adapters.api_keys import ANYONE, Caller, Doorkeeper, Permission
from shared.domain.errors import TenureError

_NAME: Final = "key"
_FINGERPRINT: Final = "fingerprint"
#: How long a session lasts after the last page that was opened in it.
LASTS_S: Final = 12 * 3600

_ROLE_OF: Final[dict[Permission, str]] = {
    "read": "viewer",
    "operate": "operator",
    "administer": "admin",
}


class ForbiddenError(TenureError):
    """The caller may not do this; the message says who may."""


class Entry:
    """Opens and checks sessions.

    Parameters
    ----------
    doorkeeper
        Knows the keys.

    """

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper

    @property
    def is_open(self) -> bool:
        """Whether everybody comes in: on a loopback address without keys."""
        return self._doorkeeper.named(ANYONE.name) is ANYONE

    def sign_in(self, key: str, session: MutableMapping[str, Any]) -> Caller:
        """Open a session with an API key.

        Raises
        ------
        UnauthenticatedError
            The key is not known.
        ForbiddenError
            It is one that reads nothing, such as a billing system's.

        """
        caller = self._doorkeeper.authenticate(f"Bearer {key.strip()}")
        if not caller.may("read"):
            raise ForbiddenError(
                f"The key {caller.name!r} may not read. Ask for one with a role: "
                "`tenure keys create NAME --role viewer` makes it."
            )
        session.clear()
        # NiceGUI's name for the session; a new one, so that nobody can have planted it.
        session["id"] = str(uuid4())
        session[_NAME], session[_FINGERPRINT] = caller.name, _fingerprint(caller)
        return caller

    def who(self, session: Mapping[str, Any]) -> Caller | None:
        """Return whose session this is, with the rights of this moment; ``None`` if nobody's."""
        if self.is_open:
            return ANYONE
        caller = self._doorkeeper.named(str(session.get(_NAME, "")))
        if caller is None or not caller.may("read"):
            return None
        shown = str(session.get(_FINGERPRINT, ""))
        return caller if hmac.compare_digest(shown, _fingerprint(caller)) else None

    def require(self, session: Mapping[str, Any], permission: Permission) -> Caller:
        """Return whose session this is, who has the permission; raises a `ForbiddenError`."""
        caller = self.who(session)
        if caller is None:
            raise ForbiddenError("The session has ended. Sign in again.")
        if not caller.may(permission):
            raise ForbiddenError(
                f"{caller.name} may not do this: it takes the role {_ROLE_OF[permission]}."
            )
        return caller


def role_of(caller: Caller) -> str:
    """Return the role by which people know what somebody may do.

    >>> role_of(ANYONE)
    'admin'
    """
    held = [role for permission, role in _ROLE_OF.items() if caller.may(permission)]
    return held[-1] if held else "nobody"


def _fingerprint(caller: Caller) -> str:
    return blake2b(f"{caller.name}\0{caller.hash}".encode(), digest_size=16).hexdigest()
