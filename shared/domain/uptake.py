"""Which product a customer is likely to take up next, of those not held yet.

A product is taken up by its first purchase. What most customers have says little of what the others
will take up: whoever wanted it has it. So what counts is the rate at which those without a product
took it up of late, for everybody, and for those who hold another product::

    h(j)     = T(j) / (N - n(j) + K)
    h(j | i) = (T(i, j) + K h(j)) / (n(i) - n(i, j) + K)

T are take-ups whose weight halves every 30 days, T(i, j) those by who held i before; n are holders,
of both for two products; N are customers who hold anything. It is an occurrence/exposure rate, and
an item-to-item conditional probability (Deshpande & Karypis 2004, doi 10.1145/963770.963776;
Linden, Smith & York 2003, doi 10.1109/MIC.2003.1167344) that is shrunk to the rate for everybody,
so that a pair which few hold says little. A product ranks by the mean of h(j | i) over the products
that the customer bought last. `tenure bench products` measures it against popularity and others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from shared.domain.dealings import Dealings
from shared.domain.policy import DAY_MS

#: When each product was first bought, epoch milliseconds.
Held = Mapping[str, int]
Codes = NDArray[np.intp]
Floats = NDArray[np.float64]

HALF_LIFE_DAYS: Final = 30.0
#: Customers for whom the rate of everybody stands, beside those who hold the other product.
PRIOR: Final = 20.0
#: Products that are looked at: those that most customers hold.
MOST_PRODUCTS: Final = 1_000
#: Products that are noted of a customer; what is taken up behind them is not.
MOST_HELD: Final = 256
#: The rate, in 30 days, of a decayed sum: its weights add up to 30 / ln 2 days.
_IN_30_DAYS: Final = float(np.log(2.0))
_NOBODY: Final[Held] = {}


class NextProduct(Struct, frozen=True):
    """A product that a customer does not hold, and how likely it is taken up.

    Attributes
    ----------
    product
        Its name.
    rate
        Take-ups in 30 days by a customer like this one, as those of late went.
    lift
        The same against all customers without it: 2 is twice as often.

    """

    product: str
    rate: float
    lift: float


def hold(held: Held | None, dealings: Dealings) -> Held:
    """Return what a customer holds after a score, each with the time when it was first told.

    What is told again, in any order, changes nothing.
    """
    before = held or _NOBODY
    new = {name: at for name, at in dealings.products.items() if name not in before}
    room = MOST_HELD - len(before)
    if not new or room <= 0:
        return before
    order = sorted(new.items(), key=lambda each: (each[1], each[0]))
    return {**before, **dict(order[:room])}


class Uptake:
    """What customers took up.

    Parameters
    ----------
    products
        All that are looked at.
    since
        A time (epoch ms) that weights are relative to: at most some decades from the others.

    Examples
    --------
    >>> uptake = Uptake(["phone", "tablet", "cover"], since=0)
    >>> for customer in range(30):
    ...     uptake.take_up([], ["phone" if customer % 3 else "tablet"], 0)
    ...     uptake.take_up(["phone"], ["cover"], 0) if customer % 3 else None
    >>> [each.product for each in uptake.next_of(["phone"], ["phone"], now=0, most=1)]
    ['cover']

    """

    def __init__(self, products: Sequence[str], since: int) -> None:
        self.products = sorted(products)
        self._codes = {product: code for code, product in enumerate(self.products)}
        self._since = since
        count = len(self.products)
        self._customers = 0
        self._taken = np.zeros(count)
        self._holders = np.zeros(count)
        self._after = np.zeros((count, count))  # (held, taken up then)
        self._both = np.zeros((count, count))

    def take_up(self, held: Iterable[str], taken: Iterable[str], at: int) -> None:
        """Learn that a customer took up products at one moment, who held others before it."""
        before, new = self._of(held), self._of(taken)
        if not len(new):
            return
        weight = self._weight(at)
        self._customers += not len(before)
        self._taken[new] += weight
        self._holders[new] += 1.0
        self._both[np.ix_(new, new)] += 1.0
        if len(before):
            self._both[np.ix_(before, new)] += 1.0
            self._both[np.ix_(new, before)] += 1.0
            self._after[np.ix_(before, new)] += weight

    def take_all(self, held: Held) -> None:
        """Learn all that a new customer took up: the same as one moment after the other."""
        codes = self._of(held)
        if not len(codes):
            return
        at = np.array([when for name, when in held.items() if name in self._codes], np.int64)
        weights = np.array([self._weight(when) for when in at.tolist()])
        pairs = np.ix_(codes, codes)
        self._customers += 1
        self._taken[codes] += weights
        self._holders[codes] += 1.0
        self._both[pairs] += 1.0
        self._after[pairs] += (at[:, None] < at) * weights

    def next_of(
        self, recent: Iterable[str], held: Iterable[str], now: int, most: int
    ) -> list[NextProduct]:
        """Return what a customer is likely to take up next, the likeliest first.

        Parameters
        ----------
        recent
            Products that tell of the customer: those bought last.
        held
            What is not suggested.
        now
            Epoch milliseconds.
        most
            How many.

        """
        everybody = self.rates(now)
        mine = self.rates_after(self._of(recent), everybody, now)
        left = mine.copy()
        left[self._of(held)] = 0.0
        order = np.argsort(-left, kind="stable")[:most]
        return [
            NextProduct(
                self.products[code],
                float(mine[code] * _IN_30_DAYS),
                float(mine[code] / everybody[code]),
            )
            for code in order.tolist()
            if left[code] > 0.0
        ]

    def rates(self, now: int) -> Floats:
        """Return h(j) of all products (P,)."""
        free = self._customers - self._holders + PRIOR
        found: Floats = self._taken / self._weight(now) / free
        return found

    def rates_after(self, recent: Codes, everybody: Floats, now: int) -> Floats:
        """Return the mean of h(j | i) (P,) over the products i of ``recent``; h(j) without any."""
        if not len(recent):
            return everybody
        taken = self._after[recent] / self._weight(now)
        free = self._holders[recent][:, None] - self._both[recent]
        found: Floats = ((taken + PRIOR * everybody) / (free + PRIOR)).mean(axis=0)
        return found

    def _of(self, products: Iterable[str]) -> Codes:
        codes = self._codes
        return np.array([codes[each] for each in products if each in codes], np.intp)

    def _weight(self, at: int) -> float:
        return float(2.0 ** ((at - self._since) / DAY_MS / HALF_LIFE_DAYS))


def learned(customers: Sequence[Held], now: int) -> Uptake:
    """Return what all customers took up; whatever their order, the same to a rounding.

    Parameters
    ----------
    customers
        What each holds.
    now
        Epoch milliseconds.

    """
    counts = Counter(product for held in customers for product in held)
    order = sorted(counts, key=lambda product: (-counts[product], product))
    known = set(order[:MOST_PRODUCTS])
    uptake = Uptake(sorted(known), now)
    for held in customers:
        uptake.take_all(held)
    return uptake
