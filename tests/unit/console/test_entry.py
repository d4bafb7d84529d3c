"""Sessions: whose they are, for how long the key in them counts, and what roles may do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.campaigner.console.entry import Entry, ForbiddenError, role_of
from shared.adapters.api_keys import (
    ANYONE,
    OpenDoor,
    ReloadingKeyRing,
    Role,
    UnauthenticatedError,
    create_key,
)


def keys_file(path: Path, **hashes: str) -> Path:
    entries = [
        {"name": name, "hash": hashed, "role": name.split("-")[0]}
        for name, hashed in hashes.items()
    ]
    path.write_text(yaml.safe_dump({"keys": entries}))
    return path


def entered(tmp_path: Path, role: Role) -> tuple[Entry, dict[str, Any], Path]:
    key, hashed = create_key(role)
    path = keys_file(tmp_path / "keys.yaml", **{role: hashed})
    entry, session = Entry(ReloadingKeyRing(path)), dict[str, Any]()
    entry.sign_in(key, session)
    return entry, session, path


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("viewer", {"read"}), ("operator", {"read", "operate"}),
     ("admin", {"read", "operate", "administer"})],
)  # fmt: skip
def test_a_role_may_what_it_may(tmp_path: Path, role: Role, allowed: set[str]) -> None:
    entry, session, _ = entered(tmp_path, role)
    for permission in ("read", "operate", "administer"):
        if permission in allowed:
            caller = entry.require(session, permission)
            assert (caller.name, role_of(caller)) == (role, role)
        else:
            with pytest.raises(ForbiddenError, match=r"it takes the role (operator|admin)"):
                entry.require(session, permission)


def test_a_key_that_is_taken_back_opens_nothing_any_more(tmp_path: Path) -> None:
    entry, session, path = entered(tmp_path, "admin")
    path.write_text("keys: []\n")
    assert entry.who(session) is None
    with pytest.raises(ForbiddenError, match="Sign in again"):
        entry.require(session, "read")


def test_a_key_that_is_replaced_ends_the_sessions_of_the_former(tmp_path: Path) -> None:
    entry, session, path = entered(tmp_path, "admin")
    keys_file(path, admin=create_key("admin")[1])
    assert entry.who(session) is None


def test_a_session_without_fingerprint_is_nobodys(tmp_path: Path) -> None:
    entry, session, _ = entered(tmp_path, "admin")
    assert entry.who({"key": "admin"}) is None
    assert entry.who({**session, "fingerprint": ""}) is None
    assert entry.who({"key": ANYONE.name, "fingerprint": session["fingerprint"]}) is None


def test_the_cookie_holds_no_secret(tmp_path: Path) -> None:
    key, hashed = create_key("viewer")
    session: dict[str, Any] = {"id": "planted"}
    Entry(ReloadingKeyRing(keys_file(tmp_path / "k", viewer=hashed))).sign_in(key, session)
    secret, digest = key.partition(".")[2], hashed.rpartition(":")[2]
    assert secret not in str(session)
    assert digest not in str(session)
    assert session["id"] != "planted"


def test_who_may_not_read_stays_outside(tmp_path: Path) -> None:
    key, hashed = create_key("billing")
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump({"keys": [{"name": "billing", "hash": hashed}]}))
    session: dict[str, Any] = {}
    with pytest.raises(ForbiddenError, match="--role viewer"):
        Entry(ReloadingKeyRing(path)).sign_in(key, session)
    with pytest.raises(UnauthenticatedError):
        Entry(ReloadingKeyRing(path)).sign_in("billing.wrong", session)
    assert session == {}


def test_without_keys_everybody_is_anyone() -> None:
    entry = Entry(OpenDoor())
    assert entry.is_open
    assert entry.require({}, "administer") is ANYONE
