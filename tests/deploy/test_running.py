"""docker-compose.yml without Docker: its commands with its environment, as plain processes.

Kafka and PostgreSQL come from wheels, Prometheus from Debian; everything that the file, the
dashboards and the alert rules say about the services meets the services here.
"""

import json
import random
import secrets
import shutil
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import KafkaProducer

from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import Board, Panel
from shared.adapters.embedded_kafka import EmbeddedKafka, free_port
from tests.deploy.compose import ComposeFile
from tests.deploy.database import application_database
from tests.deploy.processes import Deployment, until
from tests.deploy.prometheus import Prometheus
from tests.deploy.rules_files import ALERTS, names
from tests.deploy.tools import DEPLOY, program
from tests.http import http

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

KEY = ComposeFile.read().service("load").environment["TENURE_API_KEY"]
SERVICES = ("ingest", "scorer", "scorer-2", "campaigner")
DAYS, CUSTOMERS = 80, 250
_ids = count()


def configuration(folder: Path) -> Path:
    """Copy the deployment's, with what makes everything happen that an alert looks at.

    A campaign that history fires, or no trigger would leave; a budget; two offers; a webhook.
    """
    copy = shutil.copytree(DEPLOY / "compose", folder / "configuration")
    campaigns = copy / "campaigns.yaml"
    text = campaigns.read_text()
    assert "valid_for: 1h" in text
    text = text.replace("valid_for: 1h", "valid_for: 3660d")
    assert "offer: retention" in text
    text = text.replace("offer: retention", "offers: {choices: [{name: less}, {name: more}]}")
    campaigns.write_text(f"{text}    cost_per_contact: 1\n    budget: {{in_all: 1000000}}\n")
    secret = copy / "secret"
    secret.write_text("whsec_" + b64encode(bytes(32)).decode())
    (copy / "webhooks.yaml").write_text(
        f"webhooks: [{{name: nobody, url: 'http://127.0.0.1:{free_port()}', "
        f"secret_file: {secret}, allow_private: true}}]"
    )
    return copy


@pytest.fixture(scope="module")
def deployment(
    kafka: EmbeddedKafka, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    variables = {"TENURE_CONFIGURATION": str(configuration(folder)), "TENURE_HORIZON_DAYS": "2"}
    prefix = f"compose-{secrets.token_hex(4)}-"
    with (
        application_database(postgres, folder) as database,
        Deployment(
            ComposeFile.read(variables),
            folder,
            kafka.bootstrap_servers,
            database.render_as_string(hide_password=False),
            prefix,
        ) as deployment,
    ):
        assert f"created {prefix}customer-events" in deployment.run("topics")
        for name in SERVICES:
            deployment.start(name)
        deployment.await_healthy(*SERVICES)
        yield deployment


def event(customer: str, at: datetime, amount: float = 10.0) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"event-{next(_ids)}",
        "source": "//tests",
        "type": "tenure.purchase",
        "subject": customer,
        "time": at.isoformat(),
        "data": {"amount": amount},
    }


def post(deployment: Deployment, path: str, body: object, kind: str) -> httpx.Response:
    port = deployment.running["ingest"].port
    headers = {"authorization": f"Bearer {KEY}", "content-type": kind}
    return http.post(
        f"http://127.0.0.1:{port}{path}", content=json.dumps(body), headers=headers, timeout=60
    )


def pages(deployment: Deployment) -> list[dict[str, Any]]:
    """Return what each scorer says of itself."""
    return [deployment.running[name].get("/status").json() for name in SERVICES[1:3]]


def partitions(scorers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [partition for page in scorers for partition in page["partitions"].values()]


def customers(deployment: Deployment) -> int:
    return sum(partition["customers"] for partition in partitions(pages(deployment)))


def test_a_posted_event_reaches_state_and_read_model(deployment: Deployment) -> None:
    # Before all others: what comes to its partition would else be late.
    body = event("first", datetime.now(UTC) - timedelta(days=DAYS + 1))
    answer = post(deployment, "/v1/events", body, "application/cloudevents+json")
    assert answer.status_code == 202, answer.text
    until(lambda: customers(deployment) == 1, 30, "durable")
    campaigner = deployment.running["campaigner"]
    until(
        lambda: campaigner.get("/v1/customers/first", KEY).status_code == 200, 30, "in read model"
    )
    assert campaigner.get("/v1/customers/first").status_code == 401


def test_scorers_share_the_partitions(deployment: Deployment) -> None:
    def owned() -> list[list[str]]:
        return [list(page["partitions"]) for page in pages(deployment)]

    until(lambda: [len(each) for each in owned()] == [2, 2], 60, "two partitions each")
    assert sorted([number for each in owned() for number in each]) == ["0", "1", "2", "3"]


# ---- with history, load, and Prometheus


def live_through(deployment: Deployment, prometheus: Prometheus) -> None:
    """Let customers live for some months, of whom some fall silent.

    They come every other day, which the heuristic does not know, so that a model is soon better
    than it. One that is, is served in the second half: before, champion and challenger say the
    same.
    """
    rng = random.Random(5)
    now = datetime.now(UTC)
    for day in range(DAYS, 0, -1):
        at = now - timedelta(days=day)
        batch = [
            event(f"c-{number}", at + timedelta(minutes=rng.randrange(600)))
            for number in range(CUSTOMERS)
            # One in five stops some day; some come in between.
            if ((day + number) % 2 == 0 or rng.random() < 0.05)
            and (number % 5 or day > number % DAYS)
        ]
        batch.sort(key=lambda one: one["time"])
        kind = "application/cloudevents-batch+json"
        assert post(deployment, "/v1/events", batch, kind).status_code == 202
        evening = {"time": (at + timedelta(hours=11)).isoformat()}
        assert post(deployment, "/v1/ticks", evening, "application/json").status_code == 202
        if day == DAYS // 2:
            prometheus.await_value('tenure_model_warm{job="scorer"} == 1')
            until(lambda: served(deployment), 60, "serving the newest model")


def served(deployment: Deployment) -> bool:
    """Tell whether all partitions serve the newest model."""
    scorers = pages(deployment)
    newest = max(page["model"]["version"] for page in scorers if page["model"])
    return all(partition["model"] == newest for partition in partitions(scorers))


def write_nonsense(deployment: Deployment) -> None:
    """Write what is no event straight to Kafka, as a producer might that knows no better."""
    producer = KafkaProducer(bootstrap_servers=deployment.broker)
    producer.send(f"{deployment.prefix}customer-events", b"nonsense").get(30)
    producer.close()


@pytest.fixture(scope="module")
def prometheus(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    program("prometheus")
    targets = {
        "ingest": ["ingest"], "scorer": ["scorer", "scorer-2"], "campaigner": ["campaigner"],
    }  # fmt: skip
    ports = {
        job: [deployment.running[name].port for name in services]
        for job, services in targets.items()
    }
    with Prometheus(tmp_path_factory.mktemp("prometheus"), ports) as prometheus:
        prometheus.await_value("min(up) == 1 and count(up) == 5")
        live_through(deployment, prometheus)
        deployment.start("load")
        prometheus.await_value('sum(tenure_campaigner_triggers_total{job="campaigner"}) > 0')
        prometheus.await_value("sum(tenure_campaigner_webhook_tries_total) > 0")
        write_nonsense(deployment)
        prometheus.await_value("sum(increase(tenure_scorer_dead_letters_total[1m])) > 0")
        prometheus.await_value('tenure_ingest_events_invalid_total{job="ingest"} > 0')
        yield prometheus


PANELS = [
    (board, panel) for board in BOARDS for section in board.sections for panel in section.panels
]


@pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=[f"{board.uid}: {panel.title}" for board, panel in PANELS]
)
def test_each_query_of_each_panel_returns_data(
    prometheus: Prometheus, board: Board, panel: Panel
) -> None:
    """All that a panel may be empty until has happened here, so that none may be."""
    for query in panel.queries:
        expr = query.expr.replace("$__rate_interval", "30s")
        prometheus.await_value(expr, 120)  # some gauges are set once a minute
        labels = prometheus.query(expr)[0]["metric"]
        for label in query.legend.replace("}}", "{{").split("{{")[1::2]:
            assert label in labels, f"{query.expr} has no label {label}"


def test_each_alert_is_evaluated_and_asks_for_series_that_are_there(
    prometheus: Prometheus,
) -> None:
    health = {rule["name"]: (rule["health"], rule.get("lastError")) for rule in prometheus.rules()}
    assert set(health) >= {rule.name for rule in ALERTS}
    assert {name: why for name, why in health.items() if why != ("ok", None)} == {}
    missing = {
        (rule.name, name)
        for rule in ALERTS
        for name in names(rule.expr)
        if not prometheus.query(f'count({{__name__="{name}"}})')
    }
    assert missing == set()


def test_what_fires_is_what_is_wrong(prometheus: Prometheus) -> None:
    """The nonsense that was written to Kafka is reported, and nothing else is.

    Except that the machine may be too slow for the objective of ingest's latency, and that months
    which pass in seconds may outrun the model: a drift for whoever watches what it said.
    """
    apart = "TenureIngestLatencyBurn|TenureModelDrift"
    firing = f'ALERTS{{alertstate="firing",alertname!~"{apart}"}}'
    prometheus.await_value(firing)
    assert {
        (alert["metric"]["alertname"], alert["metric"].get("reason"))
        for alert in prometheus.query(firing)
    } == {("TenureDeadLetters", "unreadable")}


def test_they_stop_when_they_are_told_and_leave_nothing(deployment: Deployment) -> None:
    """The file system of the containers is read-only."""
    for name in [name for name in ("load", *SERVICES) if name in deployment.running]:
        process = deployment.running[name]
        code = process.stop()
        assert code in ((0,) if name != "load" else (-15,)), process.log
        assert list(process.folder.iterdir()) == [], name
