"""When a webhook is tried again, and when its endpoint is taken for dead. No I/O.

The schedule is that of the Standard Webhooks specification (https://www.standardwebhooks.com,
"Retry schedule"); each pause is lengthened by up to a fifth, so that what failed together does not
come back together.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shared.domain.campaign_outputs import Decision

_S: Final = 1_000
_MINUTE: Final = 60 * _S
_HOUR: Final = 60 * _MINUTE
#: Pauses before the second try and each further one, in milliseconds.
SCHEDULE: Final = (
    5 * _S, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR,
    24 * _HOUR,
)  # fmt: skip
_JITTER: Final = 0.2
#: An endpoint that has failed for so long, and so often, without a success in between is dead.
DEAD_AFTER_MS: Final = 24 * _HOUR
DEAD_AFTER_FAILURES: Final = 10
_GONE: Final = 410


class Endpoint(Struct, frozen=True):
    """Where triggers go; ``campaigns`` is ``None`` for those of all campaigns.

    ``ca_file`` holds the certificates of an authority of one's own, beside those of the world.
    """

    name: str
    url: str
    secret: str
    campaigns: frozenset[str] | None = None
    allow_private: bool = False
    ca_file: str | None = None

    def takes(self, decision: Decision) -> bool:
        """Tell whether a decision's trigger goes there."""
        mine = self.campaigns is None or decision.campaign in self.campaigns
        return mine and decision.outcome == "fired"


class Standing(Struct, frozen=True):
    """How an endpoint stands.

    Attributes
    ----------
    url
        An endpoint that moved to another one starts anew.
    failures, failing_since
        Without a success in between; epoch milliseconds, ``None`` while it works.
    disabled_at, reason
        Set when nothing is sent any more, and why.

    """

    url: str
    failures: int = 0
    failing_since: int | None = None
    disabled_at: int | None = None
    reason: str = ""


def next_try(attempts: int, now: int, random: float) -> int | None:
    """Return when to try again after so many attempts, ``None`` for never.

    Parameters
    ----------
    attempts
        That failed, at least 1.
    now
        Wall clock, epoch milliseconds.
    random
        In [0, 1).

    """
    if attempts > len(SCHEDULE):
        return None
    return now + round(SCHEDULE[attempts - 1] * (1 + _JITTER * random))


def failed(standing: Standing, status: int | None, reason: str, now: int) -> Standing:
    """Return how an endpoint stands after a failure; ``status`` is its answer's, if it gave one."""
    failures = standing.failures + 1
    since = now if standing.failing_since is None else standing.failing_since
    dead = failures >= DEAD_AFTER_FAILURES and now - since >= DEAD_AFTER_MS
    if status == _GONE or dead:
        return Standing(standing.url, failures, since, now, reason)
    return Standing(standing.url, failures, since)
