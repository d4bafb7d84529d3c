"""What happens to customers, and the levels that rise and fall with it."""

from __future__ import annotations

from typing import Final, Literal

from shared.domain.dealings import Dealings
from shared.domain.seen import Seen

#: What rises and falls; ``usage_ratio`` is use of the last 30 days by that of the last 90.
Level = Literal["balance", "clv", "expected_spend", "risk_rise_7d", "usage_ratio"]
#: What happens; the last line are states of the account.
Happening = Literal[
    "complaint", "accepted", "declined", "rated", "purchase", "usage", "recharge",
    "payment_failed", "overdue", "notice_given", "paused", "trial_started",
    "activated", "renewed", "plan_changed", "brand_changed", "settled", "suspended",
]  # fmt: skip
#: Counts and moments that grow with each time.
_OF_DEALINGS: Final = {
    "complaint": "complaints",
    "accepted": "accepted",
    "payment_failed": "payments_failed",
    "recharge": "recharged_at",
    "overdue": "overdue_since",
    "notice_given": "notice_at",
    "paused": "paused_at",
    "trial_started": "trial_at",
}


def level_of(seen: Seen, level: Level, of: str | None = None) -> float | None:
    """Return a level of a customer; ``None`` where it is not known."""
    match level:
        case "balance":
            return seen.balance
        case "risk_rise_7d":
            return None if seen.risk_7d_ago is None else seen.risk - seen.risk_7d_ago
        case "usage_ratio":
            return usage_ratio(seen.dealings, of)
    value: float = getattr(seen, level)
    return value


def usage_ratio(dealings: Dealings, of: str | None = None) -> float | None:
    """Return use of the last 30 days by that of the last 90; the mean over services without one."""
    services = dealings.services
    chosen = list(services.values()) if of is None else [services[of]] if of in services else []
    ratios = [each.per_day_30 / each.per_day_90 for each in chosen if each.per_day_90 > 0]
    return sum(ratios) / len(ratios) if ratios else None


def happened(seen: Seen, event: Happening, of: str | None = None) -> int:
    """Return a number that grows as something happens to a customer; 0 before it ever did."""
    if event in _OF_DEALINGS:
        return getattr(seen.dealings, _OF_DEALINGS[event]) or 0
    match event:
        case "declined" | "rated":
            touch = seen.dealings.last_contact
            return touch.at if touch is not None and touch.outcome == event else 0
        case "purchase":
            return _latest(seen.dealings.products, of)
        case "usage":
            return _latest({name: use.last for name, use in seen.dealings.services.items()}, of)
    return int(seen.status == event)


def _latest(times: dict[str, int], of: str | None) -> int:
    return max(times.values(), default=0) if of is None else times.get(of, 0)
