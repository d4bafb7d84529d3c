"""Run a coroutine from a command: SIGTERM ends it as Control-C does, with everything tidied up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Return what ``main`` returns.

    Raises
    ------
    KeyboardInterrupt
        It was asked to end, and has.

    """
    try:
        return asyncio.run(_until_asked(main))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _until_asked(main: Coroutine[Any, Any, _T]) -> _T:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine that runs has one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await main
