"""What the campaigner remembers of a customer between two scores."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shared.domain.dealings import Dealings
from shared.domain.outputs import Identity, Score, Stage

#: Almost nobody has withdrawn anything: one for all of them.
_NOTHING: Final[frozenset[str]] = frozenset()


class Seen(Struct, frozen=True, gc=False):
    """What a customer was like when last seen.

    ``at`` and ``origin`` tell a score that is sent again from one that is new; the rest is what
    triggers look at, and what outcomes are measured by. ``withdrawn`` is what consent was withdrawn
    for.
    """

    risk: float
    stage: Stage
    at: int
    origin: Identity
    last_activity: int
    visits: int
    spend: float
    revenue: float
    margin: float
    closed: bool
    expiry: int | None
    contract_end: int | None
    withdrawn: frozenset[str] = _NOTHING
    clv: float = 0.0
    first_activity: int = 0
    balance: float | None = None
    status: str | None = None
    risk_7d_ago: float | None = None
    expected_spend: float = 0.0
    dealings: Dealings = Dealings()
    purchases: int = 0

    @classmethod
    def of(cls, score: Score) -> Seen:
        """Return what to remember of a score."""
        return cls(
            score.risk,
            score.stage,
            score.at,
            score.origin,
            score.last_activity,
            score.visits,
            score.spend,
            score.revenue,
            score.margin,
            score.closed,
            score.profile.expiry,
            score.profile.contract_end,
            _withdrawn(score.profile.consent),
            score.clv,
            score.first_activity,
            score.profile.balance,
            score.profile.status,
            score.risk_7d_ago,
            score.expected_spend,
            score.dealings,
            score.purchases,
        )

    def covers(self, score: Score) -> bool:
        """Tell whether a score was seen before, as when the scorer was rebuilt from its log."""
        last = self.origin
        return (
            score.at <= self.at
            and score.origin.partition == last.partition
            and (score.origin.offset, score.origin.ordinal) <= (last.offset, last.ordinal)
        )


def _withdrawn(consent: dict[str, bool]) -> frozenset[str]:
    """Return what consent was withdrawn for."""
    if not consent:
        return _NOTHING
    return frozenset(name for name, given in consent.items() if not given) or _NOTHING
