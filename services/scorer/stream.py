"""The stream: a Faust agent that hands raw records to the scorer.

What of Faust is used is what it does well: group membership, assignment, fetching, flow control.
Its tables, codecs and at-least-once commits are not: the offset that counts is the one that
`services.scorer.state_store` commits together with the states, and Faust's own commits only make
the lag visible to tools that read them.
"""

from __future__ import annotations

from typing import Any, Final, cast

import faust
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, EventT

from services.scorer.service import Scorer
from shared import topics
from shared.domain.batch import Record
from shared.settings import Settings

_FETCH_WAIT_MS: Final = 500


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads committed records only: in Faust that comes with its exactly-once mode alone."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # aiokafka takes these into its fetcher when it starts, which is later.
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001
        return consumer


class _Consumer(driver.Consumer):
    """Seeks to where the restored state stands, not to what was committed."""

    scorer: Scorer
    events_topic: str

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Restore the assigned partitions and seek each behind its state.

        Faust calls this after each rebalance, before it lets records flow.
        """
        await super().perform_seek()
        mine = {tp.partition for tp in self.assignment() if tp.topic == self.events_topic}
        for partition, offset in (await self.scorer.assign(mine)).items():
            tp = TP(self.events_topic, partition)
            await self.seek(tp, offset)
            self._committed_offset[tp] = offset


def create_app(settings: Settings, scorer: Scorer) -> faust.App:
    """Return the Faust application, not started.

    Parameters
    ----------
    settings
        Where Kafka is and how long a silent member keeps its partitions.
    scorer
        Gets every record of the partitions that are assigned to this process.

    """
    app = faust.App(
        settings.topic("tenure-scorer"),
        broker=[f"kafka://{server}" for server in settings.kafka_bootstrap_servers.split(",")],
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.scorer_instance,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        broker_request_timeout=300.0,
        broker_commit_interval=1.0,
        broker_max_poll_records=500,
        stream_buffer_maxsize=1024,
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
    )
    events = settings.topic(topics.CUSTOMER_EVENTS.name)
    ours = type("ScorerConsumer", (_Consumer,), {"scorer": scorer, "events_topic": events})
    app.transport.Consumer = ours  # type: ignore[misc]  # no other place to say it
    channel = app.topic(events, key_serializer="raw", value_serializer="raw")

    @app.agent(channel, name="scorer")
    async def score(stream: faust.StreamT[bytes]) -> None:
        async for event in cast("Any", stream).noack().events():
            await scorer.submit(event.message.partition, _record(event), event.ack)

    @app.on_partitions_revoked.connect  # type: ignore[arg-type]  # the signal's type is too wide
    async def release(_: faust.App, revoked: set[TP], **__: object) -> None:
        if revoked:
            await scorer.release()

    return app


def _record(event: EventT[bytes]) -> Record:
    message = event.message
    return Record(message.offset, round(message.timestamp * 1000), message.value)
