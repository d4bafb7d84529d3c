"""Run ingest: ``python -m services.ingest``, or ``tenure ingest``."""

from __future__ import annotations

import asyncio
import sys

from services.ingest.bootstrap import build
from shared import logs
from shared.adapters.signals import stop_signal
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
    await build(settings).run(stop_signal())


if __name__ == "__main__":
    sys.exit(main())
