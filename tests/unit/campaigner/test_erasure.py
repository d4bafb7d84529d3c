"""Erasing customers, seen from the campaigner: asked for over HTTP, told by the log, for good."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError
from sqlalchemy import Engine, select

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.controls.erasure import Eraser
from services.campaigner.controls.http import ControlApi, add_controls
from services.campaigner.http import Api, create_app
from services.campaigner.ports import Message
from shared.adapters.api_keys import Caller, KeyRing, Role, create_key
from shared.adapters.health import Health
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.adapters.sql.control_store import ControlStore
from shared.adapters.sql.tables import customers, outbox
from shared.domain.campaigns import GuardRails
from shared.domain.erasure import pseudonym
from shared.domain.events import Erasure, decode_event
from shared.settings import Settings
from tests.campaign_builders import DAY, MINUTE, T0, campaign
from tests.campaign_builders import score as score_of
from tests.unit.campaigner.test_restored import backup, restore
from tests.unit.campaigner.world import Record, World, emptied

WHO = "anna"
RISE = [score_of(WHO, 0.1), score_of("bela", 0.1, 1), score_of(WHO, 0.7, 2)]
KEY = b"tenure-development"


@pytest.fixture
def world(memory: Engine) -> World:
    return World(emptied(memory), [campaign(valid_for_ms=DAY)])


def erase(world: World, who: str = WHO) -> None:
    """Do what the scorer does: take the customer out of the log, and note the name."""
    world.log.append(Record(len(world.log), None, key=who.encode()))
    world.bus.send([Message("erasures", who, b"{}", [("ce_id", who)])])


def known(world: World) -> set[str]:
    with world.engine.connect() as connection:
        return set(connection.execute(select(customers.c.customer)).scalars())


def test_what_waits_is_not_sent_to_an_erased_customer(world: World) -> None:
    world.append(*RISE)
    assert world.process() == 1
    erase(world)
    world.process(start=len(RISE))
    assert known(world) == {"bela"}
    world.publish()
    assert world.bus.triggers() == []
    assert world.bus.decisions() == []
    assert WHO not in str(backup(world.engine))


def test_scores_and_erasure_in_one_batch_leave_nothing(world: World) -> None:
    world.append(*RISE)
    erase(world)
    world.process()
    assert known(world) == {"bela"}
    with world.engine.connect() as connection:
        assert connection.execute(select(outbox)).all() == []


def test_time_goes_on_without_an_erased_customer(world: World) -> None:
    world.append(*RISE)
    erase(world)
    world.append(score_of("bela", 0.1, 100 * DAY // MINUTE))
    world.process()
    assert known(world) == {"bela"}


def test_a_restored_backup_forgets_before_anything_is_decided(world: World) -> None:
    world.append(*RISE[:2])
    world.process()
    saved = backup(world.engine)
    erase(world)
    world.log[:] = [each for each in world.log if each.key is None]  # compacted meanwhile
    world.append(score_of("bela", 0.2, 5))
    restore(world.engine, saved)
    assert WHO in known(world)
    world.start()
    world.process(start=2)
    assert known(world) == {"bela"}


def test_a_database_that_was_not_restored_looks_no_further_back(world: World) -> None:
    world.append(*RISE)
    erase(world)
    world.process()
    world.now += 40 * DAY
    world.append(score_of("bela", 0.1, 35 * DAY // MINUTE))
    world.process(start=len(RISE) + 1)
    erased_later: list[int] = []
    world.campaigner._erased = lambda since: erased_later.append(since) or ()  # type: ignore[func-returns-value]
    world.campaigner.own([world.partition])
    assert erased_later
    assert erased_later[0] > T0 + 30 * DAY


# -- the request

PEOPLE: dict[str, Role] = {"olga": "operator", "ada": "admin"}


class Kafka:
    """What the log was told; or nothing, when it is away."""

    def __init__(self) -> None:
        self.told: dict[str, bytes] = {}
        self.away = False

    async def tell(self, _: Settings, events: Mapping[str, bytes]) -> int:
        if self.away:
            raise KafkaConnectionError
        self.told |= events
        return 0


@pytest.fixture
def kafka_log() -> Kafka:
    return Kafka()


def ask(memory: Engine, log: Kafka, who: str, body: object) -> httpx.Response:
    keys = {name: create_key(name) for name in PEOPLE}
    door = KeyRing([Caller(name, keys[name][1], role=role) for name, role in PEOPLE.items()])
    book = CampaignBook("abc", (), GuardRails())
    store = ControlStore(memory, lambda: T0)
    app = create_app(Api(CampaignQueries(memory), lambda: book, store.controls), door, Health())
    eraser = Eraser(Settings(), store, lambda: T0, tell=log.tell)
    add_controls(app, ControlApi(store, lambda: book, eraser=eraser), door)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tenure") as client:
            headers = {"Authorization": f"Bearer {keys[who][0]}"}
            return await client.post("/v1/customers/erase", json=body, headers=headers)

    return asyncio.run(send())


def test_an_admin_erases_and_the_audit_log_has_no_id(memory: Engine, kafka_log: Kafka) -> None:
    emptied(memory)
    body = {"customers": [WHO, "bela", WHO], "reason": "asked on paper"}
    answer = ask(memory, kafka_log, "ada", body)
    assert (answer.status_code, answer.json()) == (200, {"changed": 2})
    told = decode_event(kafka_log.told[WHO])
    assert isinstance(told, Erasure)
    assert (told.data.customer, told.data.at) == (WHO, T0)
    (entry,) = ControlStore(memory, lambda: T0).changes()
    assert (entry.action, entry.by) == ("erase", "ada")
    assert entry.detail["customers"] == [pseudonym(KEY, WHO), pseudonym(KEY, "bela")]
    assert WHO.encode() not in msgspec.json.encode(entry)


def test_an_operator_may_not(memory: Engine, kafka_log: Kafka) -> None:
    answer = ask(memory, kafka_log, "olga", {"customers": [WHO]})
    assert answer.status_code == httpx.codes.FORBIDDEN
    assert kafka_log.told == {}


def test_while_kafka_is_away_the_answer_says_ask_again(memory: Engine, kafka_log: Kafka) -> None:
    kafka_log.away = True
    answer = ask(memory, kafka_log, "ada", {"customers": [WHO]})
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert answer.headers["retry-after"] == "5"
    assert "Ask again" in answer.json()["detail"]
