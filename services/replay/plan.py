"""What to send, one request after the other: batches of events, and a tick at each midnight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.adapters.event_files import Good
from shared.domain.policy import DAY_MS


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that are posted together; they lie between two ticks."""

    events: list[Good]

    @property
    def at(self) -> int:
        """When the first of its events happened, in milliseconds since 1970."""
        return self.events[0].at


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed, whether or not anything happened."""

    at: int


Step = Batch | Tick


@dataclass(frozen=True)
class Limits:
    """How large a request may be, and how far apart ticks are.

    Attributes
    ----------
    events, size
        At most so many events, and so many bytes of them, in a batch.
    tick_ms
        Milliseconds between two ticks; ``None`` for none.

    """

    events: int = 500
    size: int = 1_000_000
    tick_ms: int | None = DAY_MS


def plan(events: Iterable[Good], limits: Limits) -> Iterator[Step]:
    """Yield the requests for events that are in the order of their time."""
    batch: list[Good] = []
    size = 0
    before: int | None = None
    for event in events:
        ticks = midnights(before, event.at, limits.tick_ms)
        full = len(batch) >= limits.events or size + len(event.value) > limits.size
        if batch and (ticks or full):
            yield Batch(batch)
            batch, size = [], 0
        yield from ticks
        batch.append(event)
        size += len(event.value)
        before = event.at
    if batch:
        yield Batch(batch)


def midnights(before: int | None, at: int, every: int | None) -> list[Tick]:
    """Return the ticks due after what was sent before and not after this."""
    if before is None or every is None:
        return []
    return [Tick(number * every) for number in range(before // every + 1, at // every + 1)]
