"""Offers whose acceptance is known: what choosing costs, against who always knew the best one.

Customers come day after day; what came of a contact is known a window later, as in a deployment.
Regret is what was accepted less than if everybody had got the offer that suits them best.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from shared.domain.bandit import choose
from shared.domain.identity import hash64
from shared.domain.offers import UNKNOWN, Learned, Offer, Offers, Tally

#: Returns the offer of a customer: what is known, their context, the decision's id.
Policy = Callable[[Learned, str, str], str]


class Truth(NamedTuple):
    """Customers of a campaign, and how likely they accept each offer.

    Attributes
    ----------
    rates
        By context and offer.
    days, customers_a_day
        How long it goes on.
    window_days
        After which an outcome is known.

    """

    rates: Mapping[str, Mapping[str, float]]
    days: int = 180
    customers_a_day: int = 200
    window_days: int = 14


class Regret(Struct, frozen=True):
    """What was missed, in acceptances: means over runs, and how sure they are.

    Attributes
    ----------
    best
        Acceptances if everybody had got what suits them best.
    uniform, learned
        Regret where offers are drawn alike, and where they are chosen.
    error
        Standard error of ``uniform - learned``.
    last
        Regret of the last tenth of the customers, where they are chosen: learning is over.
    explored
        Largest share of any run's customers who got another offer than the best known.

    """

    runs: int
    customers: int
    best: float
    uniform: float
    learned: float
    error: float
    last: float
    explored: float


def measure(truth: Truth, offers: Offers, *, runs: int = 20, seed: int = 0) -> Regret:
    """Let customers come in many runs, once with offers drawn alike and once with chosen ones."""
    ours = [_run(truth, offers, _chosen(offers), (seed, run)) for run in range(runs)]
    alike = [_run(truth, offers, _drawn(offers), (seed, run)) for run in range(runs)]
    saved = np.array([one.regret - other.regret for one, other in zip(alike, ours, strict=True)])
    return Regret(
        runs=runs,
        customers=truth.days * truth.customers_a_day,
        best=float(np.mean([each.best for each in ours])),
        uniform=float(np.mean([each.regret for each in alike])),
        learned=float(np.mean([each.regret for each in ours])),
        error=float(saved.std(ddof=1) / np.sqrt(runs)) if runs > 1 else 0.0,
        last=float(np.mean([each.last for each in ours])),
        explored=max(each.explored for each in ours),
    )


class _Run(NamedTuple):
    best: float
    regret: float
    last: float
    explored: float


def _chosen(offers: Offers) -> Policy:
    return lambda learned, context, decision: choose(offers, learned, context, decision)[0]


def _drawn(offers: Offers) -> Policy:
    names = offers.names
    return lambda _, __, decision: names[hash64(f"alike\0{decision}") % len(names)]


def _run(truth: Truth, offers: Offers, policy: Policy, seed: tuple[int, int]) -> _Run:
    random, learned = np.random.default_rng(seed), UNKNOWN
    due: dict[int, dict[tuple[str, str], Tally]] = {}
    best = regret = last = 0.0
    others = knowing = 0
    for day in range(truth.days):
        learned = _after(learned, due.pop(day - truth.window_days, {}))
        heard: dict[tuple[str, str], Tally] = defaultdict(Tally)
        for decision, context in _customers(truth, seed, day, random):
            rates, asked = truth.rates[context], context if offers.by else ""
            offer = policy(learned, asked, decision)
            known = learned.of(offers.names, asked)
            missed = max(rates.values()) - rates[offer]
            best, regret = best + max(rates.values()), regret + missed
            last += missed if day >= truth.days * 0.9 else 0.0
            leader = max(known, key=lambda each: (known[each].accepted + 1) / (known[each].n + 2))
            knowing += learned.version > 0
            others += learned.version > 0 and offer != leader
            accepted = int(random.random() < rates[offer])
            heard[asked, offer] = heard[asked, offer].plus(Tally(1, accepted, accepted))
        due[day] = heard
    return _Run(best, regret, last, others / max(knowing, 1))


def _customers(
    truth: Truth, seed: tuple[int, int], day: int, random: np.random.Generator
) -> Iterator[tuple[str, str]]:
    contexts = sorted(truth.rates)
    for number, which in enumerate(random.integers(len(contexts), size=truth.customers_a_day)):
        yield f"{seed}/{day}/{number}", contexts[which]


def _after(learned: Learned, heard: Mapping[tuple[str, str], Tally]) -> Learned:
    """Return what is known after a day's outcomes, numbered as the database numbers it."""
    if not heard:
        return learned
    tallies = {context: dict(known) for context, known in learned.tallies.items()}
    for (context, offer), tally in heard.items():
        known = tallies.setdefault(context, {})
        known[offer] = known.get(offer, Tally()).plus(tally)
    fresh = Learned(learned.version + 1, 0, tallies)
    return fresh if fresh.is_news_after(learned) else learned


def _offers(*names: str, by: bool = False, explore: float = 0.2) -> Offers:
    choices = tuple(Offer(each) for each in names)
    return Offers(choices, explore=explore, by="plan" if by else None)


_ONE: Final = {"": {"discount": 0.10, "extra-data": 0.14, "call": 0.08, "gift": 0.11}}
_TWO: Final = {
    "plan=basic": {"discount": 0.16, "extra-data": 0.08},
    "plan=gold": {"discount": 0.08, "extra-data": 0.16},
}
_SAME: Final = {"": {"discount": 0.1, "extra-data": 0.1}}
#: What issue and documents quote.
TRUTHS: Final = {
    "four offers, one is best": (Truth(_ONE), _offers(*_ONE[""])),
    "each plan has another best, told apart": (
        Truth(_TWO),
        _offers("discount", "extra-data", by=True),
    ),
    "each plan has another best, all alike": (Truth(_TWO), _offers("discount", "extra-data")),
    "both are the same": (Truth(_SAME), _offers("discount", "extra-data")),
}
