"""A campaigner with a webhook, and the CSV of what it decided: from the score to both."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.standalone.stack import environment
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.settings import load_settings
from tests.campaign_builders import score
from tests.contract.test_webhooks import SECRET, Receiver, receiver, serving
from tests.integration.campaigner_kafka import (
    PARTITIONS,
    campaigner_process,
    make_topics,
    send_scores,
    triggers,
    wait_for,
)

__all__ = ["receiver", "serving"]

pytestmark = pytest.mark.kafka

CAMPAIGNS = """\
campaigns:
- {name: early-warning, state: live, trigger: {risk_over: 0.6}, channel: sms, offer: "+5 %",
   control: 0%}
"""


def test_a_trigger_reaches_kafka_and_its_webhook_and_a_spreadsheet(
    kafka: EmbeddedKafka,
    prefix: str,
    tmp_path: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "campaigns.yaml").write_text(CAMPAIGNS)
    (tmp_path / "secret").write_text(SECRET)
    hook = {"name": "crm", "url": f"{receiver.url}/ok", "allow_private": True}
    hook["secret_file"] = str(tmp_path / "secret")
    (tmp_path / "webhooks.yaml").write_text(json.dumps({"webhooks": [hook]}))
    settings = load_settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=prefix,
        partitions=PARTITIONS,
        database_url=f"sqlite:///{tmp_path / 'tenure.db'}",
        campaigner_port=0,
        campaigns_file=tmp_path / "campaigns.yaml",
        webhooks_file=tmp_path / "webhooks.yaml",
        session_timeout_s=6,
    )
    make_topics(settings)
    send_scores(settings, [score("=anna", 0.1), score("=anna", 0.7, 1)])
    with campaigner_process(settings):
        (got,) = wait_for(lambda: receiver.got.get("/ok"))
    (trigger,) = triggers(settings)
    assert json.loads(got[1])["data"]["decision"] == trigger.decision

    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    out = tmp_path / "out.csv"
    command = ["campaigns", "export", "--from", "2027-01-01", "--to", "2027-02-01", "--fired"]
    done = CliRunner().invoke(app, [*command, "--csv", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with out.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["decision"] == trigger.decision
    assert (row["customer"], row["offer"]) == ("'=anna", "'+5 %")
    assert float(row["risk"]) == 0.7
