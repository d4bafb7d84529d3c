"""What README and docs/clients.md tell a newcomer to do, done; and what has come of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from services.campaigner.bus import KafkaBus
from services.campaigner.messages import trigger_message
from shared.domain.campaign_decisions import Crossing, decide
from shared.domain.campaign_outputs import Decision
from shared.domain.campaigns import UNTOUCHED
from shared.settings import load_settings
from tests.campaign_builders import HOUR, T0, campaign, score
from tests.documents.newcomer import Newcomer
from tests.documents.pages import ROOT, fences
from tests.e2e.running import Running, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(400)]

CLIENTS = ROOT / "deploy" / "examples" / "clients"


def test_your_own_first_event(newcomer: Newcomer, running: Running) -> None:
    _, other_terminal = fences("README.md", "Your own first event", "sh")
    post, show = (step.command for step in other_terminal.steps)
    answer = newcomer.does(post)
    assert re.search(r"^HTTP/1.1 202", answer, re.MULTILINE), answer
    newcomer.sees("customer-1")
    assert "customer-1" in newcomer.does(show)


def test_your_own_settings_are_healthy(newcomer: Newcomer, running: Running) -> None:
    doctor = fences("README.md", "Your own settings", "sh")[0].steps[-1].command
    found = newcomer.does(doctor, TENURE_KAFKA_BOOTSTRAP_SERVERS=newcomer.kafka)
    assert "failed" not in found
    assert "every topic may be read and written" in found


def test_your_own_campaign_runs(newcomer: Newcomer, running: Running) -> None:
    listed = newcomer.does(".venv/bin/tenure campaigns list")
    assert "early-warning" in listed
    assert "live" in listed
    _, other_terminal = fences("README.md", "Your own campaign", "sh")
    post, why = (step.command for step in other_terminal.steps)
    newcomer.does(post)
    newcomer.sees("customer-2")
    fired = {"welcome", "fired"}
    until(lambda: fired <= set(newcomer.does(why).split()), 60, lambda: newcomer.does(why))


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
    newcomer.sees(customer)
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
            # Those before were welcomed.
            contacted = _contacted(path)
            assert (contacted["anna"], contacted["berta"]) == (1, 1)
            assert "late" not in contacted
        finally:
            client.kill()
            client.wait()


def decision(customer: str, expires_at: int) -> Decision:
    crossing = Crossing(campaign(), score(customer, 0.7), UNTOUCHED, 0.5, T0, "salt")
    return msgspec.structs.replace(decide(crossing), expires_at=expires_at)


def _contacted(path: Path) -> dict[str, int]:
    names = re.findall(r"^contact (\S+) by", path.read_text(), re.MULTILINE)
    return {name: names.count(name) for name in names}
