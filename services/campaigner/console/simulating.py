"""Simulations, each in a process of its own: they compute long, and the campaigner cannot wait.

The process is given the campaign file on its standard input, and says on its standard output how
far it is, a line of JSON at a time; the last one holds what was found, or what is wrong.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from services.campaigner.campaign_file import parse_campaigns
from services.campaigner.simulation import run_simulation
from shared.domain.errors import TenureError
from shared.domain.simulation_report import Simulation
from shared.settings import Settings

#: How much others come first.
_NICE: Final = 10
#: A line holds every contact that differs.
_LONGEST_LINE: Final = 256 * 1024 * 1024


class SimulationError(TenureError):
    """A simulation did not come to its end; the message says why."""


class Wanted(Struct, frozen=True):
    """What to simulate: [since, until), epoch ms, with the campaigns of a file's text."""

    settings: dict[str, str]
    since: int
    until: int
    file: str


class Line(Struct, frozen=True, omit_defaults=True):
    """What the process says: the share that is done, or how it ended."""

    done: float = 0.0
    found: Simulation | None = None
    problem: str | None = None


_line: Final = msgspec.json.Decoder(Line)


async def simulated(
    settings: Settings, file: str, since: int, until: int, progress: Callable[[float], None]
) -> Simulation:
    """Return what campaigns would have done; when it is cancelled, so is the process.

    Raises
    ------
    CampaignFileError, SimulationError
        The text is no campaign file, or the past cannot be read.

    """
    parse_campaigns(file.encode())  # what is wrong with it is said at once
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_LONGEST_LINE,
    )
    try:
        return await _followed(process, Wanted(_variables(settings), since, until, file), progress)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _followed(
    process: asyncio.subprocess.Process, wanted: Wanted, progress: Callable[[float], None]
) -> Simulation:
    assert process.stdin is not None  # noqa: S101  # both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(msgspec.json.encode(wanted))
    process.stdin.close()
    async for text in process.stdout:
        line = _line.decode(text)
        if line.problem is not None:
            raise SimulationError(line.problem)
        if line.found is not None:
            return line.found
        progress(line.done)
    raise SimulationError("The simulation's process ended before its time. Try again.")


def _variables(settings: Settings) -> dict[str, str]:
    """Return the settings as text; by a pipe, since an environment may be read by others."""
    found: dict[str, str] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        secret = getattr(value, "get_secret_value", None)
        if value is not None:
            found[name] = str(secret() if secret else value)
    return found


def main() -> None:
    """Simulate what standard input says."""
    os.nice(_NICE)
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)
    try:
        found = run_simulation(
            Settings(**wanted.settings),  # type: ignore[arg-type]  # pydantic reads them as text
            parse_campaigns(wanted.file.encode()),
            wanted.since,
            wanted.until,
            progress=lambda share: _say(Line(done=share)),
        )
    except TenureError as error:
        _say(Line(problem=str(error)))
    else:
        _say(Line(found=found))


def _say(line: Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
