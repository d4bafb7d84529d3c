"""What could foresee a customer's next product: popularity, counts of co-purchases, River's.

Products are numbers, scores are (P,), the higher the likelier. A customer is told to `learn` with
what was held before, so that none of these looks ahead.
"""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from river import reco

from shared.domain.policy import DAY_MS
from shared.domain.uptake import HALF_LIFE_DAYS, PRIOR, Uptake

Codes = NDArray[np.intp]
Floats = NDArray[np.float64]
#: When each product was bought last, in the order of that.
Held = dict[int, int]

#: Products bought last that tell of a customer: as many as a score holds.
RECENT: Final = 8
#: Products not held, drawn by lot, that River's learn as not taken for each that was.
_NOT_TAKEN: Final = 3


class Recommender(Protocol):
    """Learns purchases in the order of time, and ranks products for a customer."""

    def learn(self, who: str, held: Held, codes: Codes, new: Codes, at: int) -> None:
        """Learn a purchase of ``codes``, of which ``new`` were never bought before."""

    def scores(self, who: str, held: Held, at: int) -> Floats:
        """Return how likely each product is (P,)."""


def recommenders(products: int, since: int) -> dict[str, Recommender]:
    """Return all of them by name, for so many products and a history from a time on (epoch ms)."""
    uptake = Uptake(list(map(_name, range(products))), since)
    learned = _Learned(uptake)
    counts = _Counts(products)
    return {
        "popularity": _Popularity(products, since),
        "holders": counts,
        "conditional": _Conditional(counts),
        "cosine": _Cosine(counts),
        "lift": _Lift(counts),
        "rate": learned,
        "uptake": _After(uptake),
        "river Baseline": _River(reco.Baseline(seed=1), products),
        "river BiasedMF": _River(reco.BiasedMF(seed=1), products),
        "river FunkMF": _River(reco.FunkMF(seed=1), products),
    }


def _name(code: int) -> str:
    """Return a name whose order is that of the codes."""
    return f"{code:08}"


class _Popularity:
    """Purchases of late: their weight halves every 30 days."""

    def __init__(self, products: int, since: int) -> None:
        self._sums = np.zeros(products)
        self._since = since

    def learn(self, who: str, held: Held, codes: Codes, new: Codes, at: int) -> None:
        del who, held, new
        self._sums[codes] += 2.0 ** ((at - self._since) / DAY_MS / HALF_LIFE_DAYS)

    def scores(self, who: str, held: Held, at: int) -> Floats:
        del who, held, at
        return self._sums


class _Counts:
    """Customers who hold each product, and each two; as a recommender: the former."""

    def __init__(self, products: int) -> None:
        self.holders = np.zeros(products)
        self.both = np.zeros((products, products))
        self.customers = 0

    def learn(self, who: str, held: Held, codes: Codes, new: Codes, at: int) -> None:
        del who, codes, at
        before = np.fromiter(held, np.intp)
        self.customers += not held
        self.holders[new] += 1
        self.both[np.ix_(before, new)] += 1
        self.both[np.ix_(new, before)] += 1
        self.both[np.ix_(new, new)] += 1

    def scores(self, who: str, held: Held, at: int) -> Floats:
        del who, held, at
        return self.holders


class _OfCounts:
    """Ranks by counts that another learns."""

    def __init__(self, counts: _Counts) -> None:
        self._counts = counts

    def learn(self, who: str, held: Held, codes: Codes, new: Codes, at: int) -> None:
        """Do nothing: the counts are learned already."""


class _Conditional(_OfCounts):
    """Mean P(j | i) over all i held, shrunk to P(j) (Deshpande & Karypis 2004)."""

    def scores(self, who: str, held: Held, at: int) -> Floats:
        del who, at
        of, mine = self._counts, np.fromiter(held, np.intp)
        usual = of.holders / of.customers
        share = (of.both[mine] + PRIOR * usual) / (of.holders[mine][:, None] + PRIOR)
        found: Floats = share.mean(axis=0)
        return found


class _Cosine(_OfCounts):
    """Sum of cosines to all held (Sarwar et al. 2001, doi 10.1145/371920.372071)."""

    def scores(self, who: str, held: Held, at: int) -> Floats:
        del who, at
        of, mine = self._counts, np.fromiter(held, np.intp)
        scale = np.sqrt(of.holders[mine][:, None] * of.holders + PRIOR)
        found: Floats = (of.both[mine] / scale).sum(axis=0)
        return found


class _Lift(_OfCounts):
    """Mean P(i, j) / P(i) P(j) over all i held, shrunk to 1 (Brin et al. 1997)."""

    def scores(self, who: str, held: Held, at: int) -> Floats:
        del who, at
        of, mine = self._counts, np.fromiter(held, np.intp)
        chance = of.holders[mine][:, None] * of.holders / of.customers
        found: Floats = ((of.both[mine] + PRIOR) / (chance + PRIOR)).mean(axis=0)
        return found


class _Learned:
    """The rate at which those without a product take it up: `Uptake`, for everybody."""

    def __init__(self, uptake: Uptake) -> None:
        self._uptake = uptake

    def learn(self, who: str, held: Held, codes: Codes, new: Codes, at: int) -> None:
        del who, codes
        self._uptake.take_up(map(_name, held), map(_name, new.tolist()), at)

    def scores(self, who: str, held: Held, at: int) -> Floats:
        del who, held
        return self._uptake.rates(at)


class _After:
    """What is served: the same for those who hold what the customer bought last."""

    def __init__(self, uptake: Uptake) -> None:
        self._uptake = uptake

    def learn(self, who: str, held: Held, codes: Codes, new: Codes, at: int) -> None:
        """Do nothing: the rates are learned already."""

    def scores(self, who: str, held: Held, at: int) -> Floats:
        del who
        recent = np.fromiter(islice(reversed(held), RECENT), np.intp)
        return self._uptake.rates_after(recent, self._uptake.rates(at), at)


class _River:
    """One of River's recommenders, on 1 for what was taken up and 0 for some that was not."""

    def __init__(self, model: Any, products: int) -> None:  # noqa: ANN401  # three classes
        self._model = model
        self._draw = Random(1)  # noqa: S311  # a measurement, the same again
        self._products = products
        self._biases = np.zeros(products)
        self._latents: Floats | None = None

    def learn(self, who: str, held: Held, codes: Codes, new: Codes, at: int) -> None:
        del codes, at
        taken = set(new.tolist())
        for code in new.tolist():
            self._learn(who, code, 1.0)
            for other in self._draw.choices(range(self._products), k=_NOT_TAKEN):
                if other not in held and other not in taken:
                    self._learn(who, other, 0.0)

    def _learn(self, who: str, code: int, y: float) -> None:
        self._model.learn_one(who, code, y)
        if hasattr(self._model, "i_biases"):
            self._biases[code] = self._model.i_biases[code]
        if hasattr(self._model, "i_latents"):
            if self._latents is None:
                self._latents = np.zeros((self._products, len(self._model.i_latents[code])))
            self._latents[code] = self._model.i_latents[code]

    def scores(self, who: str, held: Held, at: int) -> Floats:
        """Return its predictions up to what is the same for all products of a customer."""
        del held, at
        if self._latents is None:
            return self._biases
        found: Floats = self._biases + self._latents @ self._model.u_latents[who]
        return found
