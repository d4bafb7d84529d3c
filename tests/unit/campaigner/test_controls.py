"""What people change, as they type it, against a real API on loopback; each role does its part."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import typer
from click.testing import Result
from sqlalchemy import Engine
from typer.testing import CliRunner

from services.campaigner import cli
from services.campaigner.campaign_file import CampaignBook
from services.campaigner.client import OperatorError
from services.campaigner.controls import cli as control_cli
from services.campaigner.controls.http import ControlApi, add_controls
from services.campaigner.http import Api, create_app
from shared.adapters.api_keys import Caller, Doorkeeper, KeyRing, OpenDoor, Role, create_key
from shared.adapters.health import Health
from shared.adapters.http import HttpServer
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.adapters.sql.control_store import ControlStore
from shared.domain.campaigns import GuardRails
from shared.domain.controls import ALL
from tests.campaign_builders import T0, campaign
from tests.unit.campaigner.world import emptied

app = typer.Typer()
app.add_typer(cli.campaigns)
app.add_typer(control_cli.suppression)
app.command()(control_cli.audit)

BOOK = CampaignBook(
    "abc", (campaign(), campaign("win-back", approval=True)), GuardRails(author="ada")
)
PEOPLE: dict[str, Role] = {"vera": "viewer", "olga": "operator", "ada": "admin", "bert": "admin"}


@pytest.fixture
def store(memory: Engine) -> ControlStore:
    store = ControlStore(emptied(memory), lambda: T0)
    store.keep_versions(BOOK.documents(), BOOK.rails_document(), "ada")
    return store


@pytest.fixture
def keys() -> dict[str, tuple[str, str]]:
    return {name: create_key(name) for name in PEOPLE}


@pytest.fixture
def ring(keys: dict[str, tuple[str, str]]) -> KeyRing:
    return KeyRing([Caller(name, keys[name][1], role=role) for name, role in PEOPLE.items()])


def server_of(store: ControlStore, memory: Engine, door: Doorkeeper) -> HttpServer:
    api = create_app(Api(CampaignQueries(memory), lambda: BOOK, store.controls), door, Health())
    knows = lambda name: door.named(name) is not None  # noqa: E731
    add_controls(api, ControlApi(store, lambda: BOOK, knows), door)
    return HttpServer(api, "127.0.0.1", 0)


@pytest.fixture
async def url(store: ControlStore, memory: Engine, ring: KeyRing) -> AsyncIterator[str]:
    async with server_of(store, memory, ring) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def tenure(url: str, keys: dict[str, tuple[str, str]]) -> "Tenure":
    return Tenure(url, keys)


class Tenure:
    """Runs the command as one of the people."""

    def __init__(self, url: str, keys: dict[str, tuple[str, str]]) -> None:
        self._url = url
        self._keys = keys

    async def __call__(self, who: str, *arguments: str) -> Result:
        runner = CliRunner(env={"COLUMNS": "200", "TENURE_API_KEY": self._keys[who][0]})
        line = [*arguments, "--url", self._url]
        return await asyncio.to_thread(runner.invoke, app, line, catch_exceptions=False)


async def test_a_campaign_is_paused_and_resumed(tenure: Tenure, store: ControlStore) -> None:
    done = await tenure("olga", "campaigns", "pause", "early-warning", "--reason", "wrong offer")
    assert done.output == "early-warning: paused.\n"
    assert set(store.controls().holds) == {"early-warning"}
    listed = json.loads((await tenure("vera", "campaigns", "list", "--json")).output)
    assert [each["held"] for each in listed["campaigns"]] == [
        "the campaign is paused by olga: wrong offer", None,
    ]  # fmt: skip
    assert [each["approved"] for each in listed["campaigns"]] == [True, False]
    assert "held" in (await tenure("vera", "campaigns", "list")).output
    assert (await tenure("olga", "campaigns", "resume", "early-warning")).exit_code == 0
    assert store.controls().holds == {}
    with pytest.raises(OperatorError, match="Nothing to resume"):
        await tenure("olga", "campaigns", "resume", "early-warning")
    with pytest.raises(OperatorError, match="No such campaign"):
        await tenure("olga", "campaigns", "pause", "early-warming")


async def test_the_kill_switch_is_for_operators_and_its_end_for_admins(
    tenure: Tenure, store: ControlStore
) -> None:
    await tenure("olga", "campaigns", "pause", "--all")
    assert set(store.controls().holds) == {ALL}
    with pytest.raises(OperatorError, match="no permission 'administer'"):
        await tenure("olga", "campaigns", "resume", "--all")
    await tenure("ada", "campaigns", "resume", "--all")
    assert store.controls().holds == {}


@pytest.mark.parametrize("arguments", [("pause",), ("resume", "early-warning", "--all")])
async def test_a_switch_names_one_campaign_or_all(
    tenure: Tenure, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(control_cli.UsageError, match="or write --all"):
        await tenure("olga", "campaigns", *arguments)


async def test_an_author_needs_somebody_else(tenure: Tenure, store: ControlStore) -> None:
    with pytest.raises(OperatorError, match="another person approves it"):
        await tenure("ada", "campaigns", "approve", "win-back", "v1")
    with pytest.raises(OperatorError, match="no permission"):
        await tenure("olga", "campaigns", "approve", "win-back", "v1")
    with pytest.raises(OperatorError, match="v1 is in force, and not v0"):
        await tenure("bert", "campaigns", "approve", "win-back", "v0")
    await tenure("bert", "campaigns", "approve", "win-back", "v1")
    assert store.controls().approved == {("win-back", "v1")}


async def test_an_author_whom_no_key_names_cannot_be_told_from_who_approves(
    store: ControlStore, memory: Engine, keys: dict[str, tuple[str, str]]
) -> None:
    """Else an admin writes any name into the file, and approves alone."""
    ring = KeyRing([Caller("bert", keys["bert"][1], role="admin")])
    async with server_of(store, memory, ring) as server:
        bert = Tenure(f"http://127.0.0.1:{server.port}", keys)
        with pytest.raises(OperatorError, match="No API key is named ada"):
            await bert("bert", "campaigns", "approve", "win-back", "v1")
    assert store.controls().approved == frozenset()


async def test_nobody_without_a_name_approves(store: ControlStore, memory: Engine) -> None:
    async with server_of(store, memory, OpenDoor()) as server:
        address = f"http://127.0.0.1:{server.port}/v1/campaigns/win-back/approve"
        answer = await asyncio.to_thread(
            lambda: httpx.post(address, json={"version": "v1"}, trust_env=False)
        )
    assert (answer.status_code, store.controls().approved) == (403, frozenset())
    assert "TENURE_CAMPAIGNER_KEYS_FILE" in answer.json()["detail"]


async def test_customers_are_suppressed_by_name_and_from_a_file(
    tenure: Tenure, store: ControlStore, tmp_path: Path
) -> None:
    (tmp_path / "customers.txt").write_text("bela\n\n chris \n")
    file = ("--file", str(tmp_path / "customers.txt"))
    done = await tenure("olga", "suppression", "add", "anna", *file, "--reason", "complaint")
    assert done.output == "3 put on the list.\n"
    assert store.controls().suppressed == {"anna", "bela", "chris"}
    shown = await tenure("vera", "suppression", "list", "--after", "anna")
    assert "anna" not in shown.output
    assert "complaint" in shown.output
    with pytest.raises(OperatorError, match="no permission 'administer'"):
        await tenure("olga", "suppression", "remove", "anna")
    removed = await tenure("ada", "suppression", "remove", *file)
    assert removed.output == "2 taken off the list.\n"
    assert store.controls().suppressed == {"anna"}
    with pytest.raises(control_cli.UsageError, match="No customers"):
        await tenure("ada", "suppression", "remove")


@pytest.mark.parametrize(
    "line",
    [
        ("campaigns", "pause", "early-warning"), ("campaigns", "pause", "--all"),
        ("campaigns", "resume", "early-warning"), ("suppression", "add", "anna"),
    ],
)  # fmt: skip
async def test_a_viewer_changes_nothing(
    tenure: Tenure, store: ControlStore, line: tuple[str, ...]
) -> None:
    before = store.changes()
    with pytest.raises(OperatorError, match="no permission 'operate'"):
        await tenure("vera", *line)
    assert store.changes() == before


async def test_the_log_says_who_did_what(tenure: Tenure) -> None:
    await tenure("olga", "campaigns", "pause", "early-warning", "--reason", "wrong offer")
    await tenure("ada", "campaigns", "resume", "early-warning")
    shown = (await tenure("vera", "audit", "--limit", "2")).output.splitlines()
    assert shown[1].split()[3:6] == ["ada", "resume", "early-warning"]
    assert shown[2].split()[3:8] == ["olga", "pause", "early-warning", "wrong", "offer"]
    page = json.loads((await tenure("vera", "audit", "--json", "--limit", "1")).output)
    older = await tenure("vera", "audit", "--json", "--before", str(page["next"]), "--limit", "1")
    assert json.loads(older.output)["changes"][0]["by"] == "olga"
