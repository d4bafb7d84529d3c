"""A child process that ends with its parent, however that ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.adapters.embedded_kafka import WATCHED


@dataclass(frozen=True)
class Command:
    """What to run.

    Attributes
    ----------
    name
        For people, and the name of its log.
    arguments
        The program and its arguments.
    environment
        All of its environment.
    directory
        Where it runs, and where its output goes: ``NAME.log``.
    temporary
        Whether the directory goes too if the parent is killed.

    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    temporary: bool = False

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.directory / f"{self.name}.log"


class Child:
    """A running command.

    A shell beside it holds the other end of a pipe: end of file there means that we are gone, and
    then the child is killed. That works after ``kill -9``, and on every Unix.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Command) -> Child:
        """Start a command; its output is appended to its log."""
        doomed = str(command.directory) if command.temporary else ""
        with command.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                *("-c", WATCHED, doomed, *command.arguments),
                cwd=command.directory,
                env=command.environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                # Control-C in a terminal is for us: we know in which order to stop.
                start_new_session=True,
            )
        return cls(process)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit code once the child has ended."""
        code = await self._process.wait()
        await self._dismiss_watchdog()
        return code

    async def stop(self, grace_s: float = 15.0) -> None:
        """Ask the child to end, and kill it when it has not within ``grace_s`` seconds."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), grace_s)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self.wait()

    async def _dismiss_watchdog(self) -> None:
        """Tell the watchdog that there is nothing to kill: the pid may soon be another's."""
        pipe = self._process.stdin
        if pipe is None or pipe.is_closing():
            return
        with suppress(BrokenPipeError, ConnectionResetError):
            pipe.write(b"ended\n")
            await pipe.drain()
        pipe.close()
