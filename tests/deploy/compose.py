"""docker-compose.yml as a program may read it: variables filled in, paths absolute."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.tools import ROOT

PATH = ROOT / "docker-compose.yml"
OWN_KAFKA = ROOT / "deploy" / "compose" / "own-kafka.yml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::(?:-([^}]*)|\?([^}]*)))?\}")


class VariableError(Exception):
    """A variable is not set without which Compose does nothing."""


@dataclass(frozen=True)
class Mount:
    """A file or folder of the repository in a container."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class Published:
    """A port of a container on an address of the machine."""

    address: str
    port: int
    target: int


@dataclass(frozen=True)
class Service:
    """One service, with its own part of the file."""

    name: str
    own: dict[str, Any]

    @property
    def image(self) -> str:
        return self.own["image"]

    @property
    def environment(self) -> dict[str, str]:
        return self.own.get("environment", {})

    @property
    def is_tenure(self) -> bool:
        return "build" in self.own

    @property
    def command(self) -> list[str]:
        return [*self.own.get("entrypoint", []), *self.own.get("command", [])]

    @property
    def ports(self) -> list[Published]:
        parts = [port.rsplit(":", 2) for port in self.own.get("ports", [])]
        return [Published(address, int(port), int(target)) for address, port, target in parts]

    @property
    def health(self) -> list[str]:
        kind, *command = self.own["healthcheck"]["test"]
        assert kind == "CMD"
        return command

    @property
    def mounts(self) -> list[Mount]:
        return [mount for mount in self._volumes() if isinstance(mount, Mount)]

    @property
    def volumes(self) -> list[str]:
        return [volume for volume in self._volumes() if isinstance(volume, str)]

    def _volumes(self) -> Iterator[Mount | str]:
        for volume in self.own.get("volumes", []):
            source, target, *mode = volume.split(":")
            if source.startswith((".", "/")):
                yield Mount((ROOT / source).resolve(), target, mode == ["ro"])
            else:
                yield source


@dataclass(frozen=True)
class ComposeFile:
    """The file as a whole, and what others put over it."""

    document: dict[str, Any]

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, *over: Path) -> ComposeFile:
        documents = [yaml.safe_load(path.read_text()) for path in (PATH, *over)]
        return cls(_filled(reduce(_merged, documents), environment or {}))

    @property
    def services(self) -> list[Service]:
        return [Service(name, own) for name, own in self.document["services"].items()]

    @property
    def started(self) -> set[str]:
        """What `docker compose up` starts without a profile."""
        return {each.name for each in self.services if not each.own.get("profiles")}

    def service(self, name: str) -> Service:
        return Service(name, self.document["services"][name])


def variables() -> dict[str, str | None]:
    """Return the variables that the file takes, with their defaults."""
    lines = [line for line in PATH.read_text().splitlines() if not line.startswith("#")]
    return {found[1]: found[2] for found in _VARIABLE.finditer("\n".join(lines))}


def _merged(document: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return a document with another put over it, as Compose does it with mappings."""
    both = document.keys() & over.keys()
    maps = {key: _merged(document[key], over[key]) for key in both if isinstance(over[key], dict)}
    return document | over | maps


def _filled(value: Any, environment: Mapping[str, str]) -> Any:  # noqa: ANN401  # YAML is any
    if isinstance(value, dict):
        filled = {key: _filled(each, environment) for key, each in value.items()}
        # A variable without a value is passed on where it is set, and left out where it is not.
        for name in [key for key, each in value.items() if each is None and key.isupper()]:
            filled |= {name: environment[name]} if environment.get(name) else {}
            if filled[name] is None:
                del filled[name]
        return filled
    if isinstance(value, list):
        return [_filled(each, environment) for each in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _value(found, environment), value)
    return value


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name, default, missing = found.groups()
    if (value := environment.get(name)) or missing is None:
        return value or default or ""
    raise VariableError(f"{name}: {missing}")
