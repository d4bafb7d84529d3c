"""The services as processes that somebody starts again whenever they end, and that can be hurt."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from shared.adapters.embedded_kafka import WATCHED, free_port


class Service:
    """One process; it is started again when it ends, until `stop`.

    Attributes
    ----------
    exits
        Exit codes so far; negative for the signal that ended it.

    """

    def __init__(self, kind: str, name: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.exits: list[int] = []
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._command = (sys.executable, "-m", f"services.{kind}")
        self._environment = {**environment, f"TENURE_{kind.upper()}_PORT": str(port)}
        self._log = folder / f"{name}.log"
        self._ending = False
        self._http = httpx.Client(base_url=self.url, timeout=5, trust_env=False)
        self._popen = self._spawn()
        self._keeper = Thread(target=self._keep_running, name=f"keeper of {name}")
        self._keeper.start()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str) -> Any:  # noqa: ANN401  # JSON
        """Return what a page says; None when nobody answers."""
        try:
            answer = self._http.get(path)
            return answer.json() if answer.is_success else None
        except (httpx.TransportError, ValueError):
            return None

    def is_ready(self) -> bool:
        return self.get("/readyz") is not None

    def partitions(self) -> dict[int, int]:
        """Return the partitions that a scorer owns, each with its durable offset."""
        status = self.get("/status") or {"partitions": {}}
        return {int(number): one["offset"] for number, one in status["partitions"].items()}

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.send(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self._ending = True
        self.send(signal.SIGTERM)
        return self._join(60)

    def close(self) -> None:
        """End it whatever it does."""
        self._ending = True
        self.send(signal.SIGKILL)
        self.send(signal.SIGCONT)
        self._join(30)
        self._http.close()

    def _join(self, seconds: float) -> int:
        self._keeper.join(seconds)
        assert not self._keeper.is_alive(), f"{self.name} does not end:\n{self.log[-5000:]}"
        return self.exits[-1]

    def _keep_running(self) -> None:
        while True:
            self.exits.append(self._popen.wait())
            assert self._popen.stdin
            self._popen.communicate(b"ended\n")
            if self._ending:
                return
            self._popen = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                ["/bin/sh", "-c", WATCHED, "", *self._command],
                env=self._environment | {"PYTHONPATH": str(Path.cwd())},
                cwd=self._log.parent,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
