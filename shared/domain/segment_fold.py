"""How scores, and time, change which segments the customers of a partition are in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from shared.domain.campaign_state import Batch, Rules
from shared.domain.features import DAY_MS
from shared.domain.named_segments import Membership, change_of, is_told, moved, segments_of
from shared.domain.outputs import Score
from shared.domain.standings import Standings, Sweep
from shared.domain.telling import LIVE_MS

#: Customers whom time alone may have moved, looked at with one batch.
SWEEP: Final = 500


class SegmentFold:
    """Takes scores into a partition's memberships; standings and batch are changed in place."""

    def __init__(self, standings: Standings, batch: Batch, rules: Rules) -> None:
        self._standings = standings
        self._batch = batch
        self._rules = rules

    def take(self, score: Score) -> None:
        """Note the segments that a customer enters or leaves by a score, as of its time."""
        if not self._rules.definitions:
            return
        customer = score.customer
        before = self._standings.memberships.get(customer, {})
        after = moved(before, segments_of(score, self._rules.segments), score.at)
        if not after:
            return
        for name, membership in after.items():
            self._batch.memberships[customer, name] = membership
            if is_told(name):
                known = before.get(name, Membership())
                self._batch.changes.append(change_of(score, name, known, membership))
        self._standings.memberships[customer] = {**before, **after}

    def due(self, now: int) -> Sweep | None:
        """Return the sweep that is to go on, if one is; ``now`` is the wall clock, epoch ms.

        History is not swept: it passes by the day in seconds, and what counts is its end.
        """
        at = self._standings.clock
        if not self._rules.definitions or not at or now - at > LIVE_MS:
            return None
        known, day = self._standings.swept, at // DAY_MS
        if known.after is not None and known.definitions == self._rules.definitions:
            return known
        if (known.definitions, known.day) == (self._rules.definitions, day):
            return None
        return Sweep(self._rules.definitions, day, "")

    def sweep(self, sweep: Sweep, some: Sequence[Score]) -> None:
        """Look at the next of the customers, `SWEEP` of them unless there are no more."""
        at = self._standings.clock
        for score in self._newest(some):
            self.take(replace(score, at=max(at, score.at)))
        after = some[-1].customer if len(some) == SWEEP else None
        self._standings.swept = self._batch.swept = replace(sweep, after=after)

    def _newest(self, some: Iterable[Score]) -> Iterable[Score]:
        """Yield what the batch knows of customers that it has; none of who is erased in it."""
        gone = set(self._batch.erased)
        for score in some:
            if score.customer not in gone:
                yield self._batch.profiles.get(score.customer, (score, ""))[0]
