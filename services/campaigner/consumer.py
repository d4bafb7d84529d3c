"""Scores out of Kafka: the group only shares out the partitions, SQL says where to read on.

kafka-python runs a rebalance listener on its I/O loop, where waiting for a database would stop the
heartbeats. So the listener pauses what was assigned, and this thread claims it and seeks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from threading import Event
from typing import Any, Final

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from services.campaigner.connections import open_consumer
from services.campaigner.service import Campaigner
from shared import metrics
from shared.adapters.kafka_connection import KafkaAccessError, connection, require_access
from shared.domain.campaign_state import LostPartitionError
from shared.domain.errors import TenureError
from shared.settings import Settings
from shared.topics import CUSTOMER_SCORES

log = structlog.get_logger(__name__)

GROUP: Final = "tenure-campaigner"
#: Records in one transaction at most.
_MAX_RECORDS: Final = 5_000
_POLL_MS: Final = 200
_FETCH_BYTES: Final = 4_194_304
_METADATA_MS: Final = 10_000
_RETRY_S: Final = 2.0
#: Between two looks at the end of the log, which also tell whether Kafka answers.
_MEASURE_S: Final = 2.0
_MEASURE_TIMEOUT_MS: Final = 5_000
_HEARTBEATS: Final = 4  # in a session timeout
#: Beyond the session timeout, for which the others may wait for a member that is gone.
_JOIN_GRACE_S: Final = 10.0


class RewoundError(TenureError):
    """The topic ends before the place where the database stands."""


class NotJoinedError(TenureError):
    """The group has not told what to read for too long."""


class ScoreConsumer:
    """Reads scores and has them processed, until stopped; after an error it starts anew.

    Attributes
    ----------
    problem
        Why scores are not processed now, for readiness; ``None`` when they are.

    """

    def __init__(self, settings: Settings, campaigner: Campaigner) -> None:
        self._settings = settings
        self._campaigner = campaigner
        self._topic = settings.topic(CUSTOMER_SCORES.name)
        #: Why scores could not be processed the last time, until some are: a new start is no cure.
        self._failure: str | None = None
        self.problem: str | None = "not connected to Kafka yet"

    def run(self, stop: Event) -> None:
        """Process scores until ``stop`` is set."""
        while not stop.is_set():
            try:
                self._follow(stop)
            except LostPartitionError as error:  # it was paused for long: join the group anew
                log.warning("another campaigner took over, joining anew", reason=str(error))
                self.problem = str(error)
            except NotJoinedError as error:
                log.warning("joining the group anew", reason=str(error))
                self.problem = str(error)
            except KafkaAccessError as error:
                log.warning("cannot come into kafka", reason=str(error), retry_s=_RETRY_S)
                self.problem = str(error)
                stop.wait(_RETRY_S)
            except Exception as error:  # what is in SQL is right: forget the rest, and read on
                what = str(error).partition("\n")[0]  # of SQL, the statement is on the lines below
                self.problem = self._failure = f"{type(error).__name__}: {what}"
                log.exception("cannot process scores, starting anew", retry_s=_RETRY_S)
                stop.wait(_RETRY_S)
        self._campaigner.disown()

    def _follow(self, stop: Event) -> None:
        require_access(self._settings)  # tells why not, which the client does not
        consumer, assigned = self._consumer(), Event()
        try:
            # kafka-python assigns what it knows of the topic, and where that arrives meanwhile it
            # takes nothing for all there is, for ever. So let it know before it joins.
            consumer.partitions_for_topic(self._topic)
            joining = _Joining(self._settings.session_timeout_s + _JOIN_GRACE_S)
            consumer.subscribe([self._topic], listener=_Assignment(consumer, assigned, joining))
            follower = _Follower(consumer, self._campaigner, self._topic)
            while not stop.is_set():
                joining.require_progress()
                if follower.step(assigned):
                    self._failure = None
                self.problem = follower.problem or self._failure
        finally:
            self._campaigner.disown()
            consumer.close(autocommit=False)

    def _consumer(self) -> KafkaConsumer:
        session_ms = round(self._settings.session_timeout_s * 1000)
        return open_consumer(
            **connection(self._settings),
            group_id=self._settings.topic(GROUP),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // _HEARTBEATS,
            max_poll_records=_MAX_RECORDS,
            max_partition_fetch_bytes=_FETCH_BYTES,
            # A leader that joins before it knows the topic assigns nothing until it looks again.
            metadata_max_age_ms=_METADATA_MS,
        )


class _Joining:
    """Watches how long a join takes.

    kafka-python may lose sight of one that it has begun, and then polls without partitions and
    without heartbeats for ever. Only a new consumer gets out of that.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since: float | None = None
        self.begin()

    def begin(self) -> None:
        self._since = time.monotonic()

    def end(self) -> None:
        self._since = None

    def require_progress(self) -> None:
        since = self._since
        if since is not None and time.monotonic() - since > self._patience_s:
            raise NotJoinedError(f"the group assigned nothing within {self._patience_s:.0f} s")


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Pauses what was assigned until this thread has claimed it. Runs on the I/O loop."""

    def __init__(self, consumer: KafkaConsumer, changed: Event, joining: _Joining) -> None:
        self._consumer = consumer
        self._changed = changed
        self._joining = joining

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        self._joining.end()
        self._changed.set()

    def on_partitions_revoked(self, _: Iterable[TopicPartition]) -> None:
        """Wait for the next; what is committed is committed, and the fence stops the rest."""
        self._joining.begin()
        # Where news of the topic begin a join, the client takes it for done as soon as it knows
        # the new partitions, though a poll may have ended before the group answered. Nobody then
        # waits for the answer. Apache's own client had this too (KAFKA-9815), and mended it so.
        self._consumer._coordinator.request_rejoin()  # noqa: SLF001  # there is no public way


class _Follower:
    """One membership in the group."""

    def __init__(self, consumer: KafkaConsumer, campaigner: Campaigner, topic: str) -> None:
        self._consumer = consumer
        self._campaigner = campaigner
        self._topic = topic
        self._joined = False
        self._measure_at = 0.0
        self._lag: int | None = None
        self.problem: str | None = "no partitions assigned yet"

    def step(self, assigned: Event) -> bool:
        """Poll once, and process what came; return whether anything was, or nothing is left."""
        polled = self._consumer.poll(timeout_ms=_POLL_MS)
        if assigned.is_set():
            # What was polled before the claim may be from anywhere: SQL says where to read.
            assigned.clear()
            self._take_over()
            return False
        self._campaigner.process(_by_partition(polled))
        if time.monotonic() >= self._measure_at:
            self._measure()
        return bool(polled) or self._lag == 0

    def _take_over(self) -> None:
        partitions = sorted(self._consumer.assignment())
        positions = self._campaigner.own([each.partition for each in partitions])
        ends = self._consumer.end_offsets(partitions) if partitions else {}
        for partition in partitions:
            position = positions[partition.partition]
            _require_reachable(partition, position, ends[partition])
            self._consumer.seek(partition, position)
        self._consumer.resume(*partitions)
        # Here too: who fails at each batch never comes to measure.
        self._behind(sum(ends[each] - positions[each.partition] for each in partitions))
        self._joined, self.problem = True, None

    def _measure(self) -> None:
        """Look how far behind we are; an error tells that Kafka does not answer."""
        self._measure_at = time.monotonic() + _MEASURE_S
        partitions = self._consumer.assignment()
        try:
            ends = self._consumer.end_offsets(partitions, timeout_ms=_MEASURE_TIMEOUT_MS)
        except KafkaError as error:
            self.problem = f"Kafka does not answer ({type(error).__name__})"
            return
        self._behind(sum(end - self._consumer.position(each) for each, end in ends.items()))
        self.problem = None if self._joined else "no partitions assigned yet"

    def _behind(self, lag: int) -> None:
        self._lag = max(lag, 0)
        metrics.CAMPAIGNER_LAG.set(self._lag)


def _by_partition(polled: Mapping[TopicPartition, list[Any]]) -> dict[int, list[Any]]:
    return {each.partition: records for each, records in polled.items()}


def _require_reachable(partition: TopicPartition, position: int, end: int) -> None:
    if position > end:
        raise RewoundError(
            f"{partition.topic}/{partition.partition} ends at {end}, but the database has read "
            f"up to {position}: the topic was made anew, or the database belongs to another "
            "Kafka. Use the database that goes with this Kafka, or an empty one "
            "(TENURE_DATABASE_URL)."
        )
