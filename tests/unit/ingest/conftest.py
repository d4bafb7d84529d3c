"""What the tests of ingest share."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.ingest.running import Bench, running


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with running() as made:
        yield made
