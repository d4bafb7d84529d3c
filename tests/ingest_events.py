"""Events and requests as senders write them."""

from __future__ import annotations

import json
from typing import Any

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def event(**changes: object) -> dict[str, Any]:
    """Return a good purchase; ``changes`` replace attributes, and ``None`` leaves them out."""
    whole = {
        "specversion": "1.0",
        "type": "tenure.purchase",
        "source": "//billing.example",
        "id": "e1",
        "subject": "c1",
        "time": "2026-01-31T12:00:00Z",
        "data": {"amount": 20.0},
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def body(*events: object) -> bytes:
    """Return a batch."""
    return json.dumps(list(events)).encode()


def numbered(count: int, *, customers: int = 7, start: int = 0) -> list[dict[str, Any]]:
    """Return events with distinct ids, of some customers in turn."""
    return [event(id=f"e{start + n}", subject=f"c{(start + n) % customers}") for n in range(count)]


def ids(record: bytes) -> list[str]:
    """Return the ids of the events in a record of the log."""
    return [each["id"] for each in json.loads(record)]
