"""Bad input of each kind: an answer that names field and remedy, and nothing is lost.

Settings are in tests/unit/test_settings.py, campaign files in
tests/unit/campaigner/test_campaign_file.py, and the details of what ingest refuses in
tests/unit/ingest. Here producers write to a running Tenure, through its API and straight to Kafka.
"""

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

import httpx
import pytest
from kafka import KafkaProducer

from services.dead_letters.box import LetterBox
from services.standalone.stack import Stack, environment, throwaway
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.event_log import customer_partition
from tests.http import http
from tests.ingest_events import STRUCTURED, event
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PARTITIONS = 2
NOW = datetime.now(UTC)


def at(**ago: float) -> str:
    return (NOW - timedelta(**ago)).isoformat()


def good(customer: str) -> dict[str, Any]:
    return event(id=f"of-{customer}", subject=customer, time=at(minutes=1))


def bad(number: str, **changes: object) -> bytes:
    return json.dumps(event(id=number, subject="bad", time=at(minutes=1)) | changes).encode()


def amount(number: str, text: str) -> bytes:
    """Return an event whose amount is this text."""
    return bad(number).replace(b"20.0", text.encode())


#: JSON that is no event, and the field that is named.
EVENTS: dict[str, tuple[bytes, str]] = {
    "no object": (b"42", "$"),
    "an empty object": (b"{}", "type"),
    "an unknown kind": (bad("b1", type="tenure.party"), "type"),
    "a wrong type": (bad("b2", data={"amount": "ten"}), "data.amount"),
    "no data": (bad("b3", data={}), "data.amount"),
    "an oversized amount": (amount("b4", "1e300"), "data.amount"),
    "an infinite amount": (amount("b5", "1e400"), "data.amount"),
    "an empty customer": (bad("b6", subject=""), "subject"),
    "a long customer": (bad("b7", subject="x" * 10_000), "subject"),
    "a far future": (bad("b8", time=at(days=-400)), "time"),
    "before 1970": (bad("b9", time="1969-12-31T23:59:59Z"), "time"),
    "no time": (bad("b10", time="yesterday"), "time"),
    "bytes that are no text": (bad("b11").replace(b'"bad"', b'"b\xff\xfed"'), "$"),
}
#: What cannot be told apart into events, so that the record as a whole is a letter.
RECORDS: dict[str, bytes] = {
    "garbage": bytes(range(256)),
    "nothing": b"",
    "half an event": bad("r1")[:-9],
    "not a number": amount("r2", "NaN"),
    "nesting without end": b"[" * 100_000 + b"]" * 100_000,
}
GOOD = [f"{side}-{number}" for number in range(len(EVENTS)) for side in ("before", "after")]


async def test_nothing_is_lost_and_what_is_bad_is_named(
    kafka: EmbeddedKafka, prefix: str, tmp_path: Path
) -> None:
    place = throwaway(
        topic_prefix=prefix,
        partitions=PARTITIONS,
        kafka_bootstrap_servers=kafka.bootstrap_servers,
    )
    async with Stack(dataclasses.replace(place, own_broker=False)) as stack:
        written = write_straight_to_kafka(stack)
        await until(lambda: counted(stack)["dead_letters"] == len(EVENTS) + len(RECORDS) + 1)
        # Each good event once, though it shared its record with a bad one, came twice, or went to
        # the partition of somebody else.
        await until(lambda: counted(stack)["duplicates"] == 1)
        counts = counted(stack)
        assert (counts["applied"], counts["misplaced"]) == (len(GOOD) + 1, 1)
        settled = ("applied", "duplicates", "dead_letters", "misplaced", "controls")
        assert counts["accepted"] == sum(counts[name] for name in settled)
        await every_letter_says_what_is_wrong(stack, written)
        the_api_says_the_same(stack)
        await letters_are_repaired_and_sent_once(stack, tmp_path)


def write_straight_to_kafka(stack: Stack) -> Counter[bytes]:
    """Write each kind of bad input, most of it among good events; return what is bad."""
    topic = stack.settings.topic("customer-events")
    names = iter(GOOD)
    producer = KafkaProducer(bootstrap_servers=stack.settings.kafka_bootstrap_servers)
    with closing(producer):
        for value, _ in EVENTS.values():
            before, after = next(names), next(names)
            # On the partition of the first; the second may be of another, and is forwarded then.
            after = same_partition(before, after)
            parts = [json.dumps(good(before)).encode(), value, json.dumps(good(after)).encode()]
            record = b"[" + b",".join(parts) + b"]"
            producer.send(topic, record, partition=customer_partition(before, PARTITIONS))
        for number, value in enumerate([*RECORDS.values(), None]):
            producer.send(topic, value, key=b"anybody", partition=number % PARTITIONS)
        stray = json.dumps(good("stray")).encode()
        home = customer_partition("stray", PARTITIONS)
        producer.send(topic, stray, partition=1 - home)
        producer.send(topic, stray, partition=home)
        producer.flush()
    return Counter([value for value, _ in EVENTS.values()] + [*RECORDS.values(), b""])


def same_partition(first: str, second: str) -> str:
    """Return the second name, altered until it is of the first one's partition."""
    while customer_partition(second, PARTITIONS) != customer_partition(first, PARTITIONS):
        second += "x"
    return second


def counted(stack: Stack) -> dict[str, int]:
    """Return what became of all events, over all partitions."""
    partitions = http.get(f"{stack.url('scorer')}/status").json()["partitions"].values()
    total: Counter[str] = Counter()
    for each in partitions:
        total.update(each["counts"])
    return total


async def every_letter_says_what_is_wrong(stack: Stack, written: Counter[bytes]) -> None:
    async with LetterBox(stack.settings) as box:
        letters = (await box.letters()).values()
    assert Counter(each.value for each in letters) == written
    fields = dict(EVENTS.values())
    for each in letters:
        assert each.facts["field"] == fields.get(each.value, "$")
        assert each.facts["reason"]
        assert each.facts["remedy"]


def the_api_says_the_same(stack: Stack) -> None:
    url = f"{stack.url('ingest')}/v1/events"
    bodies = [*EVENTS.values(), *((value, "$") for value in RECORDS.values())]
    for body, field in bodies:
        answer = http.post(url, content=body, headers={"content-type": STRUCTURED})
        assert answer.status_code in {400, 422}, body[:200]
        problem = answer.json()
        if answer.status_code == httpx.codes.BAD_REQUEST:  # no JSON: no field has a name
            assert field == "$"
            assert "JSON" in problem["detail"], problem
            continue
        (error,) = problem["errors"]
        assert error["field"] == field
        assert error["reason"]
        assert error["remedy"]
    batch = json.dumps([good("whole"), {}]).encode()
    headers = {"content-type": "application/cloudevents-batch+json"}
    answer = http.post(url, content=batch, headers=headers)
    assert [each["index"] for each in answer.json()["errors"]] == [1]


async def letters_are_repaired_and_sent_once(stack: Stack, folder: Path) -> None:
    listed = json.loads(tenure(stack, "list", "--json")[1])
    numbers = {str(each["number"]) for each in listed}
    code, output = tenure(stack, "replay", "--all", "--json")
    assert code == 1
    refused, left = json.loads(output)["refused"], json.loads(output)["left"]
    empty = {str(each["number"]) for each in listed if each["bytes"] == 0}
    assert (set(refused), set(left)) == (numbers - empty, empty)  # each is accounted for
    assert all(problem["remedy"] for some in refused.values() for problem in some)

    (wrong,) = [each for each in listed if "got `str`" in each["reason"]]
    file, number = folder / "letter.json", str(wrong["number"])
    assert tenure(stack, "show", number, "--save", str(file))[0] == 0
    file.write_bytes(file.read_bytes().replace(b'"ten"', b"10.0"))
    applied = counted(stack)["applied"]
    assert tenure(stack, "replay", number, "--with", str(file)) == (
        0,
        "1 accepted, 0 still bad, 0 left out\n",
    )
    await until(lambda: counted(stack)["applied"] == applied + 1)
    code, output = tenure(stack, "replay", number, "--with", str(file), "--json")
    assert (code, list(json.loads(output)["left"])) == (1, [number])
    assert len(json.loads(tenure(stack, "list", "--json")[1])) == len(listed) - 1
    assert len(json.loads(tenure(stack, "list", "--all", "--json")[1])) == len(listed)


def tenure(stack: Stack, *arguments: str) -> tuple[int, str]:
    """Run `tenure dead-letter`; return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", "from services.cli import main; main()", "dead-letter", *arguments],
        env=os.environ | environment(stack.settings),
        stdout=subprocess.PIPE,
        check=False,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout
