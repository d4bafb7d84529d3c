"""Events in the order of their time, however many and however they came."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np

from shared.adapters.event_files import Good


class EventSpool:
    """A temporary file of events, and where each begins: 24 bytes of memory an event.

    Use it as a context manager; the file goes with it. It is unlinked from the start, so it
    goes with a killed process too.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="tenure-events-")  # noqa: SIM115 - closed below
        self._times = array("q")
        self._lines = array("q")
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._times)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the file."""
        self._file.close()

    def add(self, event: Good) -> None:
        """Append an event."""
        self._file.write(event.value)
        self._times.append(event.at)
        self._lines.append(event.line)
        self._ends.append(self._ends[-1] + len(event.value))

    def span(self) -> tuple[int, int]:
        """Return the times of the first and the last of the events; there is one at least."""
        return min(self._times), max(self._times)

    def in_order(self, since: int | None = None) -> Iterator[Good]:
        """Yield the events by time, those of one moment as they were added.

        Parameters
        ----------
        since
            Leave out what was before this time, in milliseconds since 1970.

        """
        self._file.flush()
        times = np.frombuffer(self._times, np.int64)
        order = np.argsort(times, kind="stable")
        if since is not None:
            order = order[np.searchsorted(times[order], since) :]
        for index in order.tolist():
            start, end = self._ends[index], self._ends[index + 1]
            value = os.pread(self._file.fileno(), end - start, start)
            yield Good(self._lines[index], self._times[index], value)
