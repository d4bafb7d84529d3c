"""A newcomer at a shell: what the documents need to be there is there, on ports of their own."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from services.cli import main
from shared.adapters.embedded_kafka import free_port
from shared.adapters.kafka_distribution import ARTIFACTS, KAFKA_VERSION, java_and_class_path
from tests.documents.pages import ROOT, blocks
from tests.e2e.running import until
from tests.http import http

SERVICES: Final = {"ingest": 8001, "scorer": 8002, "campaigner": 8003}
#: A benchmark takes half a minute where nothing else runs.
_PATIENCE_S: Final = 300
#: What Kafka's own scripts run; the scripts themselves come with its archive, not with its jars.
_KAFKA_SCRIPTS: Final = {
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-log-dirs.sh": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
}
_KAFKA_TOOLS: Final = f"{ARTIFACTS}+org.apache.kafka:kafka-tools:{KAFKA_VERSION}"


class Newcomer:
    """A shell in an empty folder, with `tenure` where the README has it and ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in SERVICES}
        self.broker = free_port()
        self._programs = folder / ".venv" / "bin"
        self._programs.mkdir(parents=True)
        self.installs("tenure", f"#!{sys.executable}\nfrom services.cli import main\nmain()\n")
        self.installs("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TENURE_")
        } | {f"TENURE_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        self.environment |= {"PATH": f"{self._programs}:{os.environ['PATH']}", "COLUMNS": "200"}
        self.names = {"KAFKA": self.kafka}
        self.environment["TENURE_URL"] = f"http://127.0.0.1:{self.ports['ingest']}"

    @property
    def kafka(self) -> str:
        return f"127.0.0.1:{self.broker}"

    def installs(self, program: str, text: str) -> None:
        """Put a program on the path."""
        path = self._programs / program
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def installs_kafkas_scripts(self) -> None:
        java, jars = java_and_class_path(print, _KAFKA_TOOLS)
        for script, entry in _KAFKA_SCRIPTS.items():
            self.installs(script, f'#!/bin/sh\nexec {java} -cp "{jars}" {entry} "$@"\n')

    def installs_kubectl(self) -> None:
        """Let there be a `kubectl` without a cluster: it wants the files that it is given."""
        self.installs(
            "kubectl",
            "#!/bin/sh\nfor word; do case $word in --from-file=*)"
            ' test -s "${word#*=}" || { echo "no file: $word"; exit 1; };; esac; done\n',
        )

    def has_files(self) -> None:
        """Lay out what the documents take for granted: a history, an event, certificates."""
        (self.folder / "changed.yaml").write_bytes((self.folder / "campaigns.yaml").read_bytes())
        (self.folder / "ca.crt").write_text("a certificate")
        (plans,) = (each for each in blocks() if each.heading == "Tariffs")
        (self.folder / "plans.yaml").write_text(plans.text, encoding="utf-8")
        (self.folder / "orders.csv").write_text(orders(), encoding="utf-8")
        now = datetime.now(UTC).isoformat()
        (self.folder / "event.json").write_text(
            '{"specversion": "1.0", "type": "tenure.purchase", "source": "//billing.example/eu",'
            f'"id": "inv-2", "subject": "customer-3", "time": "{now}", "data": {{"amount": 20}}}}'
        )

    def posts(self, customer: str) -> None:
        """Post a purchase, and return when it is in the read model."""
        self.does(f"sh {ROOT}/deploy/examples/clients/post_event.sh {customer} 25")
        self.sees(customer)

    def sees(self, customer: str) -> None:
        """Return when a customer is in the read model."""
        url = f"http://127.0.0.1:{self.ports['campaigner']}/v1/customers/{customer}"
        until(lambda: http.get(url).is_success, 60)

    def letters(self) -> list[str]:
        """Return the numbers of the dead letters."""
        found = json.loads(self.does("tenure dead-letter list --json"))
        return [str(each["number"]) for each in found]

    def calls(self, command: str, code: int = 0) -> None:
        """Run one command of `tenure` in a process that has imported it: a second faster."""
        output = self.folder / "printed"
        arguments = (shlex.split(command), self.folder, self.environment, output)
        process = _READY.Process(target=_run, args=arguments)
        process.start()
        process.join(_PATIENCE_S)
        assert process.exitcode == code, output.read_text()

    def does(self, commands: str, code: int = 0, **environment: str) -> str:
        """Run commands of a document; return what they print."""
        ports = {str(port): str(self.ports[name]) for name, port in SERVICES.items()}
        # All at once: a port that is put in may look like one that is to be replaced.
        here = re.sub("|".join(ports), lambda found: ports[found[0]], commands)
        done = subprocess.run(
            ["sh", "-ec", here],
            cwd=self.folder,
            env=self.environment | environment,
            input="y\n",  # to whatever asks
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        assert done.returncode == code, done.stdout
        return done.stdout


#: Starts processes from one that has no threads, and has imported what takes long.
_READY: Final = multiprocessing.get_context("forkserver")
_READY.set_forkserver_preload(["services.cli", "services.doctor.service", "services.scorer.follow"])


def _run(words: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdin = io.StringIO("y\n")  # to whatever asks
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    main()


def orders() -> str:
    """Return half a year of a shop's orders, as CSV."""
    rng = random.Random(3)
    first = datetime(2011, 3, 1, tzinfo=UTC)
    lines = ["customer_id,ts,amount"]
    for customer in range(40):
        at, gap = first + timedelta(days=rng.randrange(60)), rng.randrange(5, 60)
        while at < datetime(2011, 10, 1, tzinfo=UTC) and rng.random() < 0.97:
            lines.append(f"c-{customer},{at:%Y-%m-%dT%H:%M:%SZ},{rng.randrange(5, 90)}")
            at += timedelta(days=rng.expovariate(1 / gap), minutes=rng.randrange(600))
    return "\n".join(lines) + "\n"
