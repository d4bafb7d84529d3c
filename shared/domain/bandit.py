"""Next best offer: which of several a customer gets, by River's Thompson sampling.

Most customers get the offer that did best so far; a share, bounded by the campaign, is for
learning: there River's bandit draws each offer's rate from what is known of it, and the highest
draw wins (Thompson, 1933; Chapelle & Li, 2011, "An Empirical Evaluation of Thompson Sampling").
Before each offer has some outcomes there is no best one, and all are drawn alike.

Every draw comes from the decision's id, so a choice is a function of that and of the state read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.domain.identity import hash64
from shared.domain.offers import LEAST, Chosen, Good, Learned, Offers, Tally

_RANGE: Final = 2.0**64


def choose(offers: Offers, learned: Learned, context: str, decision: str) -> tuple[str, Chosen]:
    """Return the offer of a decision, by its id, and how it was chosen."""
    known = learned.of(offers.names, context)
    best = _best(known, offers.learns_from)
    if best is None:
        offer = offers.names[hash64(f"offer\0{decision}") % len(offers.names)]
    elif hash64(f"explore\0{decision}") / _RANGE >= offers.explore:
        return best, Chosen(learned.version, context, explores=False)
    else:
        offer = _draw(known, offers.learns_from, hash64(decision))
    return offer, Chosen(learned.version, context, explores=True)


def _draw(known: Mapping[str, Tally], good: Good, seed: int) -> str:
    """Return the offer of Thompson sampling that begins where counts stand."""
    from river import bandit, proba

    policy = bandit.ThompsonSampling(reward_obj=proba.Beta(), seed=seed)
    for offer, tally in known.items():
        won = tally.good(good)
        arm = hash64(f"{seed}\0{offer}")
        policy._rewards[offer] = proba.Beta(1 + won, 1 + tally.n - won, seed=arm)  # noqa: SLF001  # there is no public way
    return str(policy.pull(list(known)))


def _best(known: Mapping[str, Tally], good: Good) -> str | None:
    """Return the offer with the highest rate of those that are known; ``None`` at the start.

    One that was added later is not known, and is tried within the share that explores.
    """
    told = [name for name, tally in known.items() if tally.n >= LEAST]
    if len(told) < min(2, len(known)):
        return None
    return max(told, key=lambda name: _rate(known[name], good))


def _rate(tally: Tally, good: Good) -> float:
    return (tally.good(good) + 1) / (tally.n + 2)
