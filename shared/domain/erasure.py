"""Erased customers: remembered under a name that only who has the key can tell.

A name must be kept for ever, since a file or a backup may bring the customer back at any time. A
plain hash of an id is no secret where ids can be counted through, as telephone numbers can.
"""

from __future__ import annotations

import hmac

from msgspec import Struct


class Erased(Struct, frozen=True):
    """A record of ``erasures``.

    Attributes
    ----------
    name
        `pseudonym` of the customer.
    partition, offset
        Where in ``customer-events`` the erasure stands; no partition where it came from another
        Kafka, and holds in each from the beginning.
    at
        When it was asked for, epoch milliseconds.

    """

    name: str
    partition: int | None
    offset: int
    at: int

    def holds(self, partition: int, offset: int) -> bool:
        """Tell whether a partition that goes on from an offset must know it beforehand."""
        return self.partition is None or (self.partition == partition and self.offset < offset)


def pseudonym(key: bytes, customer: str) -> str:
    """Return the name of an erased customer: HMAC-SHA256 (RFC 2104) of the id, in hexadecimal.

    >>> pseudonym(b"key", "customer-1")[:16]
    'cbc6593f580b0eb9'
    """
    return hmac.digest(key, customer.encode(), "sha256").hex()
