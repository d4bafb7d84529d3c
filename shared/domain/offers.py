"""Several offers in one campaign, and what came of each: what the next best offer is learned from.

Counts are all that is learned: they add up over partitions in any order, so what is known does not
depend on who heard of an outcome first. A state of them is numbered (`Learned`), and a decision
names the number that it read: with its id that makes its choice, today and in every simulation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct, field

from shared.domain.outputs import Score

#: What a good outcome is: an offer that was accepted, or a customer who stayed.
Good = Literal["accepted", "retained"]
#: What customers may be told apart by.
By = Literal["stage", "plan", "brand", "market", "acquisition_source"]

#: Outcomes that an offer needs before it is said to be the best one, or the best of a context.
LEAST: Final = 50
#: A state is numbered once it knows this much more than the one before, so there are few of them.
_GROWTH: Final = 1.02


class Offer(Struct, frozen=True):
    """One of a campaign's offers; ``cost_per_acceptance`` is in the reporting currency."""

    name: str
    cost_per_acceptance: float = 0.0


class Offers(Struct, frozen=True):
    """The offers of a campaign, and how they are chosen.

    Attributes
    ----------
    choices
        At least two, of different names.
    learns_from
        What a good outcome is.
    explore
        Largest share of customers who get another offer than the one that is known as the best.
    by
        What customers are told apart by; ``None`` where all are alike.

    """

    choices: tuple[Offer, ...]
    learns_from: Good = "accepted"
    explore: float = 0.2
    by: By | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return their names, in the order of the file."""
        return tuple(each.name for each in self.choices)

    def cost_of(self, name: str) -> float:
        """Return what it costs when an offer is accepted; 0 of one that is not there any more."""
        costs = (each.cost_per_acceptance for each in self.choices if each.name == name)
        return next(costs, 0.0)

    def context(self, score: Score) -> str:
        """Return what tells a customer apart, as ``plan=gold``; empty where nothing does."""
        if self.by is None:
            return ""
        value = score.stage if self.by == "stage" else getattr(score.profile, self.by)
        return f"{self.by}={value or ''}"


class Tally(NamedTuple):
    """What came of an offer: outcomes that are known, and how many of them were good."""

    n: int = 0
    accepted: int = 0
    retained: int = 0

    def plus(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(*(one + more for one, more in zip(self, other, strict=True)))

    def good(self, what: Good) -> int:
        """Return how many outcomes were good."""
        return self.accepted if what == "accepted" else self.retained


class Learned(Struct, frozen=True):
    """What is known of a campaign's offers, by context and offer.

    Attributes
    ----------
    version
        Counts a campaign's states, from 1; 0 before anything is known.
    at
        Wall clock when it was written, epoch milliseconds.

    """

    version: int = 0
    at: int = 0
    tallies: dict[str, dict[str, Tally]] = field(default_factory=dict)

    def of(self, names: Sequence[str], context: str) -> dict[str, Tally]:
        """Return what is known of offers in a context, or in all while that is too little."""
        own = self.tallies.get(context, {})
        if all(own.get(each, _NONE).n >= LEAST for each in names):
            return {each: own[each] for each in names}
        known = dict.fromkeys(names, _NONE)
        for tallies in self.tallies.values():
            for each in names:
                known[each] = known[each].plus(tallies.get(each, _NONE))
        return known

    @property
    def n(self) -> int:
        """Return how many outcomes it knows."""
        return sum(each.n for tallies in self.tallies.values() for each in tallies.values())

    def is_news_after(self, last: Learned) -> bool:
        """Tell whether it knows enough more than the last one to be numbered."""
        return self.n > last.n * _GROWTH


_NONE: Final = Tally()
#: Nothing is known.
UNKNOWN: Final = Learned()

#: (campaign, context, offer).
Key = tuple[str, str, str]


def nested(tallies: Iterable[tuple[str, str, Tally]]) -> dict[str, dict[str, Tally]]:
    """Return tallies of (context, offer) by context and offer, in an order of their own."""
    found: dict[str, dict[str, Tally]] = {}
    for context, offer, tally in sorted(tallies):
        found.setdefault(context, {})[offer] = tally
    return found


class Chosen(Struct, frozen=True):
    """How a decision came by its offer.

    Attributes
    ----------
    version
        Of what was known of the offers.
    context
        What told the customer apart.
    explores
        Whether it was to learn, and not because the offer is known as the best.

    """

    version: int
    context: str
    explores: bool


#: What was known of each campaign's offers, ascending.
Library = Mapping[str, Sequence[Learned]]


def known_at(library: Library, campaign: str, version: int | None, at: int) -> Learned:
    """Return a version of what was known, or what was known at a time (wall clock, epoch ms)."""
    states = library.get(campaign, ())
    if version is not None:
        return next((each for each in states if each.version == version), UNKNOWN)
    return next((each for each in reversed(states) if each.at <= at), UNKNOWN)
