"""Who may call an operation, as an HTTP answer: 401 without a known key, 403 without permission."""

from __future__ import annotations

from shared.adapters.api_keys import Caller, Doorkeeper, Permission, UnauthenticatedError
from shared.adapters.http import ProblemError


def authorized(doorkeeper: Doorkeeper, authorization: str | None, permission: Permission) -> Caller:
    """Return the caller of an ``Authorization`` header, who has the permission.

    Raises
    ------
    ProblemError
        401 or 403.

    """
    try:
        caller = doorkeeper.authenticate(authorization)
    except UnauthenticatedError as error:
        challenge = {"WWW-Authenticate": "Bearer"}
        raise ProblemError(401, str(error), headers=challenge) from None
    if not caller.may(permission):
        raise ProblemError(
            403,
            f"The key {caller.name!r} has no permission {permission!r}. Use another, or have it "
            "added to `permissions` in the keys file.",
        )
    return caller
