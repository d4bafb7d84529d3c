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
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, EventT
from faust.types.auth import CredentialsT

from services.scorer.records import moved_from
from services.scorer.service import ReleasedError, Scorer
from shared import topics
from shared.adapters.kafka_connection import connection
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
    """Reads on from where the restored state stands, not from what was committed.

    Attributes
    ----------
    scorer
        Owns what this consumer is assigned.
    feeding
        Generation of the group whose partitions are restored and sought; None while there is
        none. A record of another generation is dropped: it is read again, by us or by another.

    """

    scorer: Scorer
    events_topic: str
    feeding: int | None = None
    _generation: int | None = None

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop the flow, then commit what was folded and let go of everything."""
        self._generation = self.feeding = None
        await super().on_partitions_revoked(revoked)
        await self.scorer.release()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Remember which generation of the group the coming `restore` is for."""
        self._generation = generation_id
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Do nothing; `restore` has sought.

        Faust calls this after `restore`, and also when it notices in the middle of a fetch that a
        rebalance has begun: what is assigned then may be another scorer's already.
        """

    async def restore(self) -> None:
        """Restore the assigned partitions and seek each behind its state.

        Faust calls this after each rebalance, before it lets records flow.

        Raises
        ------
        IllegalStateError
            The group is rebalancing again; Faust then waits for the next assignment.

        """
        generation = self._generation
        self._still(generation)
        mine = {tp.partition for tp in self.assignment() if tp.topic == self.events_topic}
        try:
            offsets = await self.scorer.assign(mine)
        except ReleasedError as error:
            raise IllegalStateError(str(error)) from error
        self._still(generation)
        seek = {TP(self.events_topic, number): offset for number, offset in offsets.items()}
        await self.seek_wait(seek)
        self._still(generation)
        self._committed_offset.update(seek)
        self.feeding = generation

    def _still(self, generation: int | None) -> None:
        if generation is None or generation != self._generation:
            raise IllegalStateError("the group is rebalancing again")


class _App(faust.App):
    def _create_directories(self) -> None:
        """Make none: nothing is kept on disk, and in a container it may be read-only."""


def create_app(settings: Settings, scorer: Scorer) -> faust.App:
    """Return the Faust application, not started.

    Parameters
    ----------
    settings
        Where Kafka is and how long a silent member keeps its partitions.
    scorer
        Gets every record of the partitions that are assigned to this process.

    """
    app = _App(
        settings.topic("tenure-scorer"),
        broker=[f"kafka://{server}" for server in settings.kafka_bootstrap_servers.split(",")],
        broker_credentials=_credentials(settings),
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
            if event.message.generation_id == _consumer(app).feeding:
                await scorer.submit(event.message.partition, _record(event), event.ack)

    @app.on_rebalance_complete.connect
    async def restore(*_: object, **__: object) -> None:
        await _consumer(app).restore()

    return app


def _credentials(settings: Settings) -> CredentialsT | None:
    """Return how to connect, as Faust wants to be told it."""
    given = connection(settings)
    if settings.kafka_uses_sasl:
        return faust.SASLCredentials(
            username=given["sasl_plain_username"],
            password=given["sasl_plain_password"],
            mechanism=given["sasl_mechanism"],
            ssl_context=given.get("ssl_context"),
        )
    return faust.SSLCredentials(given["ssl_context"]) if settings.kafka_uses_tls else None


def _consumer(app: faust.App) -> _Consumer:
    return cast("_Consumer", app.consumer)


def _record(event: EventT[bytes]) -> Record:
    message = event.message
    headers = cast("Any", message.headers) or ()
    at = round(message.timestamp * 1000)
    return Record(message.offset, at, message.value, moved_from(headers), headers)
