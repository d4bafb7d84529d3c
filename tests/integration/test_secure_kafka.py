"""A Kafka that asks who is there: every client of ours comes in, and says so when it may not."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from services.campaigner.consumer import ScoreConsumer
from services.demo.evidence import read_evidence
from services.standalone.stack import Stack, throwaway
from shared.adapters.event_log import KafkaEventLog
from shared.adapters.kafka_admin import TopicsError, topic_admin
from shared.adapters.kafka_connection import KafkaAccessError, connection
from shared.settings import load_settings
from tests.http import http
from tests.support.secure_kafka import PLAIN, SCRAM, SecureKafka, secure_kafka
from tests.waiting import until

WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "password": (
        "SASL_PLAINTEXT",
        {"kafka_sasl_password": "let-me-out"},
        "does not let 'tenure' in.*TENURE_KAFKA_SASL_PASSWORD",
    ),
    "user over tls": (
        "SASL_SSL",
        {"kafka_sasl_username": "guest"},
        "does not let 'guest' in.*TENURE_KAFKA_SASL_USERNAME",
    ),
    "mechanism": (
        "SASL_PLAINTEXT",
        {"kafka_sasl_mechanism": "SCRAM-SHA-256"},
        "does not take SCRAM-SHA-256.*TENURE_KAFKA_SASL_MECHANISM",
    ),
    "authority": (
        "SSL",
        {"kafka_ssl_ca_file": None},
        "cannot be trusted.*TENURE_KAFKA_SSL_CA_FILE",
    ),
    "no certificate": (
        "SSL",
        {"kafka_ssl_cert_file": None, "kafka_ssl_key_file": None},
        "TENURE_KAFKA_SECURITY_PROTOCOL, TENURE_KAFKA_SSL_CERT_FILE",
    ),
}


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("certificates")) as broker:
        yield broker


@pytest.mark.timeout(300)  # three services start
@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "mechanism"), [("SASL_PLAINTEXT", SCRAM), ("SSL", SCRAM), ("SASL_SSL", PLAIN)]
)
async def test_an_event_goes_the_whole_way(
    secure: SecureKafka, prefix: str, protocol: str, mechanism: str
) -> None:
    """Topics are made, ingest accepts, the scorer scores, the campaigner reads it."""
    place = throwaway(topic_prefix=prefix, **secure.settings(protocol, mechanism))
    async with Stack(dataclasses.replace(place, own_broker=False)) as stack:
        await asyncio.to_thread(post, f"{stack.url('ingest')}/v1/events")
        profile = f"{stack.url('campaigner')}/v1/customers/c-1"
        await until(lambda: http.get(profile).is_success)
        assert (await read_evidence(stack.settings, [])).decisions == []


def post(url: str) -> None:
    event = {
        "specversion": "1.0",
        "type": "tenure.purchase",
        "source": "shop",
        "id": "1",
        "subject": "c-1",
        "time": datetime.now(UTC).isoformat(),
        "data": {"amount": 25},
    }
    answer = http.post(url, json=event, headers={"content-type": "application/cloudevents+json"})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text


@pytest.mark.parametrize("case", WRONG)
def test_who_is_not_let_in_is_told_what_to_change(secure: SecureKafka, case: str) -> None:
    protocol, change, message = WRONG[case]
    settings = load_settings(**secure.settings(protocol) | change)
    with pytest.raises(TopicsError, match=message), topic_admin(settings, timeout_s=0):
        pass


def test_talking_plainly_to_a_listener_that_wants_more_is_told(secure: SecureKafka) -> None:
    for protocol in secure.ports:
        servers = secure.settings(protocol)["kafka_bootstrap_servers"]
        settings = load_settings(kafka_bootstrap_servers=servers)
        with (
            pytest.raises(TopicsError, match=r"PLAINTEXT.*TENURE_KAFKA_SECURITY_PROTOCOL"),
            topic_admin(settings, timeout_s=0),
        ):
            pass


def test_talking_tls_to_a_plain_listener_is_told(secure: SecureKafka) -> None:
    plain = {"kafka_bootstrap_servers": secure.broker.bootstrap_servers}
    settings = load_settings(**secure.settings("SSL") | plain)
    with (
        pytest.raises(TopicsError, match=r"hangs up on SSL.*TENURE_KAFKA_SECURITY_PROTOCOL"),
        topic_admin(settings, timeout_s=0),
    ):
        pass


async def test_ingest_is_unready_with_the_reason(secure: SecureKafka) -> None:
    wrong = secure.settings("SASL_PLAINTEXT") | {"kafka_sasl_password": "let-me-out"}
    log = KafkaEventLog(load_settings(**wrong), "customer-events")
    await log.start()
    try:
        await until(lambda: "TENURE_KAFKA_SASL_PASSWORD" in (log.problem() or ""))
    finally:
        await log.stop()


async def test_the_campaigner_is_unready_with_the_reason(secure: SecureKafka) -> None:
    wrong = secure.settings("SASL_PLAINTEXT") | {"kafka_sasl_password": "let-me-out"}
    campaigner: Any = SimpleNamespace(disown=lambda: None)
    consumer, stop = ScoreConsumer(load_settings(**wrong), campaigner), Event()
    thread = Thread(target=consumer.run, args=(stop,))
    thread.start()
    try:
        await until(lambda: "TENURE_KAFKA_SASL_PASSWORD" in (consumer.problem or ""))
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("setting", ["kafka_ssl_ca_file", "kafka_ssl_key_file"])
def test_a_file_that_cannot_be_used_is_named(secure: SecureKafka, setting: str) -> None:
    (secure.files / "broken.pem").write_text("no key")
    for name in ("missing.pem", "broken.pem"):
        files = secure.settings("SSL") | {setting: secure.files / name}
        with pytest.raises(KafkaAccessError, match=f"TENURE_{setting.upper()}.*PEM"):
            connection(load_settings(**files))
