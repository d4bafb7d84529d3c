#!/usr/bin/env python3
"""Made-up customers who live now: sends their events to ingest until it is stopped.

A thousand customers buy and call, each at a pace of their own. Some events come twice, and now and
then a sender makes a mistake, as senders do. The key is read from TENURE_API_KEY.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx

CUSTOMERS = 1_000
BATCH_S = 0.2
SOURCE = "//load.tenure/live"
BATCH = {"content-type": "application/cloudevents-batch+json"}
#: One batch of so many is sent twice, and of so many has an event that is refused.
REPEATED, MISTAKEN = 50, 40

Event = dict[str, Any]


def events(rng: random.Random, run: str) -> Iterator[Event]:
    """Yield events without end, each of a customer that is drawn; few buy often, most seldom."""
    weights = list(itertools.accumulate(1 / (1 + n) for n in range(CUSTOMERS)))
    for number in itertools.count():
        (customer,) = rng.choices(range(CUSTOMERS), cum_weights=weights)
        kind, data = _usage(rng) if rng.random() < 0.7 else _purchase(rng)  # noqa: PLR2004  # share
        yield {
            "specversion": "1.0",
            "id": f"{run}-{number}",
            "source": SOURCE,
            "type": f"tenure.{kind}",
            "subject": f"load-{customer:04d}",
            "time": datetime.now(UTC).isoformat(),
            "data": data,
        }


def _usage(rng: random.Random) -> tuple[str, Event]:
    service, unit, mean = rng.choice((("voice", "s", 180), ("data", "MB", 40), ("sms", "1", 1)))
    return "usage", {"service": service, "unit": unit, "quantity": rng.expovariate(1 / mean)}


def _purchase(rng: random.Random) -> tuple[str, Event]:
    amount = rng.choice((5, 10, 10, 20, 50))
    return "purchase", {"product": f"recharge-{amount}", "category": "recharge", "amount": amount}


def batches(rng: random.Random, size: int) -> Iterator[list[Event]]:
    """Yield batches of events; some of them repeat the one before, some hold a mistake."""
    source = events(rng, f"{rng.getrandbits(48):x}")
    for number in itertools.count(1):
        batch = list(itertools.islice(source, size))
        yield batch
        if number % REPEATED == 0:
            yield batch
        if number % MISTAKEN == 0:
            yield [{**next(source), "data": {"service": "voice", "quantity": -1}}]


def send(http: httpx.Client, batch: list[Event]) -> None:
    """Send a batch until it is answered for good."""
    while True:
        try:
            answer = http.post("/v1/events", json=batch, headers=BATCH)
        except httpx.TransportError:
            time.sleep(1)
            continue
        if answer.status_code not in (429, 503):
            break
        time.sleep(float(answer.headers.get("retry-after", 1)))
    if answer.status_code not in (202, 422):
        answer.raise_for_status()


def main() -> None:
    """Send events at the rate that is asked for."""
    options = _options()
    rng = random.Random(options.seed)  # noqa: S311  # not secret
    key = os.environ.get("TENURE_API_KEY")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    began = time.monotonic()
    with httpx.Client(base_url=options.url, headers=headers, timeout=60) as http:
        for number, batch in enumerate(batches(rng, max(1, round(options.rate * BATCH_S))), 1):
            send(http, batch)
            if options.seconds and time.monotonic() - began > options.seconds:
                return
            time.sleep(max(0.0, began + number * BATCH_S - time.monotonic()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8001", help="ingest's address")
    parser.add_argument("--rate", type=float, default=50.0, help="events a second")
    parser.add_argument("--seconds", type=float, help="end after so long; never, unless given")
    parser.add_argument("--seed", type=int, default=1, help="the same gives the same events")
    return parser.parse_args()


if __name__ == "__main__":
    main()
