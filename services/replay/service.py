"""Send a planned history through ingest, and account for every event of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from services.replay.client import IngestClient, RefusedError
from services.replay.pace import Pace, Unpaced
from services.replay.plan import Batch, Limits, Tick, midnights, plan
from shared.adapters.event_files import Bad, Good


@dataclass
class Progress:
    """How far a replay is.

    Attributes
    ----------
    accepted
        Events that ingest answered for with 202.
    refused
        Events that ingest refused and that were left out.
    ticks
        Ticks that were accepted.
    at
        Time in history, in milliseconds since 1970.

    """

    accepted: int = 0
    refused: list[Bad] = field(default_factory=list)
    ticks: int = 0
    at: int = 0


Watch = Callable[[Progress], None]


def _wall_ms() -> int:
    return round(time.time() * 1000)


class Replay:
    """One pass of a history through one ingest, one request in flight so that order holds.

    Parameters
    ----------
    skip_refused
        Leave events out that ingest refuses, and list them; else a refusal ends the replay.
    watch
        Called after each request.
    now
        The present in milliseconds since 1970; the history ends with a tick at it, and those of
        the days since its last event: a scorer takes what one tick brings at once.

    """

    def __init__(
        self,
        client: IngestClient,
        *,
        pace: Pace | None = None,
        limits: Limits | None = None,
        skip_refused: bool = False,
        watch: Watch = lambda _: None,
        now: Callable[[], int] = _wall_ms,
    ) -> None:
        self._client = client
        self._pace = pace or Unpaced()
        self._limits = limits or Limits()
        self._skip_refused = skip_refused
        self._watch = watch
        self._now = now
        self.progress = Progress()

    async def run(self, events: Iterable[Good]) -> Progress:
        """Send events that are in the order of their time; return what became of them.

        Raises
        ------
        RefusedError, ReplayError
            What was accepted until then is in `progress`.

        """
        for step in plan(events, self._limits):
            await self._pace.wait(step)
            if isinstance(step, Batch):
                await self._send(step.events)
            else:
                await self._tick(step.at)
            self._watch(self.progress)
        if self._limits.tick_ms is not None:
            now = self._now()
            for step in (
                *midnights(self.progress.at or None, now, self._limits.tick_ms),
                Tick(now),
            ):
                await self._tick(step.at)
                self._watch(self.progress)
        return self.progress

    async def _tick(self, at: int) -> None:
        await self._client.tick(at)
        self.progress.ticks += 1
        self.progress.at = at

    async def _send(self, events: list[Good]) -> None:
        try:
            await self._client.post(events)
        except RefusedError as error:
            if not self._skip_refused:
                raise
            await self._send_rest(events, error.bad)
            return
        self.progress.accepted += len(events)
        self.progress.at = events[-1].at

    async def _send_rest(self, events: list[Good], bad: list[Bad]) -> None:
        """Send a batch again without what was refused."""
        lines = {each.line for each in bad}
        rest = [event for event in events if event.line not in lines]
        if len(rest) == len(events):  # the refusal names none of them: do not ask for ever
            raise RefusedError(bad)
        self.progress.refused += bad
        if rest:
            await self._send(rest)
