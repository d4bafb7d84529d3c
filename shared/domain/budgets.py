"""Allowances that contacts use up: money by day, month and campaign, and contacts by the minute.

An allowance is shared out among partitions: each is lent a part of what is left, spends of it in
the transaction that decides, and asks for more when it is through. So no number of campaigners
together can spend more than there is, and none waits for another to decide. Amounts are millionths,
of the reporting currency or of a contact, since sums of floats are not exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

MILLIONTHS: Final = 1_000_000
MINUTE_MS: Final = 60_000
#: Begins the scopes of allowances that limit a rate; the others are money.
CHANNEL: Final = "channel/"

Span = Literal["minute", "day", "month", "in_all"]
_FORMATS: Final[dict[Span, str]] = {
    "minute": "%Y-%m-%dT%H:%M",
    "day": "%Y-%m-%d",
    "month": "%Y-%m",
    "in_all": "",
}
_WORDS: Final[dict[Span, str]] = {
    "minute": "this minute",
    "day": "today",
    "month": "this month",
    "in_all": "in all",
}


class Budget(Struct, frozen=True):
    """Most that contacts may cost, in the reporting currency; ``None`` where there is no limit."""

    day: float | None = None
    month: float | None = None
    in_all: float | None = None


class Charge(Struct, frozen=True):
    """What a contact uses up of an allowance in a period; millionths.

    Attributes
    ----------
    scope, period, amount
        Whose allowance; of which day, month or minute; how much, in millionths.

    """

    scope: str
    period: str
    amount: int


class Allowance(NamedTuple):
    """Most that a scope may use up in each period of a span.

    Attributes
    ----------
    scope
        ``all``, ``campaign/NAME`` or ``channel/NAME``.
    most
        Millionths.

    """

    scope: str
    span: Span
    most: int

    def period(self, at: int, zone: str) -> str:
        """Return the period that a moment (epoch ms) is in, where the clocks show ``zone``."""
        return (
            datetime.fromtimestamp(at / 1000, UTC)
            .astimezone(ZoneInfo(zone))
            .strftime(_FORMATS[self.span])
        )

    def due(self, amount: int, at: int, zone: str) -> Due:
        """Return what is to be taken of it at a moment."""
        return Due(self, Charge(self.scope, self.period(at, zone), amount))

    def __str__(self) -> str:
        return f"the budget of {self.scope.removeprefix('campaign/')} {_WORDS[self.span]}"


class Due(NamedTuple):
    """A charge, and the allowance that it is to be taken from."""

    allowance: Allowance
    charge: Charge


#: Asks that a partition have so much (millionths) of an allowance in a period, beside what it has
#: spent according to the database; returns what it then has.
Lend = Callable[[Due, int], int]


def allowances(scope: str, budget: Budget | None) -> tuple[Allowance, ...]:
    """Return what a budget allows a scope."""
    if budget is None:
        return ()
    spans: tuple[tuple[Span, float | None], ...] = (
        ("day", budget.day), ("month", budget.month), ("in_all", budget.in_all),
    )  # fmt: skip
    return tuple(
        Allowance(scope, span, millionths(most)) for span, most in spans if most is not None
    )


def millionths(amount: float) -> int:
    """Return an amount in millionths."""
    return round(amount * MILLIONTHS)


class Purse:
    """What a partition may still use up, for the time of one batch.

    Parameters
    ----------
    lend
        Asks for more; ``None`` where nothing is limited.

    """

    def __init__(self, lend: Lend | None = None) -> None:
        self._lend = lend
        self._left: dict[tuple[str, str], int] = {}
        self._refused: set[tuple[str, str]] = set()
        #: What was used up, by (scope, period).
        self.spent: Counter[tuple[str, str]] = Counter()

    def short(self, dues: Iterable[Due]) -> Allowance | None:
        """Return the first allowance that has too little left for its charge."""
        return next((due.allowance for due in dues if not self._covers(due)), None)

    def spend(self, dues: Iterable[Due]) -> list[Charge]:
        """Take charges that `short` was asked about, and return them."""
        charges = [due.charge for due in dues]
        for each in charges:
            self._left[each.scope, each.period] -= each.amount
            self.spent[each.scope, each.period] += each.amount
        return charges

    def _covers(self, due: Due) -> bool:
        key = due.charge.scope, due.charge.period
        if self._left.get(key, -1) >= due.charge.amount:
            return True
        if key in self._refused:  # others may give back, but not within a batch
            return False
        assert self._lend is not None  # noqa: S101  # who has limits can ask
        needed = self.spent[key] + due.charge.amount
        self._left[key] = self._lend(due, needed) - self.spent[key]
        if self._left[key] >= due.charge.amount:
            return True
        self._refused.add(key)
        return False


def lendable(most: int, lent: int, wanted: int) -> int:
    """Return how much more to lend a partition: an eighth of what is left, for others to have some.

    >>> lendable(800, 0, 10), lendable(800, 780, 10), lendable(800, 795, 10)
    (100, 10, 0)
    """
    free = most - lent
    return min(free, max(wanted, free // 8)) if free >= wanted else 0
