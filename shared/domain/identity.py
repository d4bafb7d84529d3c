"""Stable 64-bit identities: the same on every machine, in every process, for ever.

Python's own ``hash`` of a string differs from process to process; phases, deduplication
and control groups must not.
"""

from __future__ import annotations

from hashlib import blake2b


def hash64(text: str) -> int:
    """Return an unsigned 64-bit BLAKE2b digest of ``text``, never 0 (0 means "none")."""
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def event_identity(source: str, event_id: str) -> int:
    """Return the identity of an event: CloudEvents makes ``source`` + ``id`` unique."""
    return hash64(f"{source}\0{event_id}")
