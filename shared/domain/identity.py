"""Stable 64-bit identities: the same on every machine, in every process, for ever.

Python's own ``hash`` of a string differs from process to process; phases, deduplication
and control groups must not.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


def hash64(text: str) -> int:
    """Return an unsigned 64-bit BLAKE2b digest of ``text``, never 0 (0 means "none")."""
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def hash64s(texts: Iterable[str]) -> NDArray[np.uint64]:
    """Return `hash64` of each text, (n,)."""
    digests = b"".join([blake2b(text.encode(), digest_size=8).digest() for text in texts])
    hashes: NDArray[np.uint64] = np.maximum(np.frombuffer(digests, "<u8"), np.uint64(1))
    return hashes


def event_identities(names: Iterable[tuple[str, str]]) -> NDArray[np.uint64]:
    """Return the identities (n,) of events: CloudEvents makes ``source`` + ``id`` unique."""
    return hash64s([f"{source}\0{event_id}" for source, event_id in names])
