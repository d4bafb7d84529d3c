"""Broker, topics and services of one machine, started in order and stopped in order."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from services.standalone.child import Command
from services.standalone.supervisor import CrashedError, Supervisor
from shared.adapters.embedded_kafka import EmbeddedKafka, free_port
from shared.adapters.kafka_admin import topic_admin
from shared.settings import Settings, load_settings

#: In the order in which they stop: who takes events in goes first.
SERVICES = ("ingest", "scorer", "campaigner")
_READY_WITHIN_S = 90.0
_MOST_STARTS = 3
_BROKER_CHECK_S = 1.0
#: The embedded broker listens on loopback only, and asks nobody for a password.
_PLAIN: Mapping[str, object] = {
    name: field.default
    for name, field in Settings.model_fields.items()
    if name.startswith(("kafka_security_", "kafka_sasl_", "kafka_ssl_"))
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where a stack lives.

    Attributes
    ----------
    settings
        Ports, database and all else.
    directory
        Files of broker, services and database; ``None`` for one that goes with the stack.
    broker_port
        Port of the embedded broker, ``None`` for a free one.
    own_broker
        Whether to start a broker, or to use the one that the settings name.
    files
        Written into the directory before the services start in it: name to text.
    logs
        Where logs are copied when something went wrong, since the directory may be gone then.

    """

    settings: Settings
    directory: Path | None = None
    broker_port: int | None = None
    own_broker: bool = True
    files: Mapping[str, str] = field(default_factory=dict)
    logs: Path | None = None


def throwaway(
    *, files: Mapping[str, str] | None = None, logs: Path | None = None, **settings: object
) -> Place:
    """Return a place on free ports of this machine, which leaves nothing else behind.

    The environment's settings stay out of it, so that it is the same wherever it runs.
    """
    ports = {f"{name}_port": free_port() for name in SERVICES}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    chosen = load_settings(**(defaults | ports | settings))
    return Place(chosen, files=files or {}, logs=logs)


class Stack:
    """A running Tenure. Use it as an asynchronous context manager.

    Parameters
    ----------
    place
        Where.
    say
        Called with a line for people as things start, end and start again.

    """

    def __init__(self, place: Place, say: Say = lambda _: None) -> None:
        self.settings = place.settings
        self.services: dict[str, Supervisor] = {}
        self._place = place
        self._say = say
        self._directory = place.directory or Path()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Return when every service is ready.

        Raises
        ------
        EmbeddedKafkaError, TopicsError, CrashedError
            Something did not start; nothing is left running.

        """
        try:
            await self._start()
        except BaseException as error:
            await self.__aexit__(error)
            raise
        return self

    async def __aexit__(self, *errors: object) -> None:
        """Stop everything, the broker last."""
        if self._place.logs and isinstance(errors[0], Exception | type):
            self._keep_logs(self._place.logs)
        await self._open.aclose()

    def url(self, service: str) -> str:
        """Return the address of a service."""
        host = getattr(self.settings, f"{service}_host")
        return f"http://{host}:{getattr(self.settings, f'{service}_port')}"

    def _keep_logs(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for service in self.services.values():
            shutil.copy(service.command.log, folder)

    async def _start(self) -> None:
        if self._place.own_broker:
            await self._start_broker()
        await asyncio.to_thread(self._make_topics)
        if self._place.directory is None:
            self._make_directory()
        for name, text in self._place.files.items():
            (self._directory / name).write_text(text, encoding="utf-8")
        self._say("Starting " + ", ".join(SERVICES))
        self._open.push_async_callback(self._stop_services)
        for name in SERVICES:
            self.services[name] = Supervisor(self._command(name), say=self._say)
            await self.services[name].start()
        await asyncio.gather(*(self._ready(name) for name in SERVICES))

    async def _start_broker(self) -> None:
        place = self._place
        directory = place.directory / "kafka" if place.directory else None
        broker = EmbeddedKafka(directory, port=place.broker_port, progress=self._say)
        self._open.push_async_callback(asyncio.to_thread, broker.close)
        await asyncio.to_thread(broker.start)
        self._update(kafka_bootstrap_servers=broker.bootstrap_servers, **_PLAIN)
        keeper = asyncio.create_task(self._keep(broker))
        self._open.callback(keeper.cancel)

    async def _keep(self, broker: EmbeddedKafka) -> None:
        """Start the broker again when it is gone; its data and its port are the same."""
        while True:
            await asyncio.sleep(_BROKER_CHECK_S)
            if not await asyncio.to_thread(_listens, broker.port):
                self._say("Kafka is gone")
                await asyncio.to_thread(broker.restart)

    def _make_directory(self) -> None:
        """Make one that is removed by us, or by the services' watchdogs if we are killed."""
        self._directory = Path(tempfile.mkdtemp(prefix="tenure-"))
        self._open.callback(shutil.rmtree, self._directory, ignore_errors=True)
        database = f"sqlite:///{self._directory / 'tenure.db'}"
        self._update(database_url=database, data_dir=self._directory)

    def _update(self, **settings: object) -> None:
        self.settings = self.settings.model_copy(update=settings)

    def _make_topics(self) -> None:
        with topic_admin(self.settings) as admin:
            for difference in admin.ensure().differences:
                self._say(f"{difference.topic}: {difference.what}. {difference.remedy}")

    async def _stop_services(self) -> None:
        for name in SERVICES:
            if name in self.services:
                await self.services[name].stop()

    def _command(self, name: str) -> Command:
        return Command(
            name,
            # -P: the directory is no place to import from.
            (sys.executable, "-P", "-m", f"services.{name}"),
            self._environment(),
            self._directory,
            self._place.directory is None,
        )

    def _environment(self) -> Mapping[str, str]:
        """Return the environment without its settings, and with ours."""
        other = {name: each for name, each in os.environ.items() if not name.startswith("TENURE_")}
        return {**other, **environment(self.settings)}

    async def _ready(self, name: str) -> None:
        """Wait until a service says that it is ready."""
        deadline = time.monotonic() + _READY_WITHIN_S
        service = self.services[name]
        async with httpx.AsyncClient(base_url=self.url(name), trust_env=False) as http:
            while not await _is_ready(http):
                if service.starts > _MOST_STARTS or time.monotonic() > deadline:
                    raise CrashedError(f"{name} does not start:\n{service.log_tail()}")
                await asyncio.sleep(0.1)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True  # slow or paused is not gone
    return True


async def _is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).is_success
    except httpx.TransportError:
        return False


def urls(stack: Stack) -> str:
    """Return the addresses of the services in a line."""
    console = f"console {stack.url('campaigner')}/console"
    return ", ".join([console, *(f"{name} {stack.url(name)}" for name in SERVICES)])


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables that give another process the same settings."""
    variables: dict[str, str] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        secret = getattr(value, "get_secret_value", None)
        if value is not None:
            variables[f"TENURE_{name}".upper()] = str(secret() if secret else value)
    return variables
