"""What customers take up next: when it is learned, and that a restart says the same."""

from services.campaigner.products import NextProducts
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.domain.dealings import Dealings
from shared.domain.outputs import Clock
from tests.campaign_builders import DAY, T0, score
from tests.unit.campaigner.world import World

#: A midnight in UTC is ahead.
TODAY = T0 // DAY * DAY + DAY // 2
PHONE = Dealings(products={"phone": TODAY - 9 * DAY})
BOTH = Dealings(products={"phone": TODAY - 9 * DAY, "cover": TODAY - 2 * DAY})


def products(world: World) -> NextProducts:
    queries = CampaignQueries(world.engine)
    return NextProducts(queries.products, queries.now, lambda: 0.0)


def come(world: World, count: int, dealings: Dealings, at: int = TODAY) -> None:
    first = len(world.log)
    world.append(
        *(score(f"c{first + n}", 0.1, first + n, at=at, dealings=dealings) for n in range(count)),
        Clock(0, at),
    )
    world.process()


def test_it_is_learned_once_a_day_and_when_holders_have_doubled(world: World) -> None:
    found = products(world)
    assert not found.look()  # nobody holds anything
    come(world, 4, PHONE)
    assert found.look()
    assert found.learned_at == TODAY
    assert not found.look()
    come(world, 3, BOTH, TODAY + 1)
    assert not found.look()
    come(world, 1, BOTH, TODAY + 2)
    assert found.look()
    come(world, 0, BOTH, TODAY + DAY)
    assert found.look()
    assert not found.look()


def test_it_rests_as_long_as_a_twentieth_of_a_core_allows(world: World) -> None:
    queries, seconds = CampaignQueries(world.engine), iter([0.0, 2.0, 41.0, 43.0, 44.0])
    found = NextProducts(queries.products, queries.now, lambda: next(seconds))
    come(world, 4, PHONE)
    assert found.look()  # took two seconds
    come(world, 9, BOTH, TODAY + DAY)
    assert not found.look()
    assert found.look()


def test_a_restart_says_the_same_and_nothing_that_is_held(world: World) -> None:
    come(world, 5, PHONE)
    come(world, 5, BOTH)
    before, after = products(world), products(world)
    assert before.of("c0", PHONE, 5) == ({"phone": TODAY - 9 * DAY}, [])  # not learned yet
    before.look()
    after.look()
    assert before.of("c0", PHONE, 5) == after.of("c0", PHONE, 5)
    _, following = before.of("c0", PHONE, 5)
    assert [each.product for each in following] == ["cover"]
    assert following[0].lift >= 1
    held, following = before.of("c6", BOTH, 5)
    assert (set(held), following) == ({"phone", "cover"}, [])
    _, following = before.of("unknown", Dealings(), 1)
    assert len(following) == 1
