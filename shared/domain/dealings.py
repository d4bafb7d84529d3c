"""A customer's dealings with the operator beyond activity as such, as a score tells them.

They are derived from what `shared.domain.ledger` keeps. Times are epoch milliseconds in UTC, money
is in the reporting currency.
"""

from __future__ import annotations

from msgspec import Struct


class ServiceUse(Struct, frozen=True, gc=False):
    """How a customer uses one service.

    Attributes
    ----------
    last
        When it was used last.
    quantity
        All that was used of it, in the service's own unit.
    per_day_30, per_day_90
        Quantity a day as of the score: averages whose weight halves every 30, and every 90 days.
        The first over the second is the trend.

    """

    last: int
    quantity: float
    per_day_30: float
    per_day_90: float


class Touch(Struct, frozen=True, gc=False, omit_defaults=True):
    """A touch point. ``trigger_id`` names the trigger it answers; ``score`` is a rating's.

    Attributes
    ----------
    at, channel, outcome
        Epoch milliseconds; by which way; what came of it.
    trigger_id, score
        The trigger it answers; of a rating, 0 to 10.

    """

    at: int
    channel: str
    outcome: str
    trigger_id: str | None = None
    score: float | None = None


class Dealings(Struct, frozen=True, gc=False, omit_defaults=True):
    """Use, purchases, contacts, payments and costs of one customer.

    Attributes
    ----------
    services
        Use by service: of at most eight by name, and ``other`` for all the rest.
    products
        The eight products bought last, and when.
    recharge_days, recharged_at
        Usual days between two recharges (median of the latest), and when the last one was.
    contacts, last_contact
        How many touch points there were, and the newest.
    accepted, complaints, complained_at
        How many of them were an accepted offer, or a complaint, and when the last complaint was.
    rating
        The newest rating, 0 to 10.
    payments_failed, overdue_since
        Failed payments, and the first overdue one, since everything was settled.
    notice_at, paused_at, closed_at
        When notice was given, the account paused or closed, where that still holds.
    trial_at
        When the last trial was started.
    costs
        Money spent on the customer, by kind.
    closed_by_operator
        Whether the account was closed involuntarily: by the operator, or, where no event says who
        wanted it, with payments open that had failed or were overdue.

    """

    services: dict[str, ServiceUse] = {}
    products: dict[str, int] = {}
    recharge_days: float | None = None
    recharged_at: int | None = None
    contacts: int = 0
    last_contact: Touch | None = None
    accepted: int = 0
    complaints: int = 0
    complained_at: int | None = None
    rating: float | None = None
    payments_failed: int = 0
    overdue_since: int | None = None
    notice_at: int | None = None
    paused_at: int | None = None
    trial_at: int | None = None
    closed_at: int | None = None
    costs: dict[str, float] = {}
    closed_by_operator: bool = False
