"""What an operator types, against a real API on loopback."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import typer
from click.testing import Result
from sqlalchemy import Engine
from typer.testing import CliRunner

from services.campaigner import (
    base_cli,
    cli,
    cohorts_cli,
    cohorts_page,
    invest_cli,
    months_cli,
    products_cli,
    segments_cli,
    tariffs_cli,
)
from services.campaigner.campaign_file import CampaignBook, CampaignFileError
from services.campaigner.client import OperatorClient, OperatorError
from services.campaigner.http import Api, create_app
from services.campaigner.products import NextProducts
from shared.adapters.api_keys import Caller, KeyRing, OpenDoor, create_key
from shared.adapters.health import Health
from shared.adapters.http import HttpServer
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.adapters.sql.segment_store import SegmentStore
from shared.domain.dealings import Dealings
from shared.domain.outputs import Profile
from shared.domain.rfm import Boundaries
from tests.campaign_builders import DAY, T0, campaign, score
from tests.unit.campaigner.world import World, emptied

EXAMPLE = Path(__file__).parents[3] / "deploy" / "examples" / "campaigns.yaml"
ODD = "a/b [red]?x=1&y"

app = typer.Typer()
app.add_typer(cli.customer)
app.add_typer(cli.campaigns)
app.command("tariffs")(tariffs_cli.tariffs)
app.command("invest")(invest_cli.invest)
app.command()(products_cli.products)
app.command()(products_cli.leads)
app.command()(cli.decisions)
app.command()(base_cli.base)
app.command()(segments_cli.segments)
app.command()(months_cli.months)
app.command()(months_cli.cash)
app.command()(cohorts_cli.cohorts)
app.command()(cohorts_cli.sources)
app.command()(cohorts_cli.referrers)


@pytest.fixture
async def url(memory: Engine) -> AsyncIterator[str]:
    campaigns = [campaign("early-warning"), campaign("win-back", state="paused")]
    world = World(emptied(memory), campaigns)
    world.append(score(ODD, 0.1), score(ODD, 0.7, 1))
    world.process()
    api = Api(CampaignQueries(memory), lambda: CampaignBook("abc", tuple(campaigns)))
    async with HttpServer(create_app(api, OpenDoor(), Health()), "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.port}"


async def tenure(*arguments: str) -> Result:
    runner = CliRunner(env={"COLUMNS": "200"})
    return await asyncio.to_thread(runner.invoke, app, list(arguments), catch_exceptions=False)


async def test_a_customer_is_shown_to_people_and_to_programs(url: str) -> None:
    shown = await tenure("customer", "show", ODD, "--url", url)
    assert shown.exit_code == 0
    for words in (
        ODD,
        "growth since 2027-01-14",
        "70.0% by model 3",
        "silent for 12 days",
        "+0.75",
    ):
        assert words in shown.stdout
    parsed = json.loads((await tenure("customer", "show", ODD, "--url", url, "--json")).stdout)
    assert (parsed["customer"], parsed["risk"]) == (ODD, 0.7)


async def test_decisions_say_why_and_why_not(url: str) -> None:
    shown = await tenure("decisions", ODD, "--url", url)
    lines = {line.split()[2]: line for line in shown.stdout.splitlines()[1:]}
    assert "fired" in lines["early-warning"]
    assert "every check passed, treatment arm" in lines["early-warning"]
    assert "suppressed" in lines["win-back"]
    assert "the campaign is paused" in lines["win-back"]
    parsed = json.loads((await tenure("decisions", ODD, "--url", url, "--json")).stdout)
    assert len(parsed) == 2
    one = await tenure("decisions", parsed[0]["id"], "--url", url, "--json")
    assert json.loads(one.stdout) == parsed[:1]
    limited = await tenure("decisions", ODD, "--url", url, "--json", "--limit", "1")
    assert len(json.loads(limited.stdout)) == 1


async def test_no_decisions_are_explained(url: str) -> None:
    shown = await tenure("decisions", "nobody", "--url", url)
    assert "No decisions" in shown.stdout


async def test_campaigns_are_listed_with_their_outcomes(url: str) -> None:
    shown = await tenure("campaigns", "list", "--url", url)
    (early,) = [line for line in shown.stdout.splitlines() if line.startswith("early-warning")]
    assert early.split() == [
        "early-warning", "live", "risk", "over", "0.6", "sms", "0%", "1", "0", "0", "0",
    ]  # fmt: skip
    parsed = json.loads((await tenure("campaigns", "list", "--url", url, "--json")).stdout)
    assert [each["name"] for each in parsed["campaigns"]] == ["early-warning", "win-back"]


async def test_a_good_file_is_named_and_a_bad_one_explained(tmp_path: Path) -> None:
    assert (
        "early-warning, win-back-call" in (await tenure("campaigns", "check", str(EXAMPLE))).stdout
    )
    good = await tenure("campaigns", "check", str(EXAMPLE), "--json")
    assert json.loads(good.stdout)["valid"] is True
    bad = tmp_path / "bad.yaml"
    bad.write_text("campaigns:\n  - name: x\n    stat: live\n")
    with pytest.raises(CampaignFileError) as refused:
        await tenure("campaigns", "check", str(bad))
    assert "line 3: campaigns[0].stat: unknown. Did you mean `state`?" in str(refused.value)
    answer = await tenure("campaigns", "check", str(bad), "--json")
    assert answer.exit_code == 2
    problems = json.loads(answer.stdout)["problems"]
    assert {(each["line"], each["field"]) for each in problems} >= {(3, "campaigns[0].stat")}


async def test_the_address_comes_from_the_settings(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENURE_CAMPAIGNER_PORT", url.rpartition(":")[2])
    assert (await tenure("customer", "show", ODD)).exit_code == 0


async def test_an_unknown_customer_and_an_unknown_address_say_what_to_do(url: str) -> None:
    with pytest.raises(OperatorError, match="Check the id"):
        await tenure("customer", "show", "nobody", "--url", url)
    with pytest.raises(OperatorError, match="--url"):
        await tenure("customer", "show", "nobody", "--url", "http://127.0.0.1:1")


async def test_a_key_is_sent_when_there_is_one(memory: Engine) -> None:
    key, hashed = create_key("operator")
    ring = KeyRing([Caller("operator", hashed, permissions=("read",))])
    api = Api(CampaignQueries(memory), lambda: CampaignBook("", ()))
    async with HttpServer(create_app(api, ring, Health()), "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.port}"
        listed = await tenure("campaigns", "list", "--url", url, "--key", key)
        assert listed.exit_code == 0
        with pytest.raises(OperatorError, match="API key"):
            await tenure("campaigns", "list", "--url", url)


async def test_another_service_at_the_address_is_noticed() -> None:
    from starlette.applications import Starlette

    async with HttpServer(Starlette(), "127.0.0.1", 0) as server:
        client = OperatorClient(f"http://127.0.0.1:{server.port}")
        with pytest.raises(OperatorError, match="is it a campaigner"):
            await asyncio.to_thread(client.campaigns)
        client.close()


async def test_a_report_is_shown_to_people_and_to_programs(url: str) -> None:
    shown = await tenure("campaigns", "report", "early-warning", "--url", url)
    assert shown.exit_code == 0
    assert "too few measured to tell" in shown.stdout
    assert "treatment" in shown.stdout
    program = await tenure("campaigns", "report", "early-warning", "--url", url, "--json")
    assert json.loads(program.stdout)["treatment"]["enrolled"] == 1
    with pytest.raises(OperatorError, match="No such campaign"):
        await tenure("campaigns", "report", "nope", "--url", url)


async def test_the_base_is_shown_to_people_and_to_programs(url: str) -> None:
    shown = await tenure("base", "--by", "rfm", "--url", url)
    assert shown.exit_code == 0
    assert "rfm" in shown.stdout
    assert "100.0%" in shown.stdout
    found = json.loads((await tenure("base", "--by", "stage", "--url", url, "--json")).stdout)
    assert found["by"] == "stage"
    assert sum(each["customers"] for each in found["groups"]) == 1


async def test_the_months_of_the_base_are_shown_to_people_and_to_programs(url: str) -> None:
    shown = await tenure("months", "--by", "plan", "--url", url)
    assert shown.exit_code == 0, shown.output
    found = json.loads((await tenure("months", "--url", url, "--json")).stdout)
    (part,) = found["parts"]
    assert [(each["gained"], each["closing"]) for each in part["months"]] == [(1, 1)]
    assert (await tenure("cash", "--url", url)).exit_code == 0
    found = json.loads((await tenure("cash", "--months", "3", "--url", url, "--json")).stdout)
    assert [len(each["months"]) for each in found["groups"]] == [3]


async def test_what_may_be_invested_is_shown_to_people_and_to_programs(url: str) -> None:
    asked = ("--ceiling", "0.5", "--scale", "0.5", "--subsidy", "1", "--term-days", "365")
    shown = await tenure("invest", ODD, *asked, "--url", url)
    assert shown.exit_code == 0, shown.output
    assert {"at stake", "best offer", "subsidy"} <= {
        re.split("  ", line)[0] for line in shown.stdout.splitlines()
    }
    found = json.loads((await tenure("invest", ODD, "--url", url, "--json")).stdout)
    assert found["best"] is None


async def test_what_plans_would_cost_is_shown(url: str, tmp_path: Path) -> None:
    plans = tmp_path / "plans.yaml"
    plans.write_text("small: {fee: 5}\nlarge: {fee: 9}")
    shown = await tenure("tariffs", ODD, str(plans), "--url", url)
    assert [line.split()[:3] for line in shown.stdout.splitlines() if "a" in line][-2:] == [
        ["small", "5.00", "-"],
        ["large", "9.00", "-"],
    ]
    found = json.loads((await tenure("tariffs", ODD, str(plans), "--url", url, "--json")).stdout)
    assert [each["cost"] for each in found["plans"]] == [5.0, 9.0]


async def test_segments_are_shown_to_people_and_to_programs(url: str, memory: Engine) -> None:
    shown = await tenure("segments", "--url", url)
    assert "No quintiles yet" in shown.stdout
    assert "payments_failed from 2" in shown.stdout
    store = SegmentStore(memory)
    store.keep(Boundaries(version=T0, customers=25, spend=(1.0, 2.0, 3.0, 4e6)), 25)
    shown = await tenure("segments", "--url", url)
    assert "of 25 at 2027-01-15 08:00 UTC" in shown.stdout
    assert "4e+06" in shown.stdout
    found = json.loads((await tenure("segments", "--json", "--url", url)).stdout)
    assert found["segments"] == {"inactive": 0, "bad-debt-risk": 0}
    assert found["boundaries"]["version"] == T0


async def test_cohorts_as_a_table_as_a_page_and_for_programs(url: str, tmp_path: Path) -> None:
    page = tmp_path / "cohorts.html"
    shown = await tenure("cohorts", "--html", str(page), "--url", url)
    assert [line.split() for line in shown.stdout.splitlines()] == [
        ["month", "customers", "m0", "m1", "m2"],
        ["2026-10", "1", "100%", "100%", "100%"],
    ]
    text = page.read_text()
    assert "2026-10 (1)" in text
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=", text)
    found = json.loads((await tenure("cohorts", "--by", "source", "--json", "--url", url)).stdout)
    assert [each["name"] for each in found["cohorts"]] == ["none"]


def test_a_name_makes_no_markup_in_the_page() -> None:
    odd = {"name": "<a href='x'>radio</a>", "customers": 1, "reached": [1], "retained": [1]}
    figure = cohorts_page.retention_plot({"by": "source", "cohorts": [odd]})
    assert figure.data[0].y[0] == "&lt;a href=&#x27;x&#x27;&gt;radio&lt;/a&gt; (1)"


def test_a_page_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(cohorts_page.PageError, match="Name another file"):
        cohorts_page.write_page(tmp_path, {"by": "month", "cohorts": []})


async def test_sources_and_referrers_in_tables_and_for_programs(url: str) -> None:
    shown = await tenure("sources", "--url", url)
    assert shown.stdout.splitlines()[1].split()[:4] == ["none", "1", "1", "100.0%"]
    (found,) = json.loads((await tenure("sources", "--json", "--url", url)).stdout)["sources"]
    assert (found["source"], found["margin"]) == ("none", 21.0)
    assert (await tenure("referrers", "--url", url)).stdout == "None so far.\n"
    assert json.loads((await tenure("referrers", "--json", "--url", url)).stdout)["referrers"] == []


async def test_products_and_leads_are_listed(memory: Engine) -> None:
    world = World(emptied(memory), [])
    held = {"phone [b]": T0 - DAY}
    fresh = {"stage": "prospect", "stage_since": T0 - DAY, "spend": 0.0, "revenue": 0.0}
    world.append(
        score(ODD, dealings=Dealings(products=held)),
        score("bela", step=1, dealings=Dealings(products={**held, "cover": T0})),
        score("mia", step=2, profile=Profile(status="qualified"), **fresh),
    )
    world.process()
    queries = CampaignQueries(memory)
    products = NextProducts(queries.products, queries.now)
    api = Api(queries, lambda: CampaignBook("", ()), products=products)
    async with HttpServer(create_app(api, OpenDoor(), Health()), "127.0.0.1", 0) as server:
        where = ("--url", f"http://127.0.0.1:{server.port}")
        cold = await tenure("products", ODD, *where)
        assert "not counted yet" in cold.stdout
        products.look()
        shown = (await tenure("products", ODD, *where)).stdout
        assert "phone [b]" in shown
        assert "cover" in shown
        assert "not counted yet" not in shown
        assert "likely next" in (await tenure("customer", "show", ODD, *where)).stdout
        found = json.loads((await tenure("products", ODD, *where, "--json")).stdout)
        assert (found["customer"], found["held"]) == (ODD, held)
        leads = (await tenure("leads", *where)).stdout
        assert leads.startswith("1 leads; chance to pay within 28 days of 2027-01-15")
        (line,) = [line for line in leads.splitlines() if line.startswith("mia")]
        assert line.split()[1:4] == ["qualified", "none", "2027-01-14"]
        found = json.loads((await tenure("leads", *where, "--json")).stdout)
        assert [each["customer"] for each in found["leads"]] == ["mia"]
