"""Chooses what ingest runs on, and runs it: start, serve, drain, stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from services.ingest.gatherer import Gatherer
from services.ingest.http import Api, create_app
from services.ingest.quota import Quotas
from services.ingest.service import IngestService
from services.ingest.validation import Validator
from shared.adapters.api_keys import Doorkeeper, doorkeeper
from shared.adapters.event_log import EventLog, KafkaEventLog
from shared.adapters.health import Health
from shared.adapters.http import HttpServer
from shared.adapters.tracing import NO_TRACES, Traces, open_traces
from shared.settings import Settings
from shared.topics import CUSTOMER_EVENTS

log = structlog.get_logger(__name__)


class Ingest:
    """A running ingest service.

    Attributes
    ----------
    health
        Readiness, as ``/readyz`` shows it.
    server
        Its ``port`` is the one listened on, once started.

    """

    def __init__(
        self,
        event_log: EventLog,
        gatherer: Gatherer,
        health: Health,
        server: HttpServer,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._log = event_log
        self._gatherer = gatherer
        self._traces = traces
        self.health = health
        self.server = server

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, then `drain`.

        Raises
        ------
        ListenError
            The address cannot be listened on.

        """
        await self.start()
        await stop.wait()
        await self.drain()

    async def start(self) -> None:
        """Begin to connect and to listen; ``/readyz`` tells when requests can be accepted."""
        await self.server.start()
        await self._log.start()
        log.info("listening", port=self.server.port)

    async def drain(self) -> None:
        """Answer what was taken in, then stop; new requests get 503 meanwhile."""
        self.health.drain()
        log.info("draining", pending=self._gatherer.pending)
        await self._gatherer.drain()  # 1. every request that was taken in has its outcome
        await self.server.stop()  # 2. and its answer has left
        await self._gatherer.close()
        await self._log.stop()
        await asyncio.to_thread(self._traces.close)
        log.info("stopped")


def build(
    settings: Settings,
    *,
    event_log: EventLog | None = None,
    keys: Doorkeeper | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Ingest:
    """Return an ingest service for these settings; call it where its event loop runs.

    Parameters
    ----------
    settings
        Where to listen, and the limits.
    event_log, keys, now
        Instead of Kafka, the keys file and the clock.

    Raises
    ------
    KeysFileError
        API keys are needed and missing, or the file cannot be used.
    TracesError
        Traces are asked for, and the extra `traces` is not installed.

    """
    keys = keys or doorkeeper(
        settings.ingest_host, settings.ingest_keys_file, setting="TENURE_INGEST_KEYS_FILE"
    )
    event_log = event_log or KafkaEventLog(settings, settings.topic(CUSTOMER_EVENTS.name))
    traces = open_traces(settings, "ingest")
    gatherer = _gatherer(settings, event_log, traces)
    service = IngestService(
        event_log,
        validator=_validator(settings, event_log, now),
        quotas=Quotas(),
        gatherer=gatherer,
    )
    health = Health()
    health.add_check("kafka", gatherer.problem)
    api = Api(service, keys, max_body_bytes=settings.ingest_max_body_bytes)
    app = create_app(api, health, traces)
    server = HttpServer(app, settings.ingest_host, settings.ingest_port)
    return Ingest(event_log, gatherer, health, server, traces)


def _gatherer(settings: Settings, event_log: EventLog, traces: Traces) -> Gatherer:
    return Gatherer(
        event_log,
        linger_s=settings.ingest_linger_ms / 1000,
        max_pending=settings.ingest_max_pending,
        max_pending_bytes=settings.ingest_max_pending_bytes,
        timeout_s=settings.ingest_delivery_timeout_s,
        traces=traces,
    )


def _validator(settings: Settings, event_log: EventLog, now: Callable[[], datetime]) -> Validator:
    return Validator(
        currency=settings.currency,
        future_tolerance_s=settings.future_tolerance_s,
        # A record is an array: its brackets are two bytes.
        max_event_bytes=lambda: event_log.max_record_bytes - 2,
        now=now,
    )
