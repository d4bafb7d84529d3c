"""Children end with their parent however it ends, and start again when they crash."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.standalone.child import Child, Command
from services.standalone.stack import environment, throwaway
from services.standalone.supervisor import Supervisor
from shared.settings import Settings

PARENT = """
import asyncio, os, sys
from pathlib import Path
from services.standalone.child import Child, Command

async def main():
    folder = Path(sys.argv[1])
    command = Command("nap", ("sleep", "1000"), os.environ, folder, temporary=True)
    print((await Child.start(command)).pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def shell(folder: Path, script: str) -> Command:
    return Command("job", ("/bin/sh", "-c", script), os.environ, folder)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


async def until_async(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is awaited is another process
            await asyncio.sleep(0.02)


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
def test_a_child_ends_with_its_directory_when_its_parent_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not alive(pid))
    until(lambda: not folder.exists())


async def test_stopping_asks_first(tmp_path: Path) -> None:
    script = 'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done'
    command = shell(tmp_path, script)
    child = await Child.start(command)
    await until_async(lambda: "up" in command.log.read_text())
    await child.stop()
    assert command.log.read_text().split() == ["up", "bye"]


async def test_what_will_not_stop_is_killed(tmp_path: Path) -> None:
    command = shell(tmp_path, 'trap "" TERM; echo up; while :; do sleep 0.05; done')
    child = await Child.start(command)
    await until_async(lambda: "up" in command.log.read_text())
    await child.stop(grace_s=0.2)
    assert await child.wait() == -signal.SIGKILL


async def test_what_crashes_starts_again_later_and_later(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(
        shell(tmp_path, "echo again; exit 3"), say=said.append, first_pause_s=0.01
    )
    await supervisor.start()
    await until_async(lambda: supervisor.starts >= 5)
    await supervisor.stop()
    assert [line.split("; ")[0] for line in said[:4]] == ["job ended with 3"] * 4
    pauses = [float(line.split()[-2]) for line in said[:4]]
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]
    assert supervisor.log_tail(2) == "again\nagain"


async def test_what_is_killed_starts_again_as_another_process(tmp_path: Path) -> None:
    supervisor = Supervisor(shell(tmp_path, "exec sleep 1000"), first_pause_s=0.01)
    await supervisor.start()
    first = supervisor.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until_async(lambda: supervisor.pid not in (None, first))
    second = supervisor.pid
    await supervisor.stop()
    assert supervisor.pid is None
    assert second is not None
    until(lambda: not alive(second))


async def test_stopped_while_it_waits_it_stays_stopped(tmp_path: Path) -> None:
    supervisor = Supervisor(shell(tmp_path, "exit 1"), first_pause_s=1000)
    await supervisor.start()
    await until_async(lambda: supervisor.pid is None)
    await supervisor.stop()
    assert supervisor.starts == 1


def test_a_throwaway_place_does_not_depend_on_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TENURE_HORIZON_DAYS", "91")
    monkeypatch.setenv("TENURE_TOPIC_PREFIX", "production-")
    settings = throwaway(cadence_days=7).settings
    assert (settings.horizon_days, settings.topic_prefix, settings.cadence_days) == (28, "", 7)
    ports = {settings.ingest_port, settings.scorer_port, settings.campaigner_port}
    assert len(ports) == 3


def test_a_service_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = throwaway(model_key="twelve-letters", horizon_days=91).settings
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
