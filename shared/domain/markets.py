"""How good the served predictions are in each market, of a bounded number of markets.

A market that is a small part of all labels does not show in metrics over all of them. Markets are
named by events, so there may be any number; those with the most labels have metrics of their own,
the others together. Which those are is told by frequent items of a stream (Misra & Gries 1982, doi
10.1016/0167-6423(82)90012-0): with k places, a market with more than a (k + 1)-th of all labels has
one for certain, whatever the order of labels.
"""

from __future__ import annotations

from typing import Any, Final

from shared.domain.base_book import NONE
from shared.domain.evaluation import Tally, Window

#: Markets with metrics of their own.
PLACES: Final = 20
#: All others together. An event's market may have this name as well; it is then among them.
OTHERS: Final = "others"
#: Each market's newest 1,000 to 2,000 labels are told of.
_BLOCKS: Final = 2


class Markets:
    """Prequential metrics by market, over the newest labels of each.

    >>> markets = Markets()
    >>> for p, silent in [(0.9, True), (0.2, False)]:
    ...     markets.update("de", p, silent)
    >>> markets.update("", 0.5, True)
    >>> [(name, tally.n) for name, tally in markets.tallies()]
    [('de', 2), ('none', 1)]
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}  # what of a market's labels no others outweighed
        self._windows: dict[str, Window] = {OTHERS: Window(_BLOCKS)}

    def update(self, market: str, p: float, y: int) -> None:
        """Add a label with the probability predicted at its snapshot; no market is ``""``."""
        self._windows[self._placed(market or NONE)].update(p, y)

    def _placed(self, market: str) -> str:
        """Return under which name a label counts, after taking note of it."""
        if market == OTHERS:
            return OTHERS
        if market in self._places:
            self._places[market] += 1
        elif len(self._places) < PLACES:
            self._places[market], self._windows[market] = 1, Window(_BLOCKS)
        else:
            self._outweigh()
            return OTHERS
        return market

    def _outweigh(self) -> None:
        """Hold a label without a place against one of each market that has a place."""
        self._places = {market: count - 1 for market, count in self._places.items()}
        for market in [market for market, count in self._places.items() if not count]:
            del self._places[market], self._windows[market]

    def tallies(self) -> list[tuple[str, Tally]]:
        """Return the markets with labels and their metrics, the largest first, `OTHERS` last."""
        named = sorted(self._places, key=lambda market: (-self._places[market], market))
        found = [(market, self._windows[market].tally()) for market in (*named, OTHERS)]
        return [(market, tally) for market, tally in found if tally.n]

    def report(self) -> dict[str, dict[str, float]]:
        """Return all metrics by market."""
        return {market: tally.report() for market, tally in self.tallies()}

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        windows = {market: window.dump() for market, window in self._windows.items()}
        return {"places": dict(self._places), "windows": windows}

    @classmethod
    def load(cls, state: dict[str, Any]) -> Markets:
        """Restore what `dump` returned; nothing, of a snapshot from before there were markets."""
        markets = cls()
        if state:
            markets._places = dict(state["places"])
            markets._windows = {
                market: Window.load(blocks, _BLOCKS) for market, blocks in state["windows"].items()
            }
        return markets
