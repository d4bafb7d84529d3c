"""The past of a live campaigner on a real Kafka, tried again: the same ids, and nothing written."""

import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner

from services.cli import app
from services.standalone.stack import environment
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.event_log import customer_partition
from shared.domain.campaign_outputs import Decision
from shared.domain.outputs import Clock, Score
from shared.settings import Settings, load_settings
from tests.campaign_builders import HOUR, T0, raw, score
from tests.integration.campaigner_kafka import (
    PARTITIONS,
    campaigner_process,
    decisions,
    make_topics,
    records,
    wait_for,
)

pytestmark = pytest.mark.kafka

RULES = """\
guard_rails: {quiet_hours: "09:00-10:00", per_day: 2}
campaigns:
- {name: early-warning, state: live, trigger: {risk_over: 0.6, hysteresis: 0.1}, channel: sms,
   offer: ten-percent, control: 30%, cool_down: 20m, cost_per_contact: 0.5}
- {name: calm, state: live, trigger: {risk_under: 0.2}, channel: email, offer: thanks,
   control: 0%, cool_down: 0s, priority: 3}
- {name: silence, state: live, trigger: {silent_for: 290h}, channel: app, offer: come-back,
   control: 50%}
"""


@pytest.fixture
def settings(kafka: EmbeddedKafka, prefix: str, tmp_path: Path) -> Settings:
    (tmp_path / "campaigns.yaml").write_text(RULES)
    settings = load_settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=prefix,
        partitions=PARTITIONS,
        database_url=f"sqlite:///{tmp_path / 'tenure.db'}",
        campaigner_port=0,
        campaigns_file=tmp_path / "campaigns.yaml",
        session_timeout_s=6,
    )
    make_topics(settings)
    return settings


def send(settings: Settings, messages: list[Score | Clock]) -> None:
    """Write scores to both topics, as the scorer does."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, acks="all")
    with closing(producer):
        for each in messages:
            clock = isinstance(each, Clock)
            key = "\0clock" if clock else each.customer
            number = each.partition if clock else customer_partition(key, PARTITIONS)
            for topic in ("customer-scores", "score-history"):
                value = raw(each).encode()
                producer.send(settings.topic(topic), value, key=key.encode(), partition=number)
        producer.flush()


def history() -> list[Score | Clock]:
    """Return three hours of 20 customers, an hour of quiet among them."""
    draw = random.Random(7)
    marks = [0.1, 0.15, 0.4, 0.5, 0.6, 0.7]
    scores: list[Score | Clock] = [
        score(f"c{draw.randrange(20)}", draw.choice(marks), step) for step in range(180)
    ]
    return [*scores, *(Clock(each, T0 + 4 * HOUR) for each in range(PARTITIONS))]


def all_made(settings: Settings) -> list[Decision] | None:
    """Return the decisions once the last ones are there, which time alone makes."""
    found = decisions(settings)
    silent = {each.customer for each in found if each.campaign == "silence"}
    return found if len(silent) == 20 else None


def published(settings: Settings) -> list[int]:
    topics = ("campaign-decisions", "retention-triggers")
    return [len(records(settings, each)) for each in topics]


def simulated(settings: Settings, monkeypatch: pytest.MonkeyPatch, *more: str) -> dict[str, Any]:
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    command = ["campaigns", "simulate", "--from", "2027-01-15T09:00:00Z", "--json", *more]
    done = CliRunner().invoke(app, [*command, "--to", "2028-01-01"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_past_comes_out_as_it_was_and_otherwise_under_other_rules(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    send(settings, history())
    with campaigner_process(settings):
        # The clocks come last: behind them every decision of the history is made and published.
        made = wait_for(lambda: all_made(settings)) or []
    begin = T0 + HOUR
    written = published(settings)
    outcomes = {each.outcome for each in made}
    assert {"fired", "held_out", "suppressed"} <= outcomes, "else little is shown"
    assert any(each.crossed_at for each in made), "nothing waited for the end of quiet hours"

    same = simulated(settings, monkeypatch)
    assert same["same"], same
    ours = {each["campaign"]: each for each in same["campaigns"]}
    for name, found in ours.items():
        fired = {
            each.id
            for each in made
            if each.campaign == name and each.outcome == "fired" and each.at >= begin
        }
        assert {each["decision"] for each in found["contacted"]} == fired
        assert found["gained"] == found["lost"] == []

    changed = tmp_path / "changed.yaml"
    changed.write_text(RULES.replace("risk_over: 0.6", "risk_over: 0.7").replace("per_day: 2", ""))
    other = simulated(settings, monkeypatch, "--with", str(changed))
    assert not other["same"]
    assert any(each["gained"] or each["lost"] for each in other["campaigns"])
    assert published(settings) == written
