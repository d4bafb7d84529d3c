"""Model snapshots on the wire: JSON, signed with HMAC-SHA256 (RFC 2104), never pickle.

A snapshot that was not signed with this deployment's key is refused before it is parsed.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

import msgspec

from shared.domain.errors import TenureError
from shared.domain.learner import Snapshot

#: Name of the record header that holds the signature, in hexadecimal.
SIGNATURE_HEADER: Final = "hmac-sha256"

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Snapshot)


class SnapshotError(TenureError):
    """A snapshot that must not be used: not signed by us, or not readable."""


def snapshot_key(model: str, version: int) -> bytes:
    """Return the record key; versions are padded so that keys sort."""
    return f"{model}/{version:010d}".encode()


def encode_snapshot(key: bytes, snapshot: Snapshot, secret: bytes) -> tuple[bytes, bytes]:
    """Return (value, signature) of a snapshot."""
    # Sorted keys, so that the same model is the same bytes; msgspec sorts text keys alone.
    value = _encoder.encode(msgspec.to_builtins(snapshot, str_keys=True))
    return value, sign(key, value, secret)


def version_of(key: bytes | None) -> int | None:
    """Return the version of a record key, or None if it is no such key."""
    number = (key or b"").rpartition(b"/")[2]
    return int(number) if number.isdigit() else None


def check_signature(key: bytes, value: bytes, signature: bytes, secret: bytes) -> None:
    """Check that a record is signed by us.

    Raises
    ------
    SnapshotError
        It is not.

    """
    if not hmac.compare_digest(sign(key, value, secret), signature):
        msg = (
            f"model snapshot {key.decode(errors='replace')}: the signature does not match. "
            "Set TENURE_MODEL_KEY to the key that it was signed with"
        )
        raise SnapshotError(msg)


def decode_snapshot(key: bytes, value: bytes, signature: bytes, secret: bytes) -> Snapshot:
    """Check and decode a snapshot.

    Raises
    ------
    SnapshotError
        The signature is not ours, or the content is not a snapshot.

    """
    check_signature(key, value, signature, secret)
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError as error:
        msg = f"model snapshot {key.decode(errors='replace')}: {error}"
        raise SnapshotError(msg) from error


def sign(key: bytes, value: bytes, secret: bytes) -> bytes:
    """Return a record's signature; the key is signed too, so versions cannot be swapped."""
    return hmac.new(secret, key + b"\0" + value, sha256).hexdigest().encode()
