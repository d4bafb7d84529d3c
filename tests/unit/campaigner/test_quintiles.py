"""Boundaries of quintiles: by whom and when they are found, and that SQL counts the segments."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Engine

from services.campaigner.quintiles import Quintiles
from shared.adapters.sql.engine import open_database
from shared.adapters.sql.segment_store import SegmentStore
from shared.domain.outputs import Clock
from shared.domain.rfm import LEAST, Boundaries
from tests.campaign_builders import DAY, T0, campaign, score
from tests.unit.campaigner.world import World

#: A midnight in UTC is ahead.
TODAY = T0 // DAY * DAY + DAY // 2


@pytest.fixture
def database() -> Iterator[Engine]:
    engine = open_database("sqlite://")
    yield engine
    engine.dispose()


@dataclass
class Watched:
    """A world of one partition, and who looks after its quintiles."""

    world: World
    told: list[Boundaries] = field(default_factory=list)
    seconds: float = 0.0
    fails: bool = False

    def __post_init__(self) -> None:
        self.quintiles = self.fresh()

    def fresh(self) -> Quintiles:
        """Return one that has nothing in memory."""
        return Quintiles(
            SegmentStore(self.world.engine),
            self.world.campaigner.leases,
            self._tell,
            lambda: self.seconds,
        )

    def _tell(self, found: Boundaries) -> None:
        self.told.append(found)
        if self.fails:
            raise ConnectionError("away")

    def come(self, count: int, at: int = TODAY) -> None:
        """Let customers have their first score, and time pass."""
        first = len(self.world.log)
        self.world.append(
            *(score(f"c{first + n}", 0.1, first + n, at=at, spend=float(n)) for n in range(count)),
            Clock(0, at),
        )
        self.world.process()


@pytest.fixture
def watched(database: Engine) -> Watched:
    return Watched(World(database, [campaign()]))


def test_they_are_found_once_a_day_of_the_base(watched: Watched) -> None:
    watched.come(LEAST)
    assert watched.quintiles.look()
    assert not watched.quintiles.look()
    watched.come(0, TODAY + DAY // 4)
    assert not watched.quintiles.look()
    watched.come(0, TODAY + DAY)
    assert watched.quintiles.look()
    assert [each.version for each in watched.told] == [TODAY, TODAY + DAY]
    assert [each.customers for each in watched.told] == [LEAST, LEAST]


def test_a_base_that_has_doubled_does_not_wait_for_the_day(watched: Watched) -> None:
    watched.come(LEAST - 1)
    assert not watched.quintiles.look()
    watched.come(1)
    assert watched.quintiles.look()
    watched.come(LEAST - 1, TODAY + 1)
    assert not watched.quintiles.look()
    watched.come(1, TODAY + 2)
    assert watched.quintiles.look()


def test_only_the_owner_of_the_first_partition_does_it(database: Engine) -> None:
    other = Watched(World(database, [campaign()], partition=1))
    other.come(LEAST)
    assert not other.quintiles.look()


def test_what_could_not_be_told_is_told_again(watched: Watched) -> None:
    watched.come(LEAST)
    watched.fails = True
    with pytest.raises(ConnectionError):
        watched.quintiles.look()
    watched.fails = False
    assert watched.fresh().look()
    assert not watched.fresh().look()  # it is on record
    assert len(watched.told) == 2


def test_it_takes_a_twentieth_of_the_time(watched: Watched) -> None:
    watched.come(LEAST)
    steps = iter([0.0, 3.0])
    quintiles = Quintiles(
        SegmentStore(watched.world.engine),
        watched.world.campaigner.leases,
        watched.told.append,
        lambda: next(steps, watched.seconds),
    )
    assert quintiles.look()
    watched.come(0, TODAY + DAY)
    watched.seconds = 62.5
    assert not quintiles.look()
    watched.seconds = 63.5
    assert quintiles.look()


def test_sql_counts_the_segments_of_the_last_scores(watched: Watched) -> None:
    watched.world.append(
        score("a", 0.1, 0, segment="new", value_band=1),
        score("b", 0.1, 1, segment="loyal", value_band=5),
        score("a", 0.1, 2, segment="loyal", value_band=5),
        score("c", 0.1, 3),
    )
    watched.world.process()
    assert SegmentStore(watched.world.engine).counts() == {"loyal": 2, "value-5": 2}
