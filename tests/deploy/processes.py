"""The services of docker-compose.yml as plain processes: its commands, its environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from shared.adapters.embedded_kafka import WATCHED, free_port
from tests.deploy.compose import ComposeFile, Service
from tests.deploy.tools import to_the_end
from tests.http import http

KINDS = ("ingest", "scorer", "campaigner")
EVERYWHERE = "0.0.0.0"  # noqa: S104  # where containers listen; processes here do not


def until(condition: Callable[[], object], seconds: float, why: str) -> None:
    """Return as soon as the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {why}"
        time.sleep(0.1)


@dataclass
class Elsewhere:
    """Where things are on this machine that have other names among containers.

    Attributes
    ----------
    names
        What stands in the file, and what stands here for it.
    more
        Variables that the file needs no more than its defaults of.

    """

    names: dict[str, str]
    more: dict[str, str]

    def command(self, service: Service) -> list[str]:
        """Return what to run: the image's entry point is `tenure`, unless the file has another."""
        tenure = str(Path(sys.executable).with_name("tenure"))
        words = [*([] if "entrypoint" in service.own else [tenure]), *service.command]
        return [sys.executable if word == "python" else self.here(service, word) for word in words]

    def environment(self, service: Service) -> dict[str, str]:
        """Return the service's variables alone, and those that no program runs without."""
        ours = {name: self.here(service, value) for name, value in service.environment.items()}
        return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **self.more, **ours}

    def here(self, service: Service, text: str) -> str:
        """Return a text with the names of this machine."""
        names = self.names | {mount.target: str(mount.source) for mount in service.mounts}
        for there, here in names.items():
            text = text.replace(there, here)
        return text


@dataclass
class Process:
    """A running service."""

    service: Service
    popen: subprocess.Popen[bytes]
    folder: Path
    port: int

    @property
    def log(self) -> str:
        return (self.folder.parent / f"{self.service.name}.log").read_text()

    def get(self, path: str, key: str | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return http.get(f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=10)

    def is_ready(self) -> bool:
        assert self.popen.poll() is None, self.log
        try:
            return self.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """Stop it as `docker compose stop` does; return its exit code."""
        self.popen.send_signal(signal.SIGTERM)
        code = self.popen.wait(30)
        self.popen.communicate(b"ended\n")
        return code


@dataclass
class Deployment:
    """The file's services on this machine.

    Parameters
    ----------
    file
        With its variables filled in.
    folder
        Each process gets an empty folder in it.
    broker, database
        Stand for the containers ``kafka`` and ``postgres``.
    prefix
        Of topics.

    """

    file: ComposeFile
    folder: Path
    broker: str
    database: str
    prefix: str
    running: dict[str, Process] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def run(self, name: str, *arguments: str) -> str:
        """Run a service that ends by itself; return what it wrote."""
        service, place = self.file.service(name), self._elsewhere({})
        command = [*place.command(service), *arguments]
        return to_the_end(command, self._empty_folder(name), place.environment(service))

    def start(self, name: str) -> Process:
        """Start a service that goes on."""
        service, kind = self.file.service(name), name.rstrip("-23")
        port = free_port()
        place = self._elsewhere({kind: port} if kind in KINDS else {})
        folder = self._empty_folder(name)
        with (folder.parent / f"{name}.log").open("wb") as log:
            popen = subprocess.Popen(
                ["/bin/sh", "-c", WATCHED, "", *place.command(service)],
                env=place.environment(service),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        process = self.running[name] = Process(service, popen, folder, port)
        self._open.callback(end, popen)
        return process

    def is_healthy(self, name: str) -> bool:
        """Run the health check of the file's."""
        process = self.running[name]
        place = self._elsewhere({name.rstrip("-23"): process.port})
        command = [place.here(process.service, word) for word in process.service.health]
        assert command[0] == "python"
        done = subprocess.run([sys.executable, *command[1:]], check=False, capture_output=True)
        return done.returncode == 0

    def await_healthy(self, *names: str) -> None:
        for name in names:
            # Asked first: the file's check is a process, which takes CPU that the service wants.
            until(self.running[name].is_ready, 150, f"{name} ready")
            until(lambda name=name: self.is_healthy(name), 150, f"{name} healthy")

    def _elsewhere(self, ports: Mapping[str, int]) -> Elsewhere:
        running = {name.rstrip("-23"): each.port for name, each in self.running.items()} | ports
        known = {kind: port for kind, port in running.items() if kind in KINDS}
        names = {"kafka:9092": self.broker, EVERYWHERE: "127.0.0.1"}
        more = {"TENURE_TOPIC_PREFIX": self.prefix}
        for kind, port in known.items():
            (there,) = {p.target for p in self.file.service(kind).ports}
            names |= {f"{host}:{there}": f"127.0.0.1:{port}" for host in (kind, "127.0.0.1")}
        for kind, port in ports.items():
            more[f"TENURE_{kind.upper()}_PORT"] = str(port)
        url = self.file.service("campaigner").environment["TENURE_DATABASE_URL"]
        return Elsewhere(names | {url: self.database}, more)

    def _empty_folder(self, name: str) -> Path:
        folder = self.folder / "run" / name
        folder.mkdir(parents=True)
        return folder


def end(popen: subprocess.Popen[bytes]) -> None:
    if popen.poll() is None:
        popen.kill()
        popen.wait()
    if popen.stdin and not popen.stdin.closed:
        popen.communicate(b"ended\n")
