"""Small histories as files."""

import csv
import json
from pathlib import Path
from random import Random
from typing import Any

from shared.domain.policy import DAY_MS
from tests.unit.domain.histories import T0, rfc3339

DAYS = 110
Row = tuple[str, int, float]


def orders(customers: int = 30, seed: int = 3) -> list[Row]:
    """Return who bought when and for how much, in no order; some leave by and by."""
    random, found = Random(seed), []
    for number in range(customers):
        at = T0 + random.randrange(60 * DAY_MS)
        rate = random.choice([3, 9, 30]) * DAY_MS
        while at < T0 + DAYS * DAY_MS and random.random() > 0.05:
            found.append((f"c{number}", at, float(random.randrange(100, 5000)) / 100))
            at += int(random.expovariate(1 / rate)) + 1
    random.shuffle(found)
    return found


def write_csv(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["customer", "ts", "total"])
        table.writerows([customer, rfc3339(at), amount] for customer, at, amount in rows)
    return path


def purchases(rows: list[Row]) -> list[tuple[int, bytes]]:
    """Return the time and the event in JSON of each order."""
    return [
        (row[1], json.dumps(event).encode()) for row, event in zip(rows, _events(rows), strict=True)
    ]


def write_ndjson(path: Path, rows: list[Row], *others: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in [*_events(rows), *others]))
    return path


def _events(rows: list[Row]) -> list[dict[str, Any]]:
    return [
        {
            "specversion": "1.0", "type": "tenure.purchase", "source": "shop", "id": str(number),
            "subject": customer, "time": rfc3339(at), "data": {"amount": amount},
        }
        for number, (customer, at, amount) in enumerate(rows, 2)
    ]  # fmt: skip


def write_parquet(path: Path, rows: list[Row]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    customer, at, total = zip(*rows, strict=True)
    columns = {"customer": list(customer), "ts": pa.array(at, pa.timestamp("ms", "UTC")),
               "total": list(total)}  # fmt: skip
    parquet.write_table(pa.table(columns), path)
    return path
