"""What every test may ask for: a broker, and a name of its own on it; and where each is run."""

import os
import secrets
from collections.abc import Generator, Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from shared.adapters.embedded_kafka import EmbeddedKafka

pytest_plugins = ["tests.database_fixtures"]

# Brokers of tests live too short for the optimising compiler to pay off: 1.5 s of CPU a start.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer what takes too long for every day."""
    parser.addoption(
        "--long-faults", action="store_true", help="more events and more faults in tests/faults"
    )


class ByFolder(LoadScopeScheduling):
    """Gives all tests of a folder to one process, in order: what they share is started once."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0].rpartition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder:
    return ByFolder(config, log)


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """One real broker for all tests of a process; name what you put on it after `prefix`."""
    with EmbeddedKafka() as broker:
        yield broker


@pytest.fixture
def prefix() -> str:
    """A start for names of topics, groups and transactions that no other test has."""
    return f"test-{secrets.token_hex(4)}-"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the broker, so that `-m "not kafka"` leaves it out."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what is skipped in CI: a machine that lacks something would hide a broken test."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report
