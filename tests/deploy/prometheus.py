"""A real Prometheus with the deployment's rules, reading processes on this machine."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from shared.adapters.embedded_kafka import WATCHED, free_port
from tests.deploy.processes import end, until
from tests.deploy.tools import DEPLOY, program
from tests.http import http

FOLDER = DEPLOY / "prometheus"


class Prometheus:
    """Runs the deployment's configuration, but looks every second, and where it is told.

    Parameters
    ----------
    folder
        Where its data goes.
    ports
        Of the processes of each job.

    """

    def __init__(self, folder: Path, ports: Mapping[str, Sequence[int]]) -> None:
        self._folder = folder
        self._ports = ports
        self._address = f"127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        config = self._folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(self._configuration()))
        command = [program("prometheus"), f"--config.file={config}"]
        command += [f"--storage.tsdb.path={self._folder}", f"--web.listen-address={self._address}"]
        with (self._folder / "log").open("wb") as log:
            self._popen = subprocess.Popen(
                ["/bin/sh", "-c", WATCHED, "", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._is_ready, 60, "Prometheus ready")
        return self

    def __exit__(self, *_: object) -> None:
        end(self._popen)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the samples of an expression now that are numbers."""
        answer = self._get("query", query=expr)
        return [one for one in answer["result"] if not math.isnan(float(one["value"][1]))]

    def await_value(self, expr: str, seconds: float = 90) -> None:
        """Wait until an expression returns a number."""
        until(lambda: self.query(expr), seconds, f"a value of {expr}")

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _configuration(self) -> dict[str, Any]:
        config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        config["global"] |= dict.fromkeys(config["global"], "1s")
        config["rule_files"] = [str(FOLDER / pattern) for pattern in config["rule_files"]]
        del config["alerting"]
        jobs = {each["job_name"]: each for each in config["scrape_configs"]}
        assert set(self._ports) <= set(jobs)
        config["scrape_configs"] = [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{p}" for p in ports]}]}
            for job, ports in {**self._ports, "prometheus": [self._address.split(":")[1]]}.items()
        ]
        return config

    def _is_ready(self) -> bool:
        assert self._popen.poll() is None, (self._folder / "log").read_text()
        try:
            return http.get(f"http://{self._address}/-/ready").is_success
        except httpx.TransportError:
            return False

    def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        answer = http.get(f"http://{self._address}/api/v1/{what}", params=parameters, timeout=10)
        assert answer.is_success, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data
