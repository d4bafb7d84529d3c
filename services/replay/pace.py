"""How fast history passes. A pace is told what comes next and waits until it is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from services.replay.plan import Batch, Step
from shared.domain.policy import DAY_MS

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]


class Pace(Protocol):
    """Waits until a step is due."""

    async def wait(self, step: Step) -> None:
        """Return when ``step`` may be sent."""


class Unpaced:
    """As fast as the other side takes it."""

    async def wait(self, step: Step) -> None:
        """Return at once."""


class EventsPerSecond:
    """So many events a second on average since the first."""

    def __init__(
        self, rate: float, *, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._rate = rate
        self._due = _Due(clock, sleep)
        self._sent = 0

    async def wait(self, step: Step) -> None:
        """Return when the events before ``step`` have had their time."""
        await self._due.at(self._sent / self._rate)
        self._sent += len(step.events) if isinstance(step, Batch) else 0


class DaysPerSecond:
    """So many days of history a second."""

    def __init__(
        self, speed: float, *, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._speed = speed
        self._due = _Due(clock, sleep)
        self._first: int | None = None

    async def wait(self, step: Step) -> None:
        """Return when the days before ``step`` have passed."""
        if self._first is None:
            self._first = step.at
        await self._due.at((step.at - self._first) / DAY_MS / self._speed)


class _Due:
    """Sleeps until so many seconds after the first call; what is overdue does not wait."""

    def __init__(self, clock: Clock, sleep: Sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._start: float | None = None

    async def at(self, seconds: float) -> None:
        if self._start is None:
            self._start = self._clock()
        rest = self._start + seconds - self._clock()
        if rest > 0:
            await self._sleep(rest)
