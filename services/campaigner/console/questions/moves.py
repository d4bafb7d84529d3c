"""Moves between stages, added up as the log of transitions grows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from shared.domain.events import DECODE_ERRORS
from shared.domain.outputs import Stage, Transition
from shared.topics import LIFECYCLE_TRANSITIONS

_decode: Final = msgspec.json.Decoder(Transition).decode
#: The past of a partition that is read at the most, and of all in one look.
_PAST: Final = 50_000
_AT_ONCE: Final = 20_000


class Logs(Protocol):
    """What is asked of Kafka; `LogReader` is it."""

    def partitions(self, topic: str) -> list[Any]:
        """Return a topic's partitions."""

    def bounds(self, places: Any) -> dict[Any, tuple[int, int]]:  # noqa: ANN401
        """Return the first offset of each, and the one behind the last."""

    def read(self, starts: Any, *, most: int) -> tuple[list[Any], dict[Any, int]]:  # noqa: ANN401
        """Return records, and where to read on."""


@dataclass(frozen=True)
class Moves:
    """Moves by the stages before and after; times are epoch ms, ``None`` without any."""

    counts: dict[tuple[Stage, Stage], int]
    first: int | None = None
    last: int | None = None

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self.counts.values())


class MoveCounter:
    """Counts moves: the latest of the past once, then what is new. One thread at a time.

    Parameters
    ----------
    logs
        Kafka.

    """

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._next: dict[Any, int] = {}
        self._counts: Counter[tuple[Stage, Stage]] = Counter()
        self._first: int | None = None
        self._last: int | None = None

    def look(self) -> Moves:
        """Return the moves so far; each look reads a little more of a long past."""
        if not self._next:
            places = self._logs.partitions(LIFECYCLE_TRANSITIONS.name)
            bounds = self._logs.bounds(places)
            self._next = {each: max(low, high - _PAST) for each, (low, high) in bounds.items()}
        found, self._next = self._logs.read(self._next, most=_AT_ONCE)
        for record in found:
            self._count(record.value)
        return Moves(dict(self._counts), self._first, self._last)

    def _count(self, value: bytes | None) -> None:
        try:
            move = _decode(value or b"")
        except DECODE_ERRORS:
            return
        self._counts[move.before, move.after] += 1
        self._first = move.at if self._first is None else min(self._first, move.at)
        self._last = move.at if self._last is None else max(self._last, move.at)
