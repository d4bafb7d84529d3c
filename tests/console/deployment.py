"""A whole Tenure with a real Kafka, and with customers who would like to be HTML."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import yaml
from kafka import KafkaProducer

from services.standalone.stack import Place, Stack
from shared.adapters.api_keys import create_key
from shared.adapters.embedded_kafka import free_port
from shared.settings import Settings
from tests.http import http

T = TypeVar("T")

ROLES = ("viewer", "operator", "admin")
#: Somebody whose role changes.
MOVER = "mover"
#: Who wrote the campaign file.
AUTHOR = "mia"
ANNA, BELA, NEWCOMER = "anna", "bela", "newcomer"
#: Each would set `window.hacked` if any page took it for markup, or for code.
HOSTILE = (
    '<img src=x onerror="window.hacked=1">',
    '"><script>window.hacked=1</script>',
    "{{window.hacked=1}}${window.hacked=1}`",
    "javascript:window.hacked=1//",
    "a/b?c#d%2e&amp;",
)
CAMPAIGNS = """
guard_rails:
  author: mia
  budget: {month: 100}
campaigns:
  - name: welcome
    state: live
    trigger: {risk_over: 0.05, hysteresis: 0, include_existing: true}
    channel: app
    offer: "<b onmouseover=window.hacked=1>ten percent"
    control: 0
    cool_down: 1d
    valid_for: 60d
    cost_per_contact: 0.5
    budget: {month: 50}
    audience: {stages: [onboarding, growth, maturity, decline, dormant, won_back]}
  - name: second-look
    state: live
    trigger: {risk_over: 0.05, hysteresis: 0, include_existing: true}
    channel: sms
    offer: call-me
    control: 50%
    cool_down: 1d
    valid_for: 60d
    approval: true
"""


@dataclass
class Deployment:
    """Where everything is.

    Attributes
    ----------
    keys
        By role, and the mover's.
    hashes
        What the keys file has of them.
    settings
        As the services have them.

    """

    settings: Settings
    keys: Mapping[str, str]
    hashes: Mapping[str, str]

    def write_keys(self, mover: str) -> None:
        """Write the keys file anew, with a role for the mover."""
        roles = {MOVER: mover, AUTHOR: "viewer"}
        entries = [
            {"name": name, "hash": hashed, "role": roles.get(name, name)}
            for name, hashed in self.hashes.items()
        ]
        path = self.settings.campaigner_keys_file
        assert path is not None
        path.write_text(yaml.safe_dump({"keys": entries}))

    @property
    def ingest(self) -> str:
        return f"http://127.0.0.1:{self.settings.ingest_port}"

    @property
    def operator(self) -> str:
        return f"http://127.0.0.1:{self.settings.campaigner_port}"

    @property
    def scorer(self) -> str:
        return f"http://127.0.0.1:{self.settings.scorer_port}"

    @property
    def console(self) -> str:
        return f"{self.operator}/console"

    def get(self, path: str, role: str = "viewer") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[role]}"}
        return http.get(self.operator + path, headers=headers)

    def post(self, *events: Mapping[str, Any]) -> None:
        answer = http.post(
            f"{self.ingest}/v1/events",
            content=json.dumps(events),
            headers={"Content-Type": "application/cloudevents-batch+json"},
            timeout=60,
        )
        assert answer.status_code == 202, answer.text

    def write(self, value: bytes) -> None:
        """Write straight to the log, past ingest."""
        producer = KafkaProducer(bootstrap_servers=self.settings.kafka_bootstrap_servers)
        producer.send(self.settings.topic("customer-events"), value, partition=0).get(30)
        producer.close()

    def knows(self, customer: str) -> bool:
        return self.get(f"/v1/customers/{quote(customer, safe='')}").is_success


def purchase(customer: str, number: int, *, days_ago: float = 0, **data: object) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "tenure.purchase",
        "source": "shop <i>of</i> tests",
        "id": f"{customer}-{number}",
        "subject": customer,
        "time": (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(),
        "data": {"amount": 25.0, "product": "<b>tea</b>", **data},
    }


def account(customer: str, number: int, **data: object) -> dict[str, Any]:
    return purchase(customer, number) | {"type": "tenure.account", "data": data}


def history() -> list[dict[str, Any]]:
    customers = (ANNA, BELA, *HOSTILE)
    return [
        *(purchase(who, n, days_ago=20 - 2 * n) for n in range(5) for who in customers),
        *(
            account(
                who, 90, status="plan_changed", plan="<i>gold</i>", attributes={"<u>x": "{{y}}"}
            )
            for who in customers
        ),
    ]


@contextmanager
def deployed(kafka: str, prefix: str, folder: Path) -> Iterator[Deployment]:
    """Run ingest, scorer and campaigner, with their history decided on."""
    made = {name: create_key(name) for name in (*ROLES, MOVER, AUTHOR)}
    (folder / "campaigns.yaml").write_text(CAMPAIGNS)
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    ports = {f"{name}_port": free_port() for name in ("ingest", "scorer", "campaigner")}
    settings = Settings(
        **defaults
        | ports
        | {
            "kafka_bootstrap_servers": kafka,
            "topic_prefix": prefix,
            "partitions": 2,
            "database_url": f"sqlite:///{folder / 'tenure.db'}",
            "data_dir": folder,
            "campaigner_keys_file": folder / "keys.yaml",
            "campaigns_file": folder / "campaigns.yaml",
            "tick_after_s": 1.0,
        }
    )
    keys, hashes = ({name: pair[n] for name, pair in made.items()} for n in (0, 1))
    found = Deployment(settings, keys, hashes)
    found.write_keys(mover="operator")
    with _running(Place(settings, folder, own_broker=False)):
        found.post(*history())
        wait_for(lambda: all(map(found.knows, (ANNA, BELA, *HOSTILE))))
        yield found


@contextmanager
def _running(place: Place) -> Iterator[None]:
    """Keep a stack up in a loop of its own: Playwright's own loop has this thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    stack = Stack(place)

    def do(what: Any) -> None:  # noqa: ANN401  # a coroutine
        asyncio.run_coroutine_threadsafe(what, loop).result(120)

    do(stack.__aenter__())
    try:
        yield
    finally:
        do(stack.__aexit__(None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def wait_for(condition: Callable[[], T], seconds: float = 60.0) -> T:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value
