"""The base over time: who came and went each month, and how recurring revenue moved.

What a customer brings within a calendar month (UTC) is taken to recur, as in growth accounting
(Hsu 2015, "Diligence at Social Capital", part 1: accounting for user and revenue growth)::

    opening + new + won back + expansion - contraction - churned + moved in - moved out = closing

Opening is the closing of the month before. New is revenue of who never paid before, won back of who
paid once but not in the month before; expansion and contraction are those of who paid in both; and
churned is what was paid in the month before by who has not paid in this one. Who pays once a year
is therefore new, churned, and won back. A month counts for the market, brand and plan that the
customer has at its end; who paid under another the month before has moved, with that revenue. It
is kept for the whole base, and by each of the three.

A customer is in the base outside of the stages prospect and lapsed, so a closed account is not.

Each score books what it adds to the one before: revenue and margin to the month of the last
activity between both, comings and goings to the month of the score. So what arrives late is booked
to the month in which it was heard of, and a month that has ended hardly changes. Everything is a
sum in millionths: a month's sums do not depend on how scores were grouped.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import repeat
from typing import Final, Literal, NamedTuple, get_args

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.features import MICROS
from shared.domain.outputs import Profile, Score, Stage
from shared.domain.seen import Seen

_MONTHS: Final = 12
#: Of who names no market, brand or plan.
NONE: Final = "none"
MonthsBy = Literal["all", "market", "brand", "plan"]
MONTHS_BY: Final[tuple[MonthsBy, ...]] = get_args(MonthsBy)
_OUTSIDE: Final[frozenset[Stage]] = frozenset({"prospect", "lapsed"})


class Place(NamedTuple):
    """What customers are counted by, in the order of `MONTHS_BY`."""

    all: str
    market: str
    brand: str
    plan: str

    @classmethod
    def of(cls, profile: Profile) -> Place:
        """Return the place of a customer."""
        return cls("all", profile.market or NONE, profile.brand or NONE, profile.plan or NONE)


class Cell(NamedTuple):
    """A part of the base in a month. Consecutive months have consecutive numbers."""

    month: int
    by: MonthsBy
    name: str


class Sums(NamedTuple):
    """What happened in a cell: counts of customers, and money in millionths.

    Attributes
    ----------
    gained, returned
        Customers who came into the base for the first time, and again.
    lost_voluntary, lost_involuntary, lost_silent, lost_erased
        Who left: closed the account, had it closed, fell silent, asked to be erased.
    moved_in, moved_out
        Customers of the base who came from, and went to, another market, brand or plan.
    revenue, margin
        Booked; refunds are subtracted.
    payers, recurring
        Who paid more than was refunded, and how much.
    new, won_back, expansion, contraction, kept
        Of `recurring`, as the module says; ``kept`` is what those who pay here now paid here the
        month before.
    paid_in, paid_out
        What those who pay here now paid elsewhere the month before; and the reverse.

    """

    gained: int = 0
    returned: int = 0
    lost_voluntary: int = 0
    lost_involuntary: int = 0
    lost_silent: int = 0
    lost_erased: int = 0
    moved_in: int = 0
    moved_out: int = 0
    revenue: int = 0
    margin: int = 0
    payers: int = 0
    recurring: int = 0
    new: int = 0
    won_back: int = 0
    expansion: int = 0
    contraction: int = 0
    kept: int = 0
    paid_in: int = 0
    paid_out: int = 0

    def plus(self, other: Sums) -> Sums:
        """Return the sum of both."""
        return Sums._make(map(operator.add, self, other))

    def minus(self, other: Sums) -> Sums:
        """Return what is left of this."""
        return Sums._make(map(operator.sub, self, other))


_NOTHING: Final = Sums()

#: What is added to cells.
Changes = dict[Cell, Sums]


class Booked(Struct, frozen=True, gc=False, array_like=True):
    """What was booked of a customer. Money is in millionths.

    Attributes
    ----------
    place
        Where the customer is.
    month, revenue, margin
        The month that was booked to last, and what was booked to it.
    before, before_place
        What was paid in the month before it, and where.
    has_paid
        Whether anything was paid before that month.
    inside, was_inside
        Whether the customer is in the base, and ever was.

    """

    place: Place
    month: int
    revenue: int = 0
    margin: int = 0
    before: int = 0
    before_place: Place = Place("all", NONE, NONE, NONE)
    has_paid: bool = False
    inside: bool = False
    was_inside: bool = False


def add(changes: Changes, more: Changes) -> None:
    """Add changes to others, in place."""
    for cell, sums in more.items():
        changes[cell] = changes.get(cell, _NOTHING).plus(sums)


def book(booked: Booked | None, seen: Seen | None, score: Score) -> tuple[Booked, Changes]:
    """Book what a score adds to the one before.

    Parameters
    ----------
    booked
        What was booked of the customer before.
    seen
        The score before; a customer who was seen, but not booked, is taken over without what was
        brought before.
    score
        A score that is new.

    """
    since, revenue, margin = 0, _micros(score.revenue), _micros(score.margin)
    if seen is not None:
        since = seen.at
        revenue, margin = revenue - _micros(seen.revenue), margin - _micros(seen.margin)
    place, inside = Place.of(score.profile), score.stage not in _OUTSIDE
    stays = booked is not None and booked.place == place and booked.inside == inside
    if booked is not None and stays and not (revenue or margin):  # most scores: the risk changed
        return booked, {}
    month = month_of(min(max(score.last_activity, since), score.at))
    before = booked or Booked(place, month, has_paid=seen is not None and seen.revenue > 0.0)
    after = _turned(before, max(month, before.month))
    after = Booked(
        place,
        after.month,
        after.revenue + revenue,
        after.margin + margin,
        after.before,
        after.before_place,
        after.has_paid,
        inside,
        before.was_inside or inside,
    )
    changes: Changes = {}
    paid = _more(before, after) if after.month == before.month else _paid(after)
    for cell, sums in (*paid, *_moved(before, score, inside=inside)):
        changes[cell] = changes[cell].plus(sums) if cell in changes else sums
    return after, {cell: sums for cell, sums in changes.items() if sums != _NOTHING}


def erased(booked: Booked, at: int) -> Changes:
    """Return how the base changes when a customer is erased; what was paid stays in the sums."""
    month = month_of(at)
    return dict.fromkeys(_cells(month, booked.place), Sums(lost_erased=1)) if booked.inside else {}


def month_of(at: int) -> int:
    """Return the number of a time's month (epoch ms, UTC)."""
    day = datetime.fromtimestamp(at / 1000, UTC)
    return day.year * _MONTHS + day.month - 1


def month_name(month: int) -> str:
    """Return a month as people write it.

    >>> month_name(month_of(1_800_000_000_000))
    '2027-01'
    """
    year, number = divmod(month, _MONTHS)
    return f"{year:04}-{number + 1:02}"


def _turned(booked: Booked, month: int) -> Booked:
    """Return what is booked once the month is a later one."""
    if month == booked.month:
        return booked
    paid = max(booked.revenue, 0)
    follows = month == booked.month + 1
    return replace(
        booked,
        month=month,
        revenue=0,
        margin=0,
        before=paid if follows else 0,
        before_place=booked.place if follows else booked.before_place,
        has_paid=booked.has_paid or paid > 0,
    )


def _cells(month: int, place: Place) -> Iterator[Cell]:
    return (Cell(month, by, name) for by, name in zip(MONTHS_BY, place, strict=True))


def _more(before: Booked, after: Booked) -> list[tuple[Cell, Sums]]:
    """Return by how much more a customer's month is in the sums, where it is the same month."""
    same_cells = before.place == after.place and (before.revenue > 0) == (after.revenue > 0)
    if same_cells:
        pairs = zip(_paid(before), _paid(after), strict=True)
        return [(cell, now.minus(was)) for (cell, was), (_, now) in pairs]
    return [*((cell, _NOTHING.minus(was)) for cell, was in _paid(before)), *_paid(after)]


def _paid(booked: Booked) -> Iterator[tuple[Cell, Sums]]:
    """Yield what a customer's month is in the sums."""
    paid, before, cells = max(booked.revenue, 0), booked.before, _cells(booked.month, booked.place)
    own = {"revenue": booked.revenue, "margin": booked.margin}
    if paid:
        own |= {"payers": 1, "recurring": paid}
    if not (paid and before):
        if paid:
            own["won_back" if booked.has_paid else "new"] = paid
        yield from zip(cells, repeat(Sums(**own)), strict=False)
        return
    own |= {"expansion": max(paid - before, 0), "contraction": max(before - paid, 0)}
    stayed = Sums(**own, kept=before)
    for here, there in zip(cells, _cells(booked.month, booked.before_place), strict=True):
        if here == there:
            yield here, stayed
        else:
            yield here, Sums(**own, paid_in=before)
            yield there, Sums(paid_out=before)


def _moved(before: Booked, score: Score, *, inside: bool) -> Iterator[tuple[Cell, Sums]]:
    """Yield how a score moves a customer into, out of, or within the base."""
    if not (inside or before.inside):
        return
    month, place = month_of(score.at), Place.of(score.profile)
    for here, there in zip(_cells(month, place), _cells(month, before.place), strict=True):
        if not before.inside:
            yield here, Sums(returned=1) if before.was_inside else Sums(gained=1)
        elif not inside:
            yield there, Sums(**{_way_out(score): 1})
        elif here != there:
            yield here, Sums(moved_in=1)
            yield there, Sums(moved_out=1)


def _way_out(score: Score) -> str:
    if not score.closed:
        return "lost_silent"
    return "lost_involuntary" if score.dealings.closed_by_operator else "lost_voluntary"


def _micros(amount: float) -> int:
    return round(amount * MICROS)
