"""Run ingest: ``python -m services.ingest``, or ``tenure ingest``."""

from __future__ import annotations

import asyncio
import signal
import sys

from services.ingest.bootstrap import build
from shared import logs
from shared.domain.errors import TenureError
from shared.settings import Settings, load_settings


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    try:
        settings = load_settings()
        logs.configure("ingest", settings.log_level)
        asyncio.run(_serve(settings))
    except TenureError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _serve(settings: Settings) -> None:
    await build(settings).run(_stop_signal())


def _stop_signal() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; a second one ends the process."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def on_signal() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stop


if __name__ == "__main__":
    sys.exit(main())
