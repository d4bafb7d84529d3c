"""Run a scorer: ``python -m services.scorer``."""

from __future__ import annotations

import asyncio

from services.scorer.bootstrap import run
from shared import logs
from shared.settings import load_settings


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load_settings()
    logs.configure("scorer", settings.log_level)
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
