"""`tenure customer erase` on a running Tenure: gone from everywhere, and nothing brings it back."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from kafka import KafkaProducer

from services.commands.erasures import read_file
from services.dead_letters.box import LetterBox
from services.scorer.records import StateReader
from services.scorer.state_store import KafkaPartitionStore, read_to_end
from services.standalone.stack import Stack, environment, throwaway
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.event_log import customer_partition
from shared.adapters.kafka_admin import topic_admin
from shared.domain.erasure import pseudonym
from shared.settings import Settings
from tests.http import http
from tests.ingest_events import STRUCTURED, event
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PARTITIONS = 2
NOW = datetime.now(UTC)
WHO, OTHER = "erased-one", "stays-here"


def of(customer: str, number: int) -> dict[str, Any]:
    at = (NOW - timedelta(minutes=2)).isoformat()
    return event(id=f"{customer}-{number}", subject=customer, time=at)


async def test_an_erased_customer_is_gone_and_does_not_come_back(
    kafka: EmbeddedKafka, prefix: str, tmp_path: Path
) -> None:
    place = throwaway(
        topic_prefix=prefix, partitions=PARTITIONS, kafka_bootstrap_servers=kafka.bootstrap_servers
    )
    async with Stack(dataclasses.replace(place, own_broker=False)) as stack:
        for customer in (WHO, OTHER):
            post(stack, of(customer, 1))
        write_bad_event(stack)
        await until(lambda: all(status(stack, each) == 200 for each in (WHO, OTHER)))
        await until(lambda: counted(stack)["dead_letters"] == 1)
        said = tenure(stack, "customer", "erase", WHO, "--yes", "--reason", "asked")
        assert said.startswith("1 erased")
        await until(lambda: status(stack, WHO) == 404)
        await nothing_is_left(stack)
        # An upstream system that has not heard of it, and a file of the past.
        post(stack, of(WHO, 1))
        post(stack, of(WHO, 2))
        await until(lambda: counted(stack)["erased"] == 2)
        assert (status(stack, WHO), status(stack, OTHER)) == (404, 200)
        counts = counted(stack)
        settled = ("applied", "duplicates", "dead_letters", "misplaced", "controls", "erased")
        assert counts["accepted"] == sum(counts[name] for name in settled)
        names = tmp_path / "erasures.ndjson"
        names.write_text(tenure(stack, "customer", "erasures"))
    await another_kafka_knows(kafka, f"{prefix}-anew", names)


async def another_kafka_knows(kafka: EmbeddedKafka, prefix: str, names: Path) -> None:
    """Make new topics, give them who is erased, and look what scorers know."""
    settings = Settings(
        topic_prefix=prefix, partitions=PARTITIONS, kafka_bootstrap_servers=kafka.bootstrap_servers
    )
    with topic_admin(settings) as admin:
        admin.ensure()
    (known,) = read_file(names)
    said = run(environment(settings), "customer", "erasures", "--load", str(names))
    assert said.startswith("1 loaded")
    for number in range(PARTITIONS):
        store = KafkaPartitionStore(settings, number)
        restored = await store.restore()
        await store.close()
        (again,) = restored.erased
        assert (again.name, again.holds(number, 0)) == (known.name, True)


async def nothing_is_left(stack: Stack) -> None:
    ids: set[str] = set()
    for number in range(PARTITIONS):
        state = StateReader()
        async for key, value in log_of(stack, "customer-state", number):
            state.take(key, value)
        ids |= set(state.table.ids)
    assert ids == {OTHER}
    last: dict[bytes | None, bytes | None] = {}
    for number in range(PARTITIONS):
        last |= {key: value async for key, value in log_of(stack, "customer-scores", number)}
    assert (last[WHO.encode()], bool(last[OTHER.encode()])) == (None, True)
    async with LetterBox(stack.settings) as box:
        assert await box.letters() == {}
    name = pseudonym(stack.settings.erasure_key.get_secret_value().encode(), WHO)
    told = [(key, value) async for key, value in log_of(stack, "erasures", 0)]
    assert [key for key, _ in told] == [name.encode()]
    assert WHO.encode() not in (told[0][1] or b"")
    audit = tenure(stack, "audit", "--json")
    assert name in audit
    assert WHO not in audit


def log_of(stack: Stack, topic: str, partition: int) -> Any:  # noqa: ANN401
    return read_to_end(stack.settings, TopicPartition(stack.settings.topic(topic), partition))


def post(stack: Stack, body: dict[str, Any]) -> None:
    url, headers = f"{stack.url('ingest')}/v1/events", {"content-type": STRUCTURED}
    assert http.post(url, content=json.dumps(body), headers=headers).status_code == 202


def write_bad_event(stack: Stack) -> None:
    bad = json.dumps(of(WHO, 9) | {"data": {"amount": "ten"}}).encode()
    with closing(KafkaProducer(bootstrap_servers=stack.settings.kafka_bootstrap_servers)) as to:
        topic = stack.settings.topic("customer-events")
        to.send(topic, bad, partition=customer_partition(WHO, PARTITIONS))
        to.flush()


def status(stack: Stack, customer: str) -> int:
    return http.get(f"{stack.url('campaigner')}/v1/customers/{customer}").status_code


def counted(stack: Stack) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in http.get(f"{stack.url('scorer')}/status").json()["partitions"].values():
        total.update(each["counts"])
    return total


def tenure(stack: Stack, *arguments: str) -> str:
    return run(environment(stack.settings), *arguments)


def run(variables: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from services.cli import main; main()", *arguments],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=100,
    )
    return done.stdout
