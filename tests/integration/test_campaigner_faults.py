"""Campaigners that are killed, paused and cut off, on a real Kafka and both databases."""

import signal
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, make_url, select, text
from sqlalchemy.exc import OperationalError

from services.campaigner.bootstrap import wall_clock
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.event_log import customer_partition
from shared.adapters.sql.engine import open_database
from shared.adapters.sql.tables import budgets, positions
from shared.adapters.sql.tables import decisions as decisions_table
from shared.domain.campaigns import GuardRails, decision_id, draw_arm
from shared.domain.outputs import Identity, Score
from shared.settings import Settings, load_settings
from tests.campaign_builders import campaign, score
from tests.integration.campaigner_kafka import (
    PARTITIONS,
    campaigner_process,
    decisions,
    make_topics,
    send_scores,
    triggers,
    wait_for,
)

pytestmark = [pytest.mark.kafka, pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]

CAMPAIGNS = """\
guard_rails: {control: 10%}
campaigns:
  - name: early-warning
    state: live
    trigger: {risk_over: 0.6}
    channel: sms
    offers: {choices: [{name: ten-percent-off}, {name: extra-data}]}
    topic: own
    control: 30%
    cool_down: 0s
    cost_per_contact: 0.05
    budget: {day: 1000}
"""
#: Every place that a campaigner passes from the score to the forgotten row.
PLACES = [
    "lent", "folded", "advanced", "written", "committed", "selected",
    "triggers acknowledged", "decisions acknowledged", "settled", "forgotten",
]  # fmt: skip


@pytest.fixture
def settings(kafka: EmbeddedKafka, prefix: str, tmp_path: Path, database_url: str) -> Settings:
    return settings_for(kafka, prefix, tmp_path, database_url)


def settings_for(kafka: EmbeddedKafka, prefix: str, tmp_path: Path, database_url: str) -> Settings:
    path = tmp_path / "campaigns.yaml"
    path.write_text(CAMPAIGNS)
    open_database(database_url).dispose()
    settings = load_settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=prefix,
        partitions=PARTITIONS,
        database_url=database_url,
        campaigner_port=0,
        campaigns_file=path,
        session_timeout_s=3,
    )
    make_topics(settings)
    return settings


def rises(customers: Sequence[str], start: int) -> list[Score]:
    """Return a rise of each customer over the threshold, now; places in the log from ``start``."""
    now = wall_clock()
    places = enumerate((who, risk) for who in customers for risk in (0.1, 0.7))
    return [
        score(who, risk, at=now, origin=Identity(0, start + number, 0))
        for number, (who, risk) in places
    ]


def crowd(name: str, size: int = 20) -> list[str]:
    return [f"{name}-{number}" for number in range(size)]


def expected_fired(customers: Sequence[str]) -> set[str]:
    rule = campaign(control=0.3)
    rails = GuardRails(control=0.1)
    treated = [who for who in customers if draw_arm(rule, who, "tenure", rails) == "treatment"]
    return {decision_id("early-warning", who, 1) for who in treated}


def outcomes(settings: Settings) -> dict[str, str]:
    """Return the outcomes that are final, by id; no id comes twice."""
    engine = create_engine(settings.database_url.replace("postgresql://", "postgresql+psycopg://"))
    columns = (decisions_table.c.id, decisions_table.c.outcome)
    with engine.connect() as connection:
        query = select(*columns).where(decisions_table.c.settled_at.is_not(None))
        rows = connection.execute(query).all()
    engine.dispose()
    assert max(Counter(row.id for row in rows).values(), default=1) == 1
    return {row[0]: row[1] for row in rows}


def spent(settings: Settings) -> int:
    """Return what was spent of all budgets, in millionths."""
    engine = create_engine(settings.database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        total = connection.execute(select(func.sum(budgets.c.spent))).scalar()
    engine.dispose()
    return int(total or 0)


def assert_all_decided_once(settings: Settings, customers: Sequence[str]) -> None:
    ids = {decision_id("early-warning", who, 1) for who in customers}
    final = outcomes(settings)
    assert set(final) == ids
    fired = {each for each, outcome in final.items() if outcome == "fired"}
    assert fired == expected_fired(customers)
    offers = {each.id: each.offer for each in decisions(settings) if each.outcome == "fired"}
    # Each time that it left it was the same offer.
    assert {(each.decision, each.offer) for each in triggers(settings)} == set(offers.items())
    assert set(offers) == fired
    assert set(offers.values()) == {"ten-percent-off", "extra-data"}
    assert spent(settings) == len(fired) * 50_000  # .05 each
    assert {each.id: each.outcome for each in decisions(settings)} == final
    assert len({(each.id, each.outcome) for each in decisions(settings)}) == len(ids)


def test_killed_at_every_step_all_are_decided_once(settings: Settings) -> None:
    customers: list[str] = []
    for place in PLACES:
        group = crowd(place.replace(" ", "-"))
        with campaigner_process(settings, at=place) as process:
            send_scores(settings, rises(group, 100 * len(customers)))
            assert process.wait(60) == -signal.SIGKILL
        customers += group
    with campaigner_process(settings):
        wait_for(lambda: len(outcomes(settings)) == len(customers))
    assert_all_decided_once(settings, customers)


def copied(settings: Settings) -> Settings:
    """Copy the database, as a backup does, and return settings that use the copy."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite":
        copy = url.set(database=f"{url.database}.backup")
        with (
            closing(sqlite3.connect(str(url.database))) as source,
            closing(sqlite3.connect(str(copy.database))) as target,
        ):
            source.backup(target)
    else:
        copy = url.set(database=f"{url.database}_backup")
        server = url.set(database="postgres", drivername="postgresql+psycopg")
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {copy.database} TEMPLATE {url.database}"))
        admin.dispose()
    return settings.model_copy(update={"database_url": copy.render_as_string(hide_password=False)})


def attempt_to_copy(settings: Settings) -> Settings | None:
    """Copy, or return nothing while the server has not noticed that its client was killed."""
    try:
        return copied(settings)
    except OperationalError:
        return None


def test_with_yesterdays_backup_nothing_leaves_twice(settings: Settings) -> None:
    yesterday, since = crowd("yesterday"), crowd("since")
    with campaigner_process(settings):
        send_scores(settings, rises(yesterday, 0))
        wait_for(lambda: len(outcomes(settings)) == len(yesterday))
    restored = wait_for(lambda: attempt_to_copy(settings))
    assert restored is not None
    with campaigner_process(settings):
        send_scores(settings, rises(since, 100))
        wait_for(lambda: len(outcomes(settings)) == len(yesterday + since))
    assert set(outcomes(restored)) == {decision_id("early-warning", who, 1) for who in yesterday}
    with campaigner_process(restored):
        wait_for(lambda: len(outcomes(restored)) == len(yesterday + since))
    assert_all_decided_once(restored, yesterday + since)
    assert outcomes(restored) == outcomes(settings)
    assert max(Counter(each.decision for each in triggers(settings)).values()) == 1


def owners(settings: Settings) -> dict[int, str]:
    engine = create_engine(settings.database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        rows = connection.execute(select(positions.c.partition, positions.c.owner)).all()
    engine.dispose()
    return {row[0]: row[1].rpartition("/")[2] for row in rows}


def test_a_paused_campaigner_is_replaced_and_does_no_harm_when_it_wakes(
    settings: Settings,
) -> None:
    first_group, second_group = crowd("before"), crowd("during")
    with campaigner_process(settings) as sleeper:
        send_scores(settings, rises(first_group, 0))
        wait_for(lambda: len(outcomes(settings)) == len(first_group))
        sleeper.send_signal(signal.SIGSTOP)
        send_scores(settings, rises(second_group, 100))
        with campaigner_process(settings) as successor:
            wait_for(lambda: set(owners(settings).values()) == {str(successor.pid)})
            wait_for(lambda: len(outcomes(settings)) == len(first_group) + len(second_group))
            sleeper.send_signal(signal.SIGCONT)
            third_group = crowd("after")
            # Both are in the group again: each partition has one owner, and all are decided.
            wait_for(
                lambda: set(owners(settings).values()) == {str(successor.pid), str(sleeper.pid)}
            )
            send_scores(settings, rises(third_group, 200))
            everyone = first_group + second_group + third_group
            wait_for(lambda: len(outcomes(settings)) == len(everyone))
    assert_all_decided_once(settings, everyone)


def test_one_paused_within_its_transaction_holds_up_nobody_for_long(
    kafka: EmbeddedKafka, prefix: str, tmp_path: Path, postgres_url: str
) -> None:
    """PostgreSQL ends a session that idles in a transaction, and with it the lock."""
    settings = settings_for(kafka, prefix, tmp_path, postgres_url)
    customers = crowd("held-up")
    with campaigner_process(settings, at="written", number=signal.SIGSTOP) as sleeper:
        send_scores(settings, rises(customers, 0))
        wait_for(lambda: is_stopped(sleeper.pid))
        with campaigner_process(settings):
            wait_for(lambda: len(outcomes(settings)) == len(customers))
            sleeper.send_signal(signal.SIGCONT)
            wait_for(lambda: str(sleeper.pid) in owners(settings).values())
    assert_all_decided_once(settings, customers)


def is_stopped(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat").read_text()
    return status.rpartition(") ")[2].startswith("T")


def test_two_campaigners_share_the_partitions(settings: Settings) -> None:
    customers = crowd("shared", 60)
    assert {customer_partition(who, PARTITIONS) for who in customers} == {0, 1}
    with campaigner_process(settings) as one, campaigner_process(settings) as other:
        wait_for(lambda: set(owners(settings).values()) == {str(one.pid), str(other.pid)})
        send_scores(settings, rises(customers, 0))
        wait_for(lambda: len(outcomes(settings)) == len(customers))
    assert_all_decided_once(settings, customers)
