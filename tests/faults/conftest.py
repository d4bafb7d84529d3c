"""One deployment that went through every fault; each test then looks for one promise in it."""

import secrets
from collections.abc import Iterator

import pytest

from services.scorer.ports import Restored
from shared.adapters.embedded_kafka import EmbeddedKafka
from tests.faults.expected import folded, restored
from tests.faults.scenario import Aftermath, aftermath
from tests.support.oracle import Expected

#: Events, and how often each scorer is killed.
SHORT, LONG = (3_000, 3), (20_000, 6)


@pytest.fixture(scope="package")
def after(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Aftermath]:
    events, rounds = LONG if request.config.getoption("--long-faults") else SHORT
    seed = secrets.randbelow(1_000_000)
    folder = tmp_path_factory.mktemp("faults")
    prefix = f"faults-{secrets.token_hex(4)}-"
    with aftermath(kafka, prefix, folder, events=events, rounds=rounds, seed=seed) as found:
        print(f"seed {seed}: {found.faults} in {found.seconds:.0f} s")  # noqa: T201  # when it fails
        yield found


@pytest.fixture(scope="package")
def states(after: Aftermath) -> list[Restored]:
    """Return each partition's state as it is in the changelog."""
    return restored(after.cluster)


@pytest.fixture(scope="package")
def expected(after: Aftermath, states: list[Restored]) -> list[Expected]:
    """Return the fold of each partition's log, up to where its state stands."""
    return folded(after.cluster, [one.position.offset for one in states])
