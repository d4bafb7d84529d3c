"""Prints each retention trigger once:  python consume_triggers.py.

A trigger may come twice (its id is then the same) and may be void by the time it is read. Offsets
are committed after the work is done, so a crash repeats a trigger rather than losing it; a real
campaign tool keeps the ids of what it has done where it does it. It needs the package kafka-python.
"""

import json
import os
from datetime import UTC, datetime

from kafka import KafkaConsumer

consumer = KafkaConsumer(
    os.environ.get("TENURE_TOPIC_PREFIX", "") + "retention-triggers",
    bootstrap_servers=os.environ.get("TENURE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
    group_id="campaign-tool",
    auto_offset_reset="earliest",
    enable_auto_commit=False,
)
done: set[str] = set()
for record in consumer:
    headers = {name: value.decode() for name, value in record.headers}
    in_time = datetime.now(UTC) < datetime.fromisoformat(headers["ce_expirytime"])
    if headers["ce_id"] not in done and in_time:
        trigger = json.loads(record.value)
        print(
            f"contact {trigger['customer']} by {trigger['channel']}: {trigger['offer']}"
            f" (risk {trigger['risk']:.2f}, {headers['ce_id']})",
            flush=True,
        )
        done.add(headers["ce_id"])
    consumer.commit()
