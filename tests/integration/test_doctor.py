"""`tenure doctor` on real brokers: each thing that is wrong is found, with its remedy."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from services import cli
from services.doctor import kafka as checks
from services.standalone.stack import environment
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.kafka_admin import topic_admin
from shared.adapters.sql.engine import open_database
from shared.settings import Settings, load_settings
from tests.support.secure_kafka import SecureKafka, secure_kafka

Found = dict[str, dict[str, str]]
Examine = Callable[..., tuple[Found, int]]


@pytest.fixture
def examine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Examine:
    """Return a function that runs `tenure doctor --json` with these settings."""
    monkeypatch.chdir(tmp_path)

    def run(**settings: str) -> tuple[Found, int]:
        for name in [each for each in os.environ if each.startswith("TENURE_")]:
            monkeypatch.delenv(name)
        for name, value in settings.items():
            monkeypatch.setenv(f"TENURE_{name.upper()}", value)
        monkeypatch.setattr(sys, "argv", ["tenure", "doctor", "--json"])
        with pytest.raises(SystemExit) as end:
            cli.main()
        found = json.loads(capsys.readouterr().out)
        return {each["check"]: each for each in found}, int(end.value.code or 0)

    return run


def deployed(kafka: EmbeddedKafka, prefix: str, **others: Any) -> dict[str, str]:  # noqa: ANN401
    """Make a deployment's topics, and return its settings."""
    settings = {"kafka_bootstrap_servers": kafka.bootstrap_servers, "topic_prefix": prefix} | others
    with topic_admin(load_settings(**settings)) as admin:
        admin.ensure()
    return settings


def failed(found: Found) -> set[str]:
    return {name for name, each in found.items() if each["outcome"] == "failed"}


def test_all_is_well(kafka: EmbeddedKafka, prefix: str, tmp_path: Path, examine: Examine) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    (tmp_path / "campaigns.yaml").write_text(
        "campaigns: [{name: a, state: draft, trigger: {risk_over: 0.6}, channel: c, offer: o}]"
    )
    settings = deployed(
        kafka,
        prefix,
        database_url=url,
        model_key="k" * 16,
        erasure_key="e" * 16,
        campaigns_file="campaigns.yaml",
    )
    open_database(url).dispose()
    found, code = examine(**settings)
    assert {name for name, each in found.items() if each["outcome"] != "ok"} == set(), found
    assert code == 0
    assert found["clock"]["text"] == "within 60 s of the broker's"
    assert not any(each["remedy"] for each in found.values())


def test_what_is_wrong_has_a_remedy(
    kafka: EmbeddedKafka, prefix: str, tmp_path: Path, examine: Examine
) -> None:
    (tmp_path / "broken.yaml").write_text("campaigns: [{name: a}]")
    (tmp_path / "hooks.yaml").write_text("webhooks: [{name: crm}]")
    (tmp_path / "keys.yaml").write_text("keys: []")
    (tmp_path / "no.db").write_text("this is no database, but it is long enough " * 10)
    found, code = examine(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=prefix,
        database_url=f"sqlite:///{tmp_path / 'no.db'}",
        campaigns_file="broken.yaml",
        webhooks_file="hooks.yaml",
        ingest_host="0.0.0.0",  # noqa: S104  # nobody listens
        campaigner_keys_file="missing.yaml",
    )
    assert code == 1
    wrong = {
        "topics",
        "database",
        "campaigns",
        "webhooks",
        "ingest's API keys",
        "campaigner's API keys",
    }
    assert failed(found) == wrong
    assert "tenure topics" in found["topics"]["remedy"]
    assert "TENURE_DATABASE_URL" in found["database"]["text"]
    assert "line 1" in found["campaigns"]["text"]
    assert "tenure keys create" in found["ingest's API keys"]["remedy"]
    assert found["model key"]["outcome"] == "warning"
    assert found["erasure key"]["outcome"] == "warning"
    assert all(found[name]["remedy"] for name in wrong)


def test_nobody_answers_and_settings_are_wrong(examine: Examine) -> None:
    found, code = examine(kafka_bootstrap_servers="127.0.0.1:1")
    assert code == 1
    assert "TENURE_KAFKA_BOOTSTRAP_SERVERS" in found["broker"]["text"]
    assert "topics" not in found
    assert found["database"]["outcome"] == "ok"
    assert not Path("tenure.db").exists()  # it only looks
    found, code = examine(partitions="none")
    assert (code, set(found)) == (1, {"settings"})
    assert "TENURE_PARTITIONS" in found["settings"]["text"]


def test_a_clock_that_is_off_is_found(
    kafka: EmbeddedKafka, prefix: str, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = deployed(kafka, prefix)
    real = checks.time.time
    for off, relation in ((90, "90 s ahead of"), (-90, "behind")):
        with monkeypatch.context() as changed:
            changed.setattr(checks.time, "time", lambda off=off: real() + off)
            found, code = examine(**settings)
        assert code == 1
        assert failed(found) == {"clock"}
        assert relation in found["clock"]["text"]
        assert "NTP" in found["clock"]["remedy"]


@pytest.mark.parametrize("what", ["another version", "another key"])
def test_what_other_versions_and_keys_wrote_is_found(
    kafka: EmbeddedKafka, prefix: str, examine: Examine, what: str
) -> None:
    from kafka import KafkaProducer

    settings = deployed(kafka, prefix)
    topic, check = {
        "another version": ("customer-state", "states"),
        "another key": ("churn-models", "models"),
    }[what]
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    with closing(producer):
        producer.send(
            f"{prefix}{topic}", b"\xff" * 64, b"c-1", partition=0, headers=[("signature", b"x")]
        ).get(10)
    found, code = examine(**settings)
    assert code == 1
    assert failed(found) == {check}
    assert found[check]["remedy"]


def test_a_model_that_was_never_published_is_none(
    kafka: EmbeddedKafka, prefix: str, examine: Examine
) -> None:
    """A trainer that failed leaves the record of a transaction that was aborted."""
    from kafka import KafkaProducer

    settings = deployed(kafka, prefix)
    producer = KafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, transactional_id=f"{prefix}trainer"
    )
    with closing(producer):
        producer.init_transactions()
        producer.begin_transaction()
        sent = producer.send(
            f"{prefix}churn-models", b"\xff" * 64, b"c-1", headers=[("signature", b"x")]
        )
        producer.flush()
        sent.get(10)
        producer.abort_transaction()
    found, code = examine(**settings)
    assert code == 0
    assert found["models"]["text"].startswith("none is published yet")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("certificates")) as broker:
        yield broker


def test_what_rules_forbid_is_found(secure: SecureKafka, prefix: str, examine: Examine) -> None:
    """One rule at a time takes away what each check is about."""
    settings = load_settings(**secure.settings("SASL_PLAINTEXT"), topic_prefix=prefix)
    with topic_admin(settings) as admin:
        admin.ensure()
    cases = [
        (ResourceType.TOPIC, f"{prefix}retention-triggers", ACLOperation.WRITE, "permissions"),
        (ResourceType.TOPIC, f"{prefix}erasures", ACLOperation.DESCRIBE, "broker"),
        (ResourceType.GROUP, f"{prefix}tenure-trainer", ACLOperation.DESCRIBE, "groups"),
        (ResourceType.TRANSACTIONAL_ID, f"{prefix}doctor", ACLOperation.ALL, "transactions"),
    ]
    for resource, name, operation, check in cases:
        with forbidden(secure, resource, name, operation):
            found, code = examine(**_given(settings))
        assert code == 1, check
        assert failed(found) == {check}
        assert "TENURE_TOPIC_PREFIX" in str(found[check]) or name in found[check]["text"]
    assert examine(**_given(settings))[1] == 0


def _given(settings: Settings) -> dict[str, str]:
    return {
        name.removeprefix("TENURE_").lower(): value for name, value in environment(settings).items()
    }


class forbidden:  # noqa: N801  # used as a statement
    """A rule that holds within the block."""

    def __init__(
        self, secure: SecureKafka, kind: ResourceType, name: str, operation: ACLOperation
    ) -> None:
        self._servers = secure.broker.bootstrap_servers
        self._rules = [
            ACL("User:tenure", "*", operation, ACLPermissionType.DENY, ResourcePattern(kind, name)),
            # A rule for one operation would end what is allowed where there are no rules.
            ACL(
                "User:tenure",
                "*",
                ACLOperation.ALL,
                ACLPermissionType.ALLOW,
                ResourcePattern(kind, name),
            ),
        ]

    def __enter__(self) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=self._servers)) as admin:
            assert not admin.create_acls(self._rules)["failed"]
            self._await(admin, len(self._rules))

    def __exit__(self, *_: object) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=self._servers)) as admin:
            admin.delete_acls(self._rules)
            self._await(admin, 0)

    def _await(self, admin: KafkaAdminClient, known: int) -> None:
        """Wait until the broker has heard of it: the controller, which answered, is ahead of it."""
        until = time.monotonic() + 60
        while sum(len(admin.describe_acls(each)[0]) for each in self._rules) != known:
            assert time.monotonic() < until
            time.sleep(0.05)
