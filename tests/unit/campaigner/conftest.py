"""What the tests of the campaigner share."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from shared.adapters.sql.engine import open_database
from tests.campaign_builders import campaign
from tests.unit.campaigner.world import World, emptied


@pytest.fixture(scope="module")
def memory() -> Iterator[Engine]:
    """A database in memory for all tests of a file; each empties it first."""
    engine = open_database("sqlite://")
    yield engine
    engine.dispose()


@pytest.fixture
def world(memory: Engine) -> World:
    """A partition with one campaign, of which nothing is known yet."""
    return World(emptied(memory), [campaign()])
