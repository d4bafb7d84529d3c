"""Webhooks against a real HTTP server that answers, fails, redirects, is gone or hangs."""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest
import trustme
from sqlalchemy import Engine, insert, select
from standardwebhooks import Webhook, WebhookVerificationError

from services.campaigner.webhook_file import LiveWebhooks
from services.campaigner.webhooks import DeliverAll, Deliveries
from shared import metrics
from shared.adapters import webhook_transport
from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.tables import webhook_deliveries
from shared.adapters.sql.webhook_store import WebhookStore
from shared.adapters.webhook_transport import ForbiddenAddressError, checked_client
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_state import Batch, Lease, Rules, Settled
from shared.domain.controls import ALL, UNCONTROLLED, Controls, Hold
from shared.domain.standings import Standings
from shared.domain.webhooks import DEAD_AFTER_FAILURES, DEAD_AFTER_MS, SCHEDULE, Endpoint, Standing
from tests.campaign_builders import DAY, T0, campaign, raw, score
from tests.waiting import until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """What arrived at an HTTP server, by path; each path behaves in its own way."""

    def __init__(self) -> None:
        self.got: dict[str, list[tuple[dict[str, str], bytes]]] = {}
        self.let_go = Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.setdefault(self.path, []).append((dict(self.headers), body))
                if self.path == "/hang":
                    receiver.let_go.wait(60)
                self.send_response({"/500": 500, "/302": 302, "/410": 410}.get(self.path, 204))
                self.send_header("location", "/redirected")
                self.send_header("content-length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                receiver.got.setdefault(self.path, []).append((dict(self.headers), b""))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Be silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def serving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = Thread(target=receiver.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield receiver
    receiver.let_go.set()
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def receiver(serving: Receiver) -> Receiver:
    serving.got.clear()
    return serving


class World:
    """A database with triggers that Kafka has, endpoints, and a clock that stands."""

    def __init__(self, database: Engine, endpoints: Sequence[Endpoint]) -> None:
        self.now = T0
        self.controls = UNCONTROLLED
        self.webhooks = WebhookStore(database, lambda: endpoints)
        self.store = CampaignStore(database, "customer-scores", deliver=self.webhooks.add)
        ((self.lease, self.offset, _),) = self.store.claim([0], "one", T0)
        self.endpoints = {each.name: each for each in endpoints}

    def fire(self, *customers: str, name: str = "early-warning") -> None:
        """Have customers cross, and settle their triggers as after Kafka's acknowledgement."""
        batch = Batch(self.lease, self.offset, self.offset + 1)
        self.offset += 1
        rules = Rules([campaign(name, valid_for_ms=3 * DAY)], "salt")
        fold = Fold(Standings(), batch, rules, T0)
        for each in customers:
            for step, risk in enumerate((0.1, 0.7)):
                fold.take(found := score(each, risk, step), raw(found))
        self.store.commit([batch], T0)
        rows = self.store.waiting([0], 0, 1_000)
        self.store.settle([self.lease], [Settled(row) for row in rows], self.now)

    def deliveries(self, name: str) -> Deliveries:
        return Deliveries(
            self.endpoints[name],
            self.webhooks,
            leases=lambda: [self.lease],
            controls=lambda: self.controls,
            clock=lambda: self.now,
            random=lambda: 0.5,
        )

    def deliver(self, name: str) -> int:
        return self.deliveries(name).deliver(Event())

    def standing(self, name: str) -> Standing:
        return self.webhooks.standing(self.endpoints[name])


def endpoint(receiver: Receiver, name: str, **other: frozenset[str]) -> Endpoint:
    return Endpoint(name, f"{receiver.url}/{name}", SECRET, allow_private=True, **other)


@pytest.fixture
def make(database: Engine, receiver: Receiver) -> Callable[..., World]:
    return lambda *names: World(database, [endpoint(receiver, each) for each in names])


def tries(name: str, result: str) -> float:
    return metrics.WEBHOOK_TRIES.labels(name, result)._value.get()


def test_a_trigger_arrives_signed_under_its_decisions_id(
    make: Callable[..., World], receiver: Receiver
) -> None:
    world = make("ok")
    world.now = time.time_ns() // 1_000_000  # who verifies refuses what is older than minutes
    world.fire("änne")
    assert world.deliver("ok") == 1
    ((headers, body),) = receiver.got["/ok"]
    event = Webhook(SECRET).verify(body, headers)
    assert (event["type"], event["data"]["customer"]) == ("tenure.trigger", "änne")
    lower = {name.lower(): value for name, value in headers.items()}
    assert lower["webhook-id"] == event["data"]["decision"]
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"sms", b"app"), headers)
    assert world.deliver("ok") == 0, "it is there once"
    assert world.webhooks.waiting() == {}


def test_only_triggers_of_its_campaigns_go_to_an_endpoint(
    database: Engine, receiver: Receiver
) -> None:
    some = endpoint(receiver, "some", campaigns=frozenset({"win-back"}))
    world = World(database, [some, endpoint(receiver, "all")])
    world.fire("anna")
    world.fire("bela", name="win-back")
    assert world.webhooks.waiting() == {"all": 2, "some": 1}


def test_a_failure_is_tried_again_on_the_schedule_and_then_given_up(
    make: Callable[..., World], receiver: Receiver
) -> None:
    world = make("500")
    world.fire("anna")
    for number, pause in enumerate(SCHEDULE[:5], 1):
        assert world.deliver("500") == 1
        assert len(receiver.got["/500"]) == number
        world.now += pause  # a tenth too early: half of the jitter of a fifth
        assert world.deliver("500") == 0
        world.now += pause // 10
    world.now = T0 + 4 * DAY
    before = tries("500", "expired")
    assert world.deliver("500") == 1
    assert len(receiver.got["/500"]) == 5, "an expired trigger is not sent"
    assert tries("500", "expired") == before + 1
    assert world.webhooks.waiting() == {}


def test_a_redirect_is_a_failure_and_is_not_followed(
    make: Callable[..., World], receiver: Receiver
) -> None:
    world = make("302")
    world.fire("anna")
    world.deliver("302")
    assert "/redirected" not in receiver.got
    assert (world.webhooks.waiting(), world.standing("302").failures) == ({"302": 1}, 1)


def test_who_is_gone_is_disabled_at_once_until_it_moves(
    database: Engine, make: Callable[..., World], receiver: Receiver
) -> None:
    world = make("410")
    world.fire("anna", "bela")
    world.deliver("410")
    assert len(receiver.got["/410"]) == 1
    assert world.standing("410").disabled_at == T0
    assert metrics.WEBHOOK_WORKING.labels("410")._value.get() == 0
    assert world.deliver("410") == 0
    moved = Endpoint("410", f"{receiver.url}/new", SECRET, allow_private=True)
    assert WebhookStore(database, [moved]).standing(moved).disabled_at is None


def test_who_fails_for_a_day_is_disabled_and_a_success_in_between_starts_anew(
    make: Callable[..., World],
) -> None:
    world = make("500")
    world.fire(*(f"c{each}" for each in range(DEAD_AFTER_FAILURES + 1)))
    assert world.deliver("500") == DEAD_AFTER_FAILURES + 1
    assert world.standing("500").disabled_at is None, "many failures, but of one moment"
    world.now += DEAD_AFTER_MS
    world.deliver("500")
    assert world.standing("500").disabled_at == world.now


def test_a_success_ends_a_row_of_failures(make: Callable[..., World]) -> None:
    world = make("ok")
    world.webhooks.stand("ok", Standing(world.endpoints["ok"].url, 12, T0 - 2 * DAY))
    world.fire("anna")
    world.deliver("ok")
    assert world.standing("ok") == Standing(world.endpoints["ok"].url)


def test_what_people_stopped_waits(make: Callable[..., World], receiver: Receiver) -> None:
    world = make("ok")
    world.fire("anna")
    world.controls = Controls(holds={ALL: Hold("eve", T0, "")})
    assert (world.deliver("ok"), receiver.got) == (0, {})
    world.controls = UNCONTROLLED
    assert world.deliver("ok") == 1


async def test_who_hangs_keeps_neither_the_others_waiting_nor_the_outbox(
    make: Callable[..., World], receiver: Receiver
) -> None:
    world = make("hang", "ok")
    customers = [f"c{each}" for each in range(5)]
    world.fire(*customers)
    with _delivering(world, "hang", "ok"):
        await until(lambda: len(receiver.got.get("/ok", ())) == 5)
        assert len(receiver.got["/hang"]) == 1
        world.fire("late")  # what leaves for Kafka is settled as ever
        await until(lambda: len(receiver.got["/ok"]) == 6)
        assert world.webhooks.waiting()["hang"] == 6
        receiver.let_go.set()
    receiver.let_go.clear()


@contextmanager
def _delivering(world: World, *names: str) -> Iterator[None]:
    stop, webhooks = Event(), LiveWebhooks(None)
    webhooks.endpoints = tuple(world.endpoints[each] for each in names)
    webhooks.look = lambda: None  # type: ignore[method-assign]  # there is no file
    deliver = DeliverAll(webhooks, lambda each: world.deliveries(each.name))
    thread = Thread(target=deliver.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def test_the_file_is_followed_without_a_restart(
    database: Engine, receiver: Receiver, tmp_path: Path
) -> None:
    """A new endpoint works, one that is gone does not, and an error changes nothing."""
    path, environment = tmp_path / "webhooks.yaml", {"SECRET": SECRET}

    def write(*names: str) -> None:
        hooks = [
            {"name": each, "url": f"{receiver.url}/{each}", "secret_env": "SECRET",
             "allow_private": True}
            for each in names
        ]  # fmt: skip
        path.write_text(json.dumps({"webhooks": hooks}))

    write("one")
    webhooks = LiveWebhooks(path, environment)
    world = World(database, ())
    world.webhooks = WebhookStore(database, lambda: webhooks.endpoints)
    world.store = CampaignStore(database, "customer-scores", deliver=world.webhooks.add)

    def deliveries(endpoint: Endpoint) -> Deliveries:
        world.endpoints[endpoint.name] = endpoint
        return world.deliveries(endpoint.name)

    deliver, stop = DeliverAll(webhooks, deliveries, every_s=0.02), Event()
    thread = Thread(target=deliver.run, args=(stop,))
    thread.start()
    try:
        world.fire("anna")
        await until(lambda: len(receiver.got.get("/one", ())) == 1)
        write("two")
        await until(lambda: [each.name for each in webhooks.endpoints] == ["two"])
        world.fire("bela")
        await until(lambda: len(receiver.got.get("/two", ())) == 1)
        path.write_text("webhooks: [nonsense]")
        await until(lambda: webhooks.problem is not None)
        world.fire("chris")
        await until(lambda: len(receiver.got["/two"]) == 2)
        write("two", "one")
        await until(lambda: webhooks.problem is None)
        await until(lambda: len(webhooks.endpoints) == 2)
        world.fire("dora")
        await until(lambda: len(receiver.got["/one"]) == 2)
        await until(lambda: len(receiver.got["/two"]) == 3)
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def secure(receiver: Receiver, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An address by TLS, of localhost alone, and the certificate of who vouches for it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), receiver.server.RequestHandlerClass)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_port}/tls", str(tmp_path / "ca.pem")
    server.shutdown()
    server.server_close()


def test_certificates_are_checked_and_an_authority_of_ones_own_will_do(
    database: Engine, receiver: Receiver, secure: tuple[str, str]
) -> None:
    url, ca_file = secure
    unknown = Endpoint("unknown", url, SECRET, allow_private=True)
    known = Endpoint("known", url, SECRET, allow_private=True, ca_file=ca_file)
    other = url.replace("localhost", "127.0.0.1")  # the certificate is another's
    misnamed = Endpoint("misnamed", other, SECRET, allow_private=True, ca_file=ca_file)
    world = World(database, [unknown, known, misnamed])
    world.fire("anna")
    for name in ("unknown", "misnamed"):
        world.deliver(name)
        assert world.standing(name).failures == 1
    assert receiver.got == {}
    world.deliver("known")
    assert len(receiver.got["/tls"]) == 1


def test_what_a_restored_database_delivers_again_comes_under_the_same_id(
    database: Engine, receiver: Receiver
) -> None:
    """It cannot know whether the endpoint has it; who sees an id twice contacts once."""
    world = World(database, [endpoint(receiver, "ok")])
    world.fire("anna")
    rows = _all_rows(database)
    world.deliver("ok")
    with database.begin() as connection:  # yesterday's backup
        connection.execute(insert(webhook_deliveries), rows)
    world.deliver("ok")
    ids = [
        {k.lower(): v for k, v in headers.items()}["webhook-id"]
        for headers, _ in receiver.got["/ok"]
    ]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def _all_rows(database: Engine) -> list[dict[str, Any]]:
    with database.connect() as connection:
        return [dict(each._mapping) for each in connection.execute(select(webhook_deliveries))]


def test_an_answer_that_does_not_come_is_a_failure(
    make: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_transport, "_TIMEOUT", httpx.Timeout(0.2))
    world = make("hang")
    world.fire("anna")
    assert world.deliver("hang") == 1
    assert world.standing("hang").failures == 1


def test_private_addresses_are_refused_unless_allowed(database: Engine, receiver: Receiver) -> None:
    here = Endpoint("here", f"{receiver.url}/here", SECRET)
    world = World(database, [here])
    world.fire("anna")
    world.deliver("here")
    assert receiver.got == {}
    assert world.standing("here").failures == 1


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that says something else the second time is not asked a second time."""
    port, asked = receiver.server.server_port, list[str]()

    def rebinding(host: str, port: int, *_: object, **__: object) -> list[Any]:
        if host[0].isdigit():
            return [(2, 1, 6, "", (host, port))]
        asked.append(host)
        address = "192.0.2.1" if len(asked) > 1 else "127.0.0.1"
        return [(2, 1, 6, "", (address, port))]

    monkeypatch.setattr(webhook_transport.socket, "getaddrinfo", rebinding)
    with checked_client(allow_private=True) as http:
        answer = http.post(f"http://crm.example:{port}/ok", content=b"{}")
    assert (answer.status_code, asked) == (204, ["crm.example"])
    ((headers, _),) = receiver.got["/ok"]
    assert {name.lower(): each for name, each in headers.items()}["host"] == f"crm.example:{port}"


def test_a_name_with_one_private_address_among_others_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [(2, 1, 6, "", (each, 443)) for each in ("93.184.215.14", "169.254.169.254")]
    monkeypatch.setattr(webhook_transport.socket, "getaddrinfo", lambda *_, **__: found)
    with (
        checked_client(allow_private=False) as http,
        pytest.raises(ForbiddenAddressError, match=r"169\.254\.169\.254"),
    ):
        http.post("https://crm.example/hook", content=b"{}")


def test_another_campaigners_partitions_are_left_to_it(make: Callable[..., World]) -> None:
    world = make("ok")
    world.fire("anna")
    world.lease = Lease(1, 1)
    assert world.deliver("ok") == 0
