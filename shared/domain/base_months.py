"""Months of the base as people read them: churn, net additions, the bridge of recurring revenue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from shared.domain.base_book import Cell, Sums, month_name

_MICRO: Final = Decimal("0.000001")


class Bridge(Struct, frozen=True):
    """How recurring revenue moved: ``opening`` and all movements are ``closing``, exactly.

    ``contraction``, ``churned`` and ``moved_out`` are not positive.
    """

    opening: Decimal
    new: Decimal
    won_back: Decimal
    expansion: Decimal
    contraction: Decimal
    churned: Decimal
    moved_in: Decimal
    moved_out: Decimal
    closing: Decimal


class Month(Struct, frozen=True):
    """A month of the base, or of a part of it. Shares without a denominator are ``None``.

    Attributes
    ----------
    month
        ``2026-11``, in UTC.
    opening, closing
        Customers at its beginning and end.
    gained, returned, moved_in
        Who came: for the first time, again, from another market, brand or plan.
    lost_voluntary, lost_involuntary, lost_silent, lost_erased, moved_out
        Who went: closed the account, had it closed, fell silent, was erased, went to another.
    net
        ``closing - opening``.
    churn, churn_voluntary, churn_involuntary
        All who were lost over ``opening``; those who closed the account, and had it closed.
    revenue, margin
        Booked in the month, refunds subtracted.
    payers, revenue_each, margin_each
        Who paid; revenue and margin over customers at the closing.
    recurring
        The bridge of recurring revenue.

    """

    month: str
    opening: int
    gained: int
    returned: int
    moved_in: int
    lost_voluntary: int
    lost_involuntary: int
    lost_silent: int
    lost_erased: int
    moved_out: int
    closing: int
    net: int
    churn: float | None
    churn_voluntary: float | None
    churn_involuntary: float | None
    revenue: Decimal
    margin: Decimal
    payers: int
    revenue_each: float | None
    margin_each: float | None
    recurring: Bridge


class Part(Struct, frozen=True):
    """The months of a part of the base, in order, without gaps; ``name`` is what it shares."""

    name: str
    months: list[Month]


def parts(cells: Mapping[Cell, Sums], until: int) -> list[Part]:
    """Return each part's months, from the first in which anything happened in it.

    Parameters
    ----------
    cells
        What happened in some parts of the base, all kept by the same.
    until
        The last month; it need not have ended.

    """
    found: defaultdict[str, dict[int, Sums]] = defaultdict(dict)
    for cell, sums in cells.items():
        found[cell.name][cell.month] = sums
    return [Part(name, _months(sums, until)) for name, sums in sorted(found.items())]


def _months(sums: Mapping[int, Sums], until: int) -> list[Month]:
    made, customers, recurring = list[Month](), 0, 0
    for month in range(min(sums), max(until, *sums) + 1):
        here = sums.get(month, Sums())
        made.append(_month(month, here, customers, recurring))
        customers, recurring = made[-1].closing, here.recurring
    return made


def _month(month: int, sums: Sums, opening: int, recurring: int) -> Month:
    lost = sums.lost_voluntary + sums.lost_involuntary + sums.lost_silent + sums.lost_erased
    net = sums.gained + sums.returned + sums.moved_in - sums.moved_out - lost
    closing = opening + net
    return Month(
        month=month_name(month),
        opening=opening,
        gained=sums.gained,
        returned=sums.returned,
        moved_in=sums.moved_in,
        lost_voluntary=sums.lost_voluntary,
        lost_involuntary=sums.lost_involuntary,
        lost_silent=sums.lost_silent,
        lost_erased=sums.lost_erased,
        moved_out=sums.moved_out,
        closing=closing,
        net=net,
        churn=_ratio(lost, opening),
        churn_voluntary=_ratio(sums.lost_voluntary, opening),
        churn_involuntary=_ratio(sums.lost_involuntary, opening),
        revenue=_money(sums.revenue),
        margin=_money(sums.margin),
        payers=sums.payers,
        revenue_each=_ratio(float(_money(sums.revenue)), closing),
        margin_each=_ratio(float(_money(sums.margin)), closing),
        recurring=_bridge(sums, recurring),
    )


def _bridge(sums: Sums, opening: int) -> Bridge:
    """Return the bridge; who paid before and not now has left no other trace in this month."""
    return Bridge(
        opening=_money(opening),
        new=_money(sums.new),
        won_back=_money(sums.won_back),
        expansion=_money(sums.expansion),
        contraction=_money(-sums.contraction),
        churned=_money(sums.kept + sums.paid_out - opening),
        moved_in=_money(sums.paid_in),
        moved_out=_money(-sums.paid_out),
        closing=_money(sums.recurring),
    )


def _money(micros: int) -> Decimal:
    return Decimal(micros) * _MICRO


def _ratio(part: float, of: int) -> float | None:
    return part / of if of > 0 else None
