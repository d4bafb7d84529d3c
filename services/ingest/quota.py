"""How many events a caller may send: one token bucket for each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from services.ingest.refusal import RefusedError
from shared.adapters.api_keys import Caller, Quota


@dataclass
class _Bucket:
    tokens: float
    filled_at: float
    quota: Quota


class Quotas:
    """Counts what each caller sends against its quota.

    A request is let in while the bucket is not empty, and may take it below zero: so a batch
    larger than the burst gets through in the end, and what is sent on the average keeps the rate.

    Parameters
    ----------
    clock
        Seconds that only go forward.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def spend(self, caller: Caller, events: int) -> None:
        """Take ``events`` from the caller's bucket.

        Raises
        ------
        RefusedError
            ``quota``, when the bucket is empty.

        """
        if caller.quota is None:
            return
        bucket = self._filled(caller.name, caller.quota)
        if bucket.tokens <= 0:
            raise _over(caller.name, caller.quota, bucket, events)
        bucket.tokens -= events

    def _filled(self, name: str, quota: Quota) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(name)
        if bucket is None or bucket.quota != quota:
            bucket = self._buckets[name] = _Bucket(quota.capacity, now, quota)
        earned = (now - bucket.filled_at) * quota.events_per_second
        bucket.tokens = min(quota.capacity, bucket.tokens + earned)
        bucket.filled_at = now
        return bucket


def _over(name: str, quota: Quota, bucket: _Bucket, events: int) -> RefusedError:
    return RefusedError(
        "quota",
        f"The key {name!r} may send {quota.events_per_second:g} events a second. Send them slower,"
        " or ask for a larger quota.",
        events=events,
        retry_after_s=max(-bucket.tokens, 1) / quota.events_per_second,
    )
