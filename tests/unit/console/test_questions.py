"""What pages are told, on each kind of database."""

import doctest
from collections.abc import Iterator
from types import ModuleType

import httpx
import pytest
from sqlalchemy import Engine

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.console import entry
from services.campaigner.console.parts import Parts
from services.campaigner.console.questions import base, customers, fleet, words
from services.campaigner.products import NextProducts
from shared.adapters.health import Health
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.adapters.sql.console_queries import BANDS, ConsoleQueries
from shared.adapters.sql.control_store import ControlStore
from shared.domain.dealings import Dealings
from shared.domain.outputs import Score
from shared.settings import Settings, load_settings
from tests.campaign_builders import DAY, T0, campaign, score
from tests.unit.campaigner.world import World, emptied


@pytest.mark.parametrize("module", [entry, words])
def test_examples_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).attempted > 0
    assert doctest.testmod(module).failed == 0


def parts(database: Engine, settings: Settings | None = None) -> Parts:
    queries = CampaignQueries(database)
    return Parts(
        settings or load_settings(),
        queries,
        ConsoleQueries(database),
        NextProducts(queries.products, queries.now),
        ControlStore(database, lambda: T0),
        lambda: CampaignBook("abc", (campaign(),)),
        {"mia", "ada"}.__contains__,
        Health(),
        lambda: T0,
    )


@pytest.fixture
def world(database: Engine) -> Iterator[World]:
    return World(emptied(database), [campaign(control=0.5)])


def lived(world: World, *scores: Score) -> None:
    world.append(*scores)
    world.process()
    world.publish()


def test_the_base_is_counted_and_valued(database: Engine, world: World) -> None:
    lived(
        world,
        score("a", 0.02, stage="growth", clv=10.0, revenue=5.0),
        score("b", 0.07, 1, stage="growth", clv=20.0, revenue=6.0),
        score("c", 1.0, 2, stage="decline", clv=1.0, revenue=7.0),
        score("d", 0.99, 3, stage="lapsed", clv=0.5, revenue=8.0),
    )
    found = base.worth(parts(database))
    assert [(each.name, each.customers) for each in found.stages] == [
        ("growth", 2), ("decline", 1), ("lapsed", 1),
    ]  # fmt: skip
    assert (found.customers, found.equity, found.revenue) == (4, 31.5, 26.0)
    risks = base.risks(parts(database))
    assert list(risks) == ["growth", "decline"]  # who has lapsed is not at risk
    assert risks["growth"] == [1, 1] + [0] * (BANDS - 2)
    assert risks["decline"] == [0] * (BANDS - 1) + [1]


def test_each_risk_is_in_the_band_that_it_has_reached(database: Engine, world: World) -> None:
    lived(world, *(score(f"c{n}", n / BANDS, n) for n in range(BANDS + 1)))
    (found,) = base.risks(parts(database)).values()
    assert found == [1] * (BANDS - 1) + [2]


def test_today_is_the_day_that_the_base_is_at(database: Engine, world: World) -> None:
    at = T0 - T0 % DAY
    lived(world, score("a", 0.1, at=at - 1), score("b", 0.1, 1, at=at - 1))
    lived(world, score("a", 0.7, 2, at=at - 1), score("b", 0.7, 3, at=at))
    found = base.today(parts(database))
    assert found.at == at
    assert sum(found.decided.values()) == 1
    assert sum(found.in_all.values()) == 2
    assert [each.customer for each in found.latest] == ["b", "a"]


def test_an_empty_base_is_no_error(database: Engine) -> None:
    assert base.worth(parts(database)).customers == 0
    assert base.risks(parts(database)) == {}
    assert base.today(parts(database)).at is None


def test_customers_are_found_by_how_they_begin(database: Engine, world: World) -> None:
    names = ("anna", "annabel", "ann%", "bela", "Anna")
    lived(world, *(score(each, 0.1, n) for n, each in enumerate(names)))
    own = parts(database)
    assert {each.customer for each in customers.search(own, " anna ")} == {"anna", "annabel"}
    assert [each.customer for each in customers.search(own, "ann%")] == ["ann%"]
    assert customers.search(own, " ") == []


def test_a_customer_is_told_with_decisions_and_outcomes(database: Engine, world: World) -> None:
    lived(world, score("anna", 0.1), score("anna", 0.7, 1))
    assert customers.customer(parts(database), "bela") is None
    found = customers.customer(parts(database), "anna")
    assert found is not None
    (decided,) = customers.entries(found)
    assert (decided.kind, decided.at) == ("decision", found.decisions[0].at)
    assert decided.title in {"early-warning: fired", "early-warning: held out"}
    lived(world, score("anna", 0.2, 2, at=T0 + 3 * DAY, last_activity=T0 + 2 * DAY))
    lived(world, score("anna", 0.2, 3, at=T0 + 60 * DAY))
    told = customers.customer(parts(database), "anna")
    assert told is not None
    assert [each.title for each in customers.entries(told) if each.kind == "outcome"] == [
        "early-warning: stayed"
    ]


def test_a_customers_next_products_are_told(database: Engine, world: World) -> None:
    lived(world, score("anna", dealings=Dealings(products={"phone": T0})))
    lived(world, score("bela", 0.1, 1, dealings=Dealings(products={"cover": T0})))
    own = parts(database)
    assert own.products.look()
    found = customers.customer(own, "anna")
    assert found is not None
    assert [each[0] for each in found.following] == ["cover"]


def answers(request: httpx.Request) -> httpx.Response:
    match request.url.host, request.url.path:
        case "ingest", "/readyz":
            return httpx.Response(200, json={"ready": True, "reasons": {}})
        case "ingest", "/metrics":
            answers.count += 50  # type: ignore[attr-defined]
            text = f"# TYPE tenure_ingest_events_accepted_total counter\ntenure_ingest_events_accepted_total {answers.count}\n"  # type: ignore[attr-defined]  # noqa: E501
            return httpx.Response(200, text=text)
        case _:
            raise httpx.ConnectError("nobody")


def test_services_that_do_not_answer_are_not_ready(database: Engine) -> None:
    settings = load_settings(
        console_ingest_url="http://ingest:1", console_scorer_url="http://scorer:2"
    )
    own = parts(database, settings)
    own.health.add_check("outbox", lambda: "it is stuck")
    answers.count = 0  # type: ignore[attr-defined]
    now = iter((10.0, 15.0))
    watch = fleet.FleetWatch(own, transport=httpx.MockTransport(answers), clock=lambda: next(now))
    assert watch.look().per_second is None
    found = watch.look()
    states = {each.name: each.reasons for each in found.services}
    assert states["ingest"] == {}
    assert "TENURE_CONSOLE_SCORER_URL" in states["scorer"]["answer"]
    assert states["campaigner"] == {"outbox": "it is stuck"}
    assert found.per_second is not None
    assert found.per_second["accepted"] == 10.0
    assert found.scorer_lag is None


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:8001"),
        ({"ingest_host": "0.0.0.0", "ingest_port": 9}, "http://127.0.0.1:9"),  # noqa: S104
        ({"ingest_host": "::1", "ingest_port": 9}, "http://[::1]:9"),
        ({"console_ingest_url": "https://in.example"}, "https://in.example"),
    ],
)
def test_services_are_asked_where_they_are(settings: dict[str, object], url: str) -> None:
    assert fleet.ingest_url(load_settings(**settings)) == url
