"""Run a campaigner: ``python -m services.campaigner``, or ``tenure campaigner``."""

from __future__ import annotations

import asyncio
import sys

from services.campaigner.bootstrap import build
from services.campaigner.console.http import add_console
from shared import logs
from shared.adapters.signals import stop_signal
from shared.domain.errors import TenureError
from shared.settings import Settings, load_settings


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    try:
        settings = load_settings()
        logs.configure("campaigner", settings.log_level)
        asyncio.run(_serve(settings))
    except TenureError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _serve(settings: Settings) -> None:
    await build(settings, console=add_console).run(stop_signal())


if __name__ == "__main__":
    sys.exit(main())
