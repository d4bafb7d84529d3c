"""A `tenure` command as a person runs it, and what is left of it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Running:
    """A `tenure` command in a process of its own; what it starts is known by its TMPDIR."""

    def __init__(
        self, folder: Path, *arguments: str, output: str = "output", **environment: str
    ) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self._output = (folder / output).open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from services.cli import main; main()", *arguments],
            cwd=folder,
            env=os.environ | {"TMPDIR": str(self.temporary)} | environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def output(self) -> str:
        self._output.flush()
        return Path(self._output.name).read_text()

    def says(self, text: str) -> None:
        """Return when it has said so."""
        until(lambda: text in self.output() or self.process.poll() is not None, 200)
        assert text in self.output(), self.output()

    def pids(self, name: str = "") -> list[int]:
        """Return what it started and is still there."""
        mark = f"TMPDIR={self.temporary}".encode()
        return [pid for pid in processes() if mark in environ(pid) and name in cmdline(pid)]

    def left(self) -> list[str]:
        """Return what is left of it: processes and files, but for the lock of the jars' cache."""
        # os.walk does not mind what is removed while it walks.
        files = [name for _, _, names in os.walk(self.temporary) for name in names]
        folders = [name for _, names, _ in os.walk(self.temporary) for name in names]
        kept = [name for name in files if not name.endswith(".lock")]
        return [cmdline(pid) for pid in self.pids()] + folders + kept

    def leaves_nothing(self) -> None:
        until(lambda: not self.left(), 60, self.left)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._output.close()


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
