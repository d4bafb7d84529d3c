"""How well recommenders foresee what customers buy next, over a history in the order of time.

All that a customer bought at one moment is a purchase. After a warm-up, before a purchase is
learned, each recommender names five products, twice: of those that the customer never bought, and
of all. A case is hit when one of the five is in the purchase: of the former, when it was bought
then for the first time, and only purchases with such a product are cases. That is the hit rate at
5 (Deshpande & Karypis 2004, doi 10.1145/963770.963776), prequentially: nothing is known of what
comes. Everybody is learned from; of large histories some customers, chosen by their id, are asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from services.evaluate.recommenders import Codes, Floats, recommenders
from services.evaluate.service import EvaluationError
from shared.adapters.event_files import Bad, read_events
from shared.adapters.event_spool import EventSpool
from shared.domain.events import Purchase, decode_event
from shared.domain.identity import hash64
from shared.domain.policy import DAY_MS

AT: Final = 5
WARM_UP_DAYS: Final = 91
#: What others are held against.
BASELINE: Final = "popularity"
#: Tasks: products that the customer never bought, and all of them.
NEW, ANY = range(2)


class Bought(NamedTuple):
    """What a customer bought at one moment (epoch milliseconds)."""

    customer: str
    at: int
    products: frozenset[str]


class Hits(Struct, frozen=True):
    """How often one of five was right.

    Attributes
    ----------
    rate
        Share of cases; None without any.
    gain, error
        By how much it is above popularity, and the standard error of that over customers, whose
        cases are not independent.

    """

    rate: float | None
    gain: float | None
    error: float | None


class Foreseen(Struct, frozen=True):
    """One recommender: products that the customer never bought, and any."""

    name: str
    new: Hits
    any: Hits


class ProductReport(Struct, frozen=True):
    """What was measured.

    Attributes
    ----------
    history
        Which one.
    purchases, customers, products
        In the history.
    asked, new_cases, any_cases
        Customers who were asked about, and cases of each kind.
    recommenders
        The best by new products first.

    """

    history: str
    purchases: int
    customers: int
    products: int
    asked: int
    new_cases: int
    any_cases: int
    recommenders: list[Foreseen]


def measure(
    history: str,
    bought: list[Bought],
    *,
    ask: int,
    warm_up_days: int = WARM_UP_DAYS,
    watch: Callable[[int], None] = lambda _done: None,
) -> ProductReport:
    """Replay a history.

    Parameters
    ----------
    history
        What it is called.
    bought
        In the order of time; not empty.
    ask
        Customers to ask about, at the most.
    warm_up_days
        Nobody is asked about before so many days have passed.
    watch
        Told after each purchase how many were replayed.

    """
    run = _Run(bought, ask, warm_up_days)
    for done, each in enumerate(bought, 1):
        run.take(each)
        watch(done)
    return run.report(history)


class _Run:
    """A history being replayed."""

    def __init__(self, bought: list[Bought], ask: int, warm_up_days: int) -> None:
        products = sorted(frozenset().union(*(each.products for each in bought)))
        self._codes = {product: code for code, product in enumerate(products)}
        self._customers = {each.customer for each in bought}
        self._asked = set(sorted(self._customers, key=lambda who: (hash64(who), who))[:ask])
        self._purchases = len(bought)
        self._from = bought[0].at + warm_up_days * DAY_MS
        self._recommenders = recommenders(len(products), bought[0].at)
        self._held: dict[str, dict[int, int]] = {}  # when each product was bought last
        #: By task, recommender and customer: hits, and by task and customer: cases.
        self._hits: list[dict[str, dict[str, int]]] = [{}, {}]
        self._cases: list[dict[str, int]] = [{}, {}]

    def take(self, bought: Bought) -> None:
        """Ask about a purchase, and learn it."""
        held = self._held.setdefault(bought.customer, {})
        codes = np.array(sorted(self._codes[each] for each in bought.products), np.intp)
        new = np.array([code for code in codes.tolist() if code not in held], np.intp)
        if bought.customer in self._asked and bought.at >= self._from and held:
            self._ask(bought.customer, held, codes, new, bought.at)
        for each in self._recommenders.values():
            each.learn(bought.customer, held, codes, new, bought.at)
        for code in codes.tolist():
            held.pop(code, None)  # so that the order is that of the last purchases
            held[code] = bought.at

    def _ask(self, who: str, held: dict[int, int], codes: Codes, new: Codes, at: int) -> None:
        mine = np.fromiter(held, np.intp)
        for task, right in ((NEW, new), (ANY, codes)):
            if len(right):
                self._cases[task][who] = self._cases[task].get(who, 0) + 1
        for name, each in self._recommenders.items():
            scores = each.scores(who, held, at)
            if len(new):
                fresh = scores.copy()
                fresh[mine] = -np.inf
                self._count(NEW, name, who, fresh, new)
            self._count(ANY, name, who, scores, codes)

    def _count(self, task: int, name: str, who: str, scores: Floats, right: Codes) -> None:
        named = np.argsort(-scores, kind="stable")[:AT]
        hits = self._hits[task].setdefault(name, {})
        hits[who] = hits.get(who, 0) + bool(np.isin(named, right).any())

    def report(self, history: str) -> ProductReport:
        """Return what was measured."""
        found = [
            Foreseen(name, self._measured(NEW, name), self._measured(ANY, name))
            for name in self._recommenders
        ]
        return ProductReport(
            history=history,
            purchases=self._purchases,
            customers=len(self._customers),
            products=len(self._codes),
            asked=len(self._cases[ANY]),
            new_cases=sum(self._cases[NEW].values()),
            any_cases=sum(self._cases[ANY].values()),
            recommenders=sorted(found, key=lambda each: -(each.new.rate or 0.0)),
        )

    def _measured(self, task: int, name: str) -> Hits:
        cases = self._cases[task]
        total = sum(cases.values())
        if not total:
            return Hits(None, None, None)
        mine, usual = self._hits[task][name], self._hits[task][BASELINE]
        gain = (sum(mine.values()) - sum(usual.values())) / total
        off = (mine[who] - usual[who] - count * gain for who, count in cases.items())
        error = math.sqrt(sum(each * each for each in off)) / total
        return Hits(sum(mine.values()) / total, gain, error)


def purchases(file: Path, mapping: str | None) -> list[tuple[str, int, str]]:
    """Return who bought which product and when, in the order of time; refunds are left out.

    Parameters
    ----------
    file, mapping
        As `shared.adapters.event_files.read_events` takes them.

    Raises
    ------
    EvaluationError
        A line that is no event, or no purchase that names a product.

    """
    with EventSpool() as spool:
        for line in read_events(file, mapping):
            if isinstance(line, Bad):
                raise EvaluationError(
                    f"line {line.line}: {line.field}: {line.reason}. {line.remedy}"
                )
            spool.add(line)
        events = ((each.at, decode_event(each.value)) for each in spool.in_order())
        found = [
            (event.subject, at, event.data.product)
            for at, event in events
            if isinstance(event, Purchase) and event.data.product and event.data.amount >= 0
        ]
    if not found:
        raise EvaluationError(
            f"{file} holds no purchase with a product. Name its column: --map product=COLUMN,..."
        )
    return found


def gathered(purchases: Iterable[tuple[str, int, str]]) -> list[Bought]:
    """Return (customer, time, product) in the order of time as purchases."""
    found: list[Bought] = []
    at, together = 0, dict[str, set[str]]()
    for customer, when, product in purchases:
        if when != at:
            found += (Bought(who, at, frozenset(what)) for who, what in together.items())
            at, together = when, {}
        together.setdefault(customer, set()).add(product)
    found += (Bought(who, at, frozenset(what)) for who, what in together.items())
    return found
