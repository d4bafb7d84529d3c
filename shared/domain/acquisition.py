"""What acquiring customers cost, and what came of it: by source, and by who brought whom.

Customer acquisition cost is what a source cost over the customers that it won (Farris et al. 2010,
"Marketing Metrics", ch. 5)::

    cac       = acquisition cost of all known by the source / those of them who paid anything
    monthly   = margin to date / months as customers, of those who paid and were active
    payback   = cac / monthly, in months
    return    = (their margin to date + their lifetime value to come) / acquisition cost

Margin is revenue times margin, refunds and chargebacks subtracted; the cost of service and of
campaigns is not in it (`tenure base` shows costs in all). Months as a customer run from the first
activity to now, or to the closing of the account, silence included: so payback is longer where
customers fall silent, as it should be. The payback assumes that margin goes on as it was.

Money is added up in millionths, so that sums are the same in whatever order customers come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Final

from msgspec import Struct

from shared.domain.features import MICROS
from shared.domain.policy import DAY_MS

#: Of whom it is not known by what source they came.
UNKNOWN: Final = "none"
#: A twelfth of a mean Gregorian year.
MONTH_MS: Final = DAY_MS * 365.2425 / 12.0


class Source(Struct, frozen=True, gc=False):
    """Of a profile: by what, and by whom, a customer came."""

    acquisition_source: str | None = None
    referred_by: str | None = None


class Dealt(Struct, frozen=True, gc=False):
    """Of a customer's dealings: the last trial, the closing of the account, costs by kind."""

    trial_at: int | None = None
    closed_at: int | None = None
    costs: dict[str, float] = {}


class Acquired(Struct, frozen=True, gc=False):
    """What is asked of a customer's last score."""

    customer: str
    first_activity: int
    last_activity: int
    spend: float
    revenue: float
    margin: float
    profile: Source = Source()
    dealings: Dealt = Dealt()
    clv: float = 0.0


class SourceReport(Struct, frozen=True):
    """What a source brought. Shares and ratios are ``None`` where they have no denominator.

    Attributes
    ----------
    source
        Its name; ``none`` where none is known.
    known
        All who came by it, leads and other prospects included.
    converted, conversion
        Those who paid for something, and their share. An own purchase counts also when it was
        refunded since; what the system charged (renewals) counts while revenue is positive.
    trials, trials_converted, trial_conversion
        Those who ever started a trial, those of them who paid for something, and their share.
        Whoever paid before the trial is among the latter.
    cost
        Acquisition cost of all who came by it.
    margin, equity
        Margin to date, and the sum of lifetime values.
    cac, monthly_margin, payback_months, return_on_cost
        As this module defines them. Where margin is not positive there is no payback.

    """

    source: str
    known: int
    converted: int
    conversion: float | None
    trials: int
    trials_converted: int
    trial_conversion: float | None
    cost: float
    margin: float
    equity: float
    cac: float | None
    monthly_margin: float | None
    payback_months: float | None
    return_on_cost: float | None


class Referrer(Struct, frozen=True):
    """Who brought others.

    Attributes
    ----------
    customer
        Who brought them, as their account events say.
    brought, converted
        How many, and how many of these paid for something.
    margin, equity
        Of those who were brought: margin to date, and the sum of lifetime values.
    customers
        Who they are.

    """

    customer: str
    brought: int
    converted: int
    margin: float
    equity: float
    customers: list[str]


def source_of(customer: Acquired) -> str:
    """Return the name of a customer's source."""
    return customer.profile.acquisition_source or UNKNOWN


def sources(base: Iterable[Acquired], now: int) -> list[SourceReport]:
    """Return what each source brought by ``now`` (epoch ms), those that brought most first."""
    by_source: defaultdict[str, list[Acquired]] = defaultdict(list)
    for each in base:
        by_source[source_of(each)].append(each)
    found = [_report(name, group, now) for name, group in by_source.items()]
    return sorted(found, key=lambda each: (-each.known, each.source))


def referrers(base: Iterable[Acquired], most: int) -> list[Referrer]:
    """Return at most so many of those who brought others, by how many of these paid."""
    by_referrer: defaultdict[str, list[Acquired]] = defaultdict(list)
    for each in base:
        if each.profile.referred_by:
            by_referrer[each.profile.referred_by].append(each)
    found = (_referrer(name, brought) for name, brought in by_referrer.items())
    ranked = sorted(found, key=lambda each: (-each.converted, -each.brought, each.customer))
    return list(islice(ranked, most))


def _report(name: str, group: list[Acquired], now: int) -> SourceReport:
    converted = [each for each in group if _converted(each)]
    on_trial = [each for each in group if each.dealings.trial_at is not None]
    bought_after = sum(_converted(each) for each in on_trial)
    cost = sum(_micros(each.dealings.costs.get("acquisition", 0.0)) for each in group)
    margin, equity = _margin(group), _equity(group)
    # Who was billed and never active cannot be said to have been a customer since some time.
    active = [each for each in converted if each.first_activity]
    monthly = _ratio(_margin(active), sum(_lasted(each, now) for each in active) / MONTH_MS)
    cac = _ratio(cost, len(converted))
    return SourceReport(
        source=name,
        known=len(group),
        converted=len(converted),
        conversion=_ratio(len(converted), len(group)),
        trials=len(on_trial),
        trials_converted=bought_after,
        trial_conversion=_ratio(bought_after, len(on_trial)),
        cost=cost / MICROS,
        margin=margin / MICROS,
        equity=equity / MICROS,
        cac=_money(cac),
        monthly_margin=_money(monthly),
        payback_months=_payback(cac, monthly),
        return_on_cost=_ratio(margin + equity, cost),
    )


def _referrer(name: str, brought: list[Acquired]) -> Referrer:
    return Referrer(
        customer=name,
        brought=len(brought),
        converted=sum(_converted(each) for each in brought),
        margin=_margin(brought) / MICROS,
        equity=_equity(brought) / MICROS,
        customers=sorted(each.customer for each in brought),
    )


def _converted(customer: Acquired) -> bool:
    """Tell whether a customer paid: by an own purchase, or by what the system charged."""
    return customer.spend > 0.0 or customer.revenue > 0.0


def _lasted(customer: Acquired, now: int) -> int:
    """Return the time as a customer (ms)."""
    until = now if customer.dealings.closed_at is None else customer.dealings.closed_at
    return max(until - customer.first_activity, 0)


def _margin(group: Iterable[Acquired]) -> int:
    return sum(_micros(each.margin) for each in group)


def _equity(group: Iterable[Acquired]) -> int:
    return sum(_micros(each.clv) for each in group)


def _micros(amount: float) -> int:
    return round(amount * MICROS)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _money(micros: float | None) -> float | None:
    return None if micros is None else micros / MICROS


def _payback(cac: float | None, monthly: float | None) -> float | None:
    return None if cac is None or monthly is None or monthly <= 0.0 else cac / monthly
