"""Keeps a command running: starts it again when it ends, later and later when it keeps ending."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from services.standalone.child import Child, Command
from shared.domain.errors import TenureError

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
#: Who ran this long had started well; the next pause is a short one again.
_WELL_S = 60.0


class CrashedError(TenureError):
    """A service ended before it was ever ready; the message shows the end of its log."""


class Supervisor:
    """One command, running until it is stopped.

    Parameters
    ----------
    command
        What to run.
    say
        Called with a line when it ended and is started again.
    first_pause_s
        Seconds before the first new start; they double with each further one.

    """

    def __init__(
        self,
        command: Command,
        *,
        say: Callable[[str], None] = lambda _: None,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self.command = command
        self.starts = 0
        self._say = say
        self._first_pause_s = first_pause_s
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start the command, and watch over it from now on."""
        child = await self._launch()
        self._task = asyncio.create_task(self._keep_running(child))

    async def stop(self) -> None:
        """End the command, and do not start it again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._child is not None:
            await self._child.stop()
            self._child = None

    def log_tail(self, lines: int = 10) -> str:
        """Return the last lines that the command wrote."""
        if not self.command.log.exists():
            return ""
        return "\n".join(self.command.log.read_text(errors="replace").splitlines()[-lines:])

    async def _launch(self) -> Child:
        self._child = await Child.start(self.command)
        self.starts += 1
        return self._child

    async def _keep_running(self, child: Child) -> None:
        pause = self._first_pause_s
        while True:
            started = time.monotonic()
            code = await child.wait()
            self._child = None
            if time.monotonic() - started > _WELL_S:
                pause = self._first_pause_s
            self._say(f"{self.command.name} ended with {code}; again in {pause:.1f} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            child = await self._launch()
