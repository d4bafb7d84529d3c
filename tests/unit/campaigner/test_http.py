"""The operator API: pages, filters, refusals with a remedy, and documentation that is true."""

from typing import Any

import httpx
import jsonschema
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.http import Api, create_app
from services.campaigner.products import NextProducts
from shared.adapters.api_keys import Caller, KeyRing, OpenDoor, create_key
from shared.adapters.health import Health
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.domain.dealings import Dealings
from shared.domain.outputs import Profile
from tests.campaign_builders import MINUTE, T0, campaign, score
from tests.unit.campaigner.world import World, emptied

CROWD = ["a/b", "bela", "c ç"]


@pytest.fixture
def app(memory: Engine) -> FastAPI:
    """Three customers that crossed two campaigns' thresholds, one campaign being paused."""
    campaigns = [campaign("early-warning"), campaign("win-back", state="paused")]
    world = World(emptied(memory), campaigns)
    world.append(*(score(who, 0.1, step) for step, who in enumerate(CROWD)))
    world.append(*(score(who, 0.7, 3 + step) for step, who in enumerate(CROWD)))
    world.process()
    world.publish()
    book = CampaignBook("abc", tuple(campaigns))
    return create_app(Api(CampaignQueries(memory), lambda: book), OpenDoor(), Health())


async def get(app: FastAPI, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize(
    ("path", "customer"),
    [("a%2Fb", "a/b"), ("a/b", "a/b"), ("bela", "bela"), ("c%20%C3%A7", "c ç")],
)
async def test_a_profile_is_the_last_score(app: FastAPI, path: str, customer: str) -> None:
    answer = await get(app, f"/v1/customers/{path}")
    assert answer.status_code == 200
    assert (answer.json()["customer"], answer.json()["risk"]) == (customer, 0.7)
    assert answer.json()["reasons"][0]["text"] == "silent for 12 days"


async def test_a_customers_decisions_say_why(app: FastAPI) -> None:
    page = (await get(app, "/v1/customers/a%2Fb/decisions")).json()
    found = {each["campaign"]: each for each in page["decisions"]}
    assert {name: each["outcome"] for name, each in found.items()} == {
        "early-warning": "fired",
        "win-back": "suppressed",
    }
    failed = [each for each in found["win-back"]["checks"] if not each["passed"]]
    assert failed == [
        {"check": "state", "passed": False, "reason": "the campaign is paused"},
        {"check": "arbitration", "passed": False, "reason": "early-warning has the customer"},
    ]
    assert page["next"] is None


async def test_pages_go_from_the_newest_to_the_oldest(app: FastAPI) -> None:
    seen: list[str] = []
    path = "/v1/decisions?limit=4"
    while True:
        page = (await get(app, path)).json()
        seen += [each["customer"] for each in page["decisions"]]
        if page["next"] is None:
            break
        path = f"/v1/decisions?limit=4&after={page['next']}"
    assert seen == ["c ç", "c ç", "bela", "bela", "a/b", "a/b"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("campaign=win-back", 3),
        ("outcome=fired", 3),
        ("campaign=win-back&outcome=fired", 0),
        ("campaign=unknown", 0),
        ("after=unknown", 0),
    ],
)
async def test_decisions_are_filtered(app: FastAPI, query: str, expected: int) -> None:
    assert len((await get(app, f"/v1/decisions?{query}")).json()["decisions"]) == expected


async def test_a_decision_is_found_by_the_triggers_id(app: FastAPI) -> None:
    (first, *_) = (await get(app, "/v1/decisions")).json()["decisions"]
    assert (await get(app, f"/v1/decisions/{first['id']}")).json() == first


async def test_campaigns_come_with_their_outcomes(app: FastAPI) -> None:
    body = (await get(app, "/v1/campaigns")).json()
    assert body["version"] == "abc"
    assert [(each["name"], each["outcomes"]) for each in body["campaigns"]] == [
        ("early-warning", {"fired": 3}),
        ("win-back", {"suppressed": 3}),
    ]
    assert body["campaigns"][0]["trigger"]["threshold"] == 0.6


async def test_stages_are_counted(app: FastAPI) -> None:
    assert (await get(app, "/v1/stages")).json() == {"stages": {"growth": 3}}


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/v1/customers/nobody", 404, "Check the id"),
        ("/v1/decisions/none", 404, "/v1/decisions"),
        ("/v1/decisions?outcome=refused", 422, "outcome"),
        ("/v1/decisions?limit=0", 422, "limit"),
        ("/v1/decisions?limit=1001", 422, "limit"),
        ("/v1/decisions?limit=many", 422, "limit"),
        ("/v1/nothing", 404, "Not Found"),
    ],
)
async def test_refusals_are_problems(app: FastAPI, path: str, status: int, word: str) -> None:
    answer = await get(app, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert word in problem["detail"]


async def test_nothing_is_shown_without_a_key_that_may_read(memory: Engine) -> None:
    reader, reads = create_key("reader")
    sender, sends = create_key("sender")
    ring = KeyRing(
        [
            Caller("reader", reads, permissions=("read",)),
            Caller("sender", sends, permissions=("events",)),
        ]
    )
    api = Api(CampaignQueries(emptied(memory)), lambda: CampaignBook("", ()))
    app = create_app(api, ring, Health())
    paths = [path for path in await documented(app) if path.startswith("/v1/")]
    assert {"/v1/customers/{customer}", "/v1/decisions", "/v1/report"} <= set(paths)
    for path in paths:
        refused = await get(app, path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert (await get(app, path, Authorization=f"Bearer {sender}")).status_code == 403
        assert (await get(app, path, Authorization=f"Bearer {reader}")).status_code in (200, 404)
    assert (await get(app, "/livez")).status_code == 200


async def documented(app: FastAPI) -> dict[str, Any]:
    paths: dict[str, Any] = (await get(app, "/openapi.json")).json()["paths"]
    return paths


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/v1/customers/{customer}", "/v1/customers/bela"),
        ("/v1/customers/{customer}/decisions", "/v1/customers/bela/decisions"),
        ("/v1/decisions", "/v1/decisions"),
        ("/v1/campaigns", "/v1/campaigns"),
        ("/v1/stages", "/v1/stages"),
        ("/v1/segments", "/v1/segments"),
        ("/v1/customers/{customer}/investment", "/v1/customers/bela/investment"),
        ("/v1/base/months", "/v1/base/months?by=plan"),
        ("/v1/base/cash", "/v1/base/cash?by=market&months=2"),
        ("/v1/customers/{customer}", "/v1/customers/nobody"),
    ],
)
async def test_answers_are_as_documented(app: FastAPI, template: str, path: str) -> None:
    document = (await get(app, "/openapi.json")).json()
    answer = await get(app, path)
    described = document["paths"][template]["get"]["responses"][str(answer.status_code)]
    kind = answer.headers["content-type"]
    schema = described["content"][kind]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(
        answer.json()
    )


async def test_a_report_says_what_a_campaign_achieved(app: FastAPI) -> None:
    found = (await get(app, "/v1/campaigns/early-warning/report")).json()
    assert found["campaign"] == "early-warning"
    assert found["treatment"] == {
        "enrolled": 3, "measured": 0, "retained": 0, "revenue": 0.0, "margin": 0.0,
        "opted_out": 0, "clv": 0.0, "accepted": 0, "complained": 0, "rated": 0, "rating": None,
    }  # fmt: skip
    together = (await get(app, "/v1/report")).json()
    assert (together["campaign"], together["treatment"]["enrolled"]) == ("*", 0)
    assert (found["control"]["enrolled"], found["retention"]) == (0, None)
    empty = (await get(app, "/v1/campaigns/win-back/report")).json()
    assert empty["treatment"]["enrolled"] == 0
    unknown = await get(app, "/v1/campaigns/nope/report")
    assert unknown.status_code == 404
    assert "GET /v1/campaigns" in unknown.json()["detail"]


async def test_the_base_is_shown_in_groups_that_add_up(app: FastAPI, memory: Engine) -> None:
    groups = (await get(app, "/v1/base?by=market")).json()["groups"]
    assert [(each["name"], each["customers"]) for each in groups] == [("none", len(CROWD))]
    wanted = sum(each.margin for each in CampaignQueries(memory).members())
    assert groups[0]["margin"] == pytest.approx(wanted)
    by_stage = (await get(app, "/v1/base")).json()
    stages = (await get(app, "/v1/stages")).json()["stages"]
    assert {each["name"]: each["customers"] for each in by_stage["groups"]} == stages
    assert (await get(app, "/v1/base?by=shoe-size")).status_code == 422


async def test_the_months_of_the_base_and_the_cash_to_come(app: FastAPI) -> None:
    found = (await get(app, "/v1/base/months")).json()
    (part,) = found["parts"]
    # All came at T0, 2027-01-15, with 70 of revenue to date each: booked when it was heard of.
    assert [each["month"] for each in part["months"]] == ["2027-01"]
    month = part["months"][0]
    assert (month["opening"], month["gained"], month["closing"], month["churn"]) == (0, 3, 3, None)
    assert (month["recurring"]["new"], month["recurring"]["closing"]) == ("210.000000",) * 2
    cash = (await get(app, "/v1/base/cash?months=2")).json()
    (group,) = cash["groups"]
    # 12 a customer over 28 days, of whom .505 leave in them
    first = 3 * 12.0 * (365.2425 / 12) / 28
    kept = 0.495 ** ((365.2425 / 12) / 28)
    assert group["months"] == pytest.approx([first, first * kept])


async def test_what_may_be_invested_in_a_customer(app: FastAPI) -> None:
    found = (await get(app, "/v1/customers/a%2Fb/investment")).json()
    assert (found["customer"], found["clv"]) == ("a/b", 48.5)
    assert found["at_stake"] > 0
    assert (found["best"], found["offer"], found["subsidy"]) == (None, None, None)
    asked = "ceiling=0.5&scale=0.5&offer=2&subsidy=1&term_days=365"
    found = (await get(app, f"/v1/customers/bela/investment?{asked}")).json()
    assert found["best"]["npv"] >= found["offer"]["npv"]
    assert found["subsidy"]["npv"] > 0
    for half in ("ceiling=0.5", "offer=2", "subsidy=1", "ceiling=0.5&scale=nan", "shoe_size=44"):
        assert (await get(app, f"/v1/customers/bela/investment?{half}")).status_code == 422, half
    assert (await get(app, "/v1/customers/nobody/investment")).status_code == 404


BROUGHT = Profile(acquisition_source="radio", referred_by="eva")


async def test_cohorts_sources_and_referrers_are_of_the_read_model(memory: Engine) -> None:
    world = World(emptied(memory), [campaign()])
    world.append(
        score("anna", profile=BROUGHT, dealings=Dealings(trial_at=T0, costs={"acquisition": 7.0})),
        score("bela", step=1),
        score("chris", step=2, first_activity=0, last_activity=0, visits=0, spend=0.0, revenue=0.0),
    )
    world.process()
    app = create_app(
        Api(CampaignQueries(memory), lambda: CampaignBook("", ())), OpenDoor(), Health()
    )

    months = (await get(app, "/v1/base/cohorts")).json()
    # T0 is 2027-01-15: first activity was 90 days before, and the last one 12 days before
    assert months["cohorts"] == [
        {"name": "2026-10", "customers": 2, "reached": [2, 2, 2], "retained": [2, 2, 2]}
    ]
    assert (months["by"], months["at"]) == ("month", T0 + 2 * MINUTE)
    by_source = (await get(app, "/v1/base/cohorts?by=source")).json()["cohorts"]
    assert {each["name"]: each["customers"] for each in by_source} == {"none": 1, "radio": 1}

    found = {
        each["source"]: each for each in (await get(app, "/v1/base/sources")).json()["sources"]
    }
    assert {name: each["known"] for name, each in found.items()} == {"none": 2, "radio": 1}
    radio = found["radio"]
    assert (radio["cost"], radio["cac"], radio["trial_conversion"]) == (7.0, 7.0, 1.0)
    # 21 of margin in 90 days and two minutes
    assert radio["payback_months"] == pytest.approx(7.0 / (21.0 / (90 * 12 / 365.2425)), rel=1e-4)

    (eva,) = (await get(app, "/v1/base/referrers")).json()["referrers"]
    assert (eva["customer"], eva["brought"], eva["customers"]) == ("eva", 1, ["anna"])
    assert (await get(app, "/v1/base/cohorts?by=shoe-size")).status_code == 422


async def test_an_empty_base_has_neither_cohorts_nor_sources(memory: Engine) -> None:
    queries = CampaignQueries(emptied(memory))
    app = create_app(Api(queries, lambda: CampaignBook("", ())), OpenDoor(), Health())
    assert (await get(app, "/v1/base/cohorts")).json() == {"by": "month", "at": 0, "cohorts": []}
    assert (await get(app, "/v1/base/sources")).json() == {"at": 0, "sources": []}
    assert (await get(app, "/v1/base/referrers")).json() == {"referrers": []}


async def test_products_and_leads_are_shown(memory: Engine) -> None:
    world = World(emptied(memory), [])
    held = {"phone": T0 - 9 * MINUTE}
    both = {**held, "cover": T0 - MINUTE}
    fresh = {"stage": "prospect", "stage_since": T0, "spend": 0.0, "revenue": 0.0}
    world.append(
        score("a/b", dealings=Dealings(products=held)),
        score("bela", step=1, dealings=Dealings(products=both)),
        score("mia", step=2, profile=Profile(status="lead", acquisition_source="fair"), **fresh),
        score("tom", step=3, profile=Profile(status="trial_started"), **fresh),
    )
    world.process()
    queries = CampaignQueries(memory)
    products = NextProducts(queries.products, queries.now)
    app = create_app(
        Api(queries, lambda: CampaignBook("", ()), products=products), OpenDoor(), Health()
    )
    page = (await get(app, "/v1/customers/a%2Fb/products")).json()
    assert page == {"customer": "a/b", "held": held, "next": [], "at": 0}
    products.look()
    page = (await get(app, "/v1/customers/a%2Fb/products?limit=1")).json()
    assert page["at"] == T0 + 3 * MINUTE
    assert [each["product"] for each in page["next"]] == ["cover"]
    assert (await get(app, "/v1/customers/nobody/products")).status_code == 404
    leads = (await get(app, "/v1/leads?limit=1")).json()
    assert (leads["waiting"], leads["horizon_days"], leads["at"]) == (2, 28.0, T0 + 3 * MINUTE)
    (first,) = leads["leads"]
    assert (first["since"], first["stage"]) == (T0, "lead")
    assert 0 < first["chance"] < 1
