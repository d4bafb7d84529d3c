"""API keys: who calls, for which sources they speak, and what they may do.

A key is ``name.secret``. The file holds no secret, only a salted hash of the whole key, so it may
live beside the other configuration. The secret has 256 random bits, which no one can guess from a
fast hash; ``tenure keys create`` makes both.
"""

from __future__ import annotations

import hmac
import re
import secrets
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

import msgspec
import structlog
import yaml
from msgspec import Meta, Struct

from shared.domain.errors import TenureError
from shared.settings import LOOPBACK

log = structlog.get_logger(__name__)

Permission = Literal["events", "ticks", "read", "operate", "administer"]
Role = Literal["viewer", "operator", "admin"]
Positive = Annotated[float, Meta(gt=0)]

_HASH: Final = r"^blake2b:[0-9a-f]{32}:[0-9a-f]{64}$"
_NAME: Final = r"^[A-Za-z0-9_-]{1,64}$"
_CREATE: Final = "`tenure keys create NAME` prints a key and its entry"


class KeysFileError(TenureError):
    """The keys file cannot be used; the message lists everything that is wrong with it."""


class UnauthenticatedError(TenureError):
    """No key, or one that is not in the file."""


class Quota(Struct, frozen=True, forbid_unknown_fields=True):
    """How many events a caller may send: a rate, and how much of it may come at once."""

    events_per_second: Positive
    burst: Positive | None = None

    @property
    def capacity(self) -> float:
        """Return the events that may come at once: ten seconds' worth unless given."""
        return self.burst or 10 * self.events_per_second


#: What the roles of a campaigner's people may do; each may what the one before may.
ROLES: Final[dict[Role, tuple[Permission, ...]]] = {
    "viewer": ("read",),
    "operator": ("read", "operate"),
    "admin": ("read", "operate", "administer"),
}


class Caller(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of the keys file.

    Attributes
    ----------
    name
        First part of the key; the name that logs show.
    hash
        ``blake2b:<salt>:<digest>`` of the whole key, in hexadecimal.
    sources
        CloudEvents sources that the caller may send for; ``*`` stands for anything.
    permissions
        What the caller may do; sending events, unless these or a role are given.
    role
        Stands for the permissions of a campaigner's viewers, operators or admins.
    quota
        Limit of events; none when absent.

    """

    name: Annotated[str, Meta(pattern=_NAME)]
    hash: Annotated[str, Meta(pattern=_HASH)]
    sources: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    permissions: tuple[Permission, ...] | None = None
    quota: Quota | None = None
    role: Role | None = None

    @property
    def allowed(self) -> tuple[Permission, ...]:
        """Return all that the caller may do."""
        if self.role is None:
            return ("events",) if self.permissions is None else self.permissions
        return (*ROLES[self.role], *(self.permissions or ()))

    def may(self, permission: Permission) -> bool:
        """Return whether the caller may do this at all."""
        return permission in self.allowed

    def speaks_for(self, source: str) -> bool:
        """Return whether the caller may send events of this CloudEvents ``source``."""
        return _matches(self.sources, source)


#: Who calls when no keys are configured, which only a loopback address allows.
ANYONE: Final = Caller("anyone", "", ("*",), ("events", "ticks", "read", "operate", "administer"))


class Doorkeeper(Protocol):
    """Tells who calls."""

    def authenticate(self, authorization: str | None) -> Caller:
        """Return the caller, or raise an `UnauthenticatedError`."""

    def named(self, name: str) -> Caller | None:
        """Return the caller of this name as the keys are now."""


class OpenDoor:
    """Lets everyone in: for a loopback address without a keys file."""

    def authenticate(self, authorization: str | None) -> Caller:  # noqa: ARG002
        """Return `ANYONE`."""
        return ANYONE

    def named(self, name: str) -> Caller | None:
        """Return `ANYONE`, if that is who is asked for."""
        return ANYONE if name == ANYONE.name else None


class KeyRing:
    """The callers of a keys file.

    Parameters
    ----------
    callers
        Entries with distinct names.

    """

    def __init__(self, callers: list[Caller]) -> None:
        self._callers = {caller.name: caller for caller in callers}
        # Compared with when the name is unknown, so that time does not tell which names exist.
        self._nobody = Caller("nobody", hash_key(secrets.token_hex()))

    def authenticate(self, authorization: str | None) -> Caller:
        """Return the caller whose key is in an ``Authorization: Bearer`` header.

        Raises
        ------
        UnauthenticatedError
            No key, or an unknown one.

        """
        key = _bearer(authorization)
        caller = self._callers.get(key.partition(".")[0], self._nobody)
        if not _is_hash_of(caller.hash, key) or caller is self._nobody:
            raise UnauthenticatedError("The API key is not known. Check it, or ask for a new one.")
        return caller

    def named(self, name: str) -> Caller | None:
        """Return the caller of this name."""
        return self._callers.get(name)


def create_key(name: str) -> tuple[str, str]:
    """Return a new key for ``name``, and its hash for the keys file."""
    key = f"{name}.{secrets.token_urlsafe(32)}"
    return key, hash_key(key)


def hash_key(key: str) -> str:
    """Return what the keys file holds of ``key``, with a new salt."""
    salt = secrets.token_bytes(16)
    return f"blake2b:{salt.hex()}:{_digest(key, salt)}"


def doorkeeper(host: str, keys_file: Path | None, *, setting: str) -> Doorkeeper:
    """Choose who may come in to a service that listens on ``host``.

    Parameters
    ----------
    host
        Address that the service listens on.
    keys_file
        Keys; without them only a loopback address may be listened on.
    setting
        Name of the setting that holds ``keys_file``, for the error.

    Raises
    ------
    KeysFileError
        The file cannot be used, or is missing where it must not be.

    """
    if keys_file is not None:
        return ReloadingKeyRing(keys_file)
    if host in LOOPBACK:
        return OpenDoor()
    raise KeysFileError(
        f"Listening on {host} without API keys would let in everyone. Set {setting} to a keys "
        f"file ({_CREATE}), or listen on 127.0.0.1."
    )


class ReloadingKeyRing:
    """A `KeyRing` that follows its file: a key is given or taken back without a restart.

    A file that was made unusable changes nothing but the log, which says what is wrong: the keys
    that were read last stay valid.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = _version(path)
        self._ring = KeyRing(read_keys(path))

    def authenticate(self, authorization: str | None) -> Caller:
        """As `KeyRing.authenticate`, with the keys that the file holds now."""
        self._follow()
        return self._ring.authenticate(authorization)

    def named(self, name: str) -> Caller | None:
        """As `KeyRing.named`, with the keys that the file holds now."""
        self._follow()
        return self._ring.named(name)

    def _follow(self) -> None:
        version = _version(self._path)
        if version != self._version:
            self._version = version
            self._reload()

    def _reload(self) -> None:
        try:
            self._ring = KeyRing(read_keys(self._path))
            log.info("keys file read again", path=str(self._path))
        except KeysFileError as error:
            log.warning("keys file unusable, the former keys stay valid", problem=str(error))


def read_keys(path: Path) -> list[Caller]:
    """Read a keys file.

    Raises
    ------
    KeysFileError
        With every entry that is wrong, why, and what to do.

    """
    try:
        return parse_keys(path.read_text())
    except OSError as error:
        raise KeysFileError(f"{path}: {error.strerror}. Create it; {_CREATE}.") from None
    except KeysFileError as error:
        raise KeysFileError(f"{path}: {error}") from None


def parse_keys(text: str) -> list[Caller]:
    """Parse the text of a keys file; raises a `KeysFileError` as `read_keys` does."""
    entries = _entries(text)
    callers: list[Caller] = []
    problems: list[str] = []
    for number, entry in enumerate(entries):
        try:
            callers.append(msgspec.convert(entry, Caller))
        except msgspec.ValidationError as error:
            problems.append(f"keys[{number}]: {_without_hash(error)}")
    problems += _twice([caller.name for caller in callers])
    if problems:
        raise KeysFileError("; ".join(problems) + f". {_CREATE}.")
    return callers


def _entries(text: str) -> list[object]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise KeysFileError(f"not YAML: {error}. {_CREATE}.") from None
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise KeysFileError(f"must be a mapping with a list `keys`. {_CREATE}.")
    return list(document["keys"])


def _without_hash(error: msgspec.ValidationError) -> str:
    """Say what is wrong in words, where msgspec would show a pattern."""
    message = str(error)
    if "$.hash" in message:
        return "`hash` must be blake2b:<salt>:<digest>"
    if "$.name" in message:
        return "`name` must be 1 to 64 letters, digits, - or _"
    return message


def _twice(names: list[str]) -> list[str]:
    return [f"two keys are named {name!r}" for name in set(names) if names.count(name) > 1]


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _bearer(authorization: str | None) -> str:
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise UnauthenticatedError("Send an API key: `Authorization: Bearer <key>`.")
    return key.strip()


def _is_hash_of(stored: str, key: str) -> bool:
    _, salt, digest = stored.split(":")
    return hmac.compare_digest(digest, _digest(key, bytes.fromhex(salt)))


def _digest(key: str, salt: bytes) -> str:
    return blake2b(key.encode(), salt=salt, digest_size=32).hexdigest()


@lru_cache(maxsize=4096)
def _matches(patterns: tuple[str, ...], source: str) -> bool:
    return any(_pattern(pattern).fullmatch(source) for pattern in patterns)


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    """Compile a glob of ``*`` alone: sources are URIs, in which ``?`` and ``[`` mean themselves."""
    return re.compile(".*".join(map(re.escape, glob.split("*"))), re.DOTALL)
