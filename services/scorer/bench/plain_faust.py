"""The idiom of Faust's own documentation: one record an event, one table write an event.

``python -m services.scorer.bench.plain_faust BROKER TOPIC TABLE EVENTS PARTITIONS`` prints the
seconds of wall and of CPU between its first and its last event.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import faust


def main() -> None:
    """Count purchases per customer until all events were seen, then say how long it took."""
    broker, topic, table, events, partitions = sys.argv[1:]
    app = faust.App(
        table,
        broker=f"kafka://{broker}",
        value_serializer="json",
        key_serializer="raw",
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        web_enabled=False,
    )
    counts: Any = app.Table("counts", default=int, partitions=int(partitions))
    stopwatch = _Stopwatch(int(events))

    @app.agent(app.topic(topic))
    async def count(stream: Any) -> None:  # noqa: ANN401  # Faust's stream is generic in nothing
        async for event in stream:
            counts[event["subject"]] += 1
            stopwatch.event()

    sys.argv[1:] = ["worker", "-l", "error"]
    app.main()


class _Stopwatch:
    """Prints the time between the first and the last of so many events, and ends the process."""

    def __init__(self, events: int) -> None:
        self._left = events
        self._started: tuple[float, float] | None = None

    def event(self) -> None:
        if self._started is None:
            self._started = (time.monotonic(), time.process_time())
        self._left -= 1
        if self._left == 0:
            wall, cpu = self._started
            # Faust turns print into a log line, so write past it.
            line = f"{time.monotonic() - wall} {time.process_time() - cpu}\n"
            os.write(1, line.encode())
            os._exit(0)


if __name__ == "__main__":
    main()
