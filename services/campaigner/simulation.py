"""`tenure campaigns simulate`: reads the past out of Kafka and SQL, and writes nothing anywhere.

Scores come from ``score-history``, which holds each of them in its order where ``customer-scores``
keeps the last of each customer; decisions come from SQL, which keeps them for good and knows which
of them expired before they left.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from typing import Final

import msgspec
from kafka import KafkaConsumer, TopicPartition

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.connections import open_consumer
from shared.adapters.event_log import customer_partition
from shared.adapters.kafka_connection import connection, require_access
from shared.adapters.sql.campaign_history import decisions_between, suppressed_customers
from shared.adapters.sql.engine import open_existing
from shared.adapters.sql.offer_store import offer_library
from shared.domain import outputs
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Rules
from shared.domain.controls import Controls
from shared.domain.errors import TenureError
from shared.domain.events import DECODE_ERRORS
from shared.domain.offers import Library
from shared.domain.simulation import Made, Told, simulate, used_before
from shared.domain.simulation_report import Simulation, compare
from shared.settings import Settings
from shared.topics import SCORE_HISTORY

_decoder: Final = msgspec.json.Decoder(outputs.Score | outputs.Clock)
_STUCK_S: Final = 30.0


class HistoryError(TenureError):
    """The past cannot be read."""


def run_simulation(
    settings: Settings,
    book: CampaignBook,
    since: int,
    until: int,
    *,
    progress: Callable[[float], None] = lambda _: None,
) -> Simulation:
    """Simulate [since, until), epoch milliseconds, with the campaigns of a file.

    Parameters
    ----------
    settings, book, since, until
        Where the past is, the rules to try, and on what.
    progress
        Called now and then with the share of the past that is done.

    Raises
    ------
    TenureError
        Kafka or the database cannot be read.

    """
    happened: list[Decision] = []
    simulated: list[Decision] = []
    scores = 0
    require_access(settings)
    with closing(_consumer(settings)) as consumer:
        partitions = _partitions(consumer, settings)
        made, suppressed, library = _recorded(settings, until, len(partitions))
        rules = _rules(book, settings.control_salt, suppressed)
        used = used_before(chain.from_iterable(made.values()), since)
        for number, partition in enumerate(partitions):
            read = _read(consumer, partition, _part_of(progress, number, len(partitions)))
            history = _Counted(read)
            own = made[partition.partition]
            simulated += simulate(history, own, rules, (since, until), used, library=library)
            happened += [each for each, _ in own if since <= each.at < until]
            scores += history.count
    same, differences = compare(happened, simulated, {each.name: each for each in book.campaigns})
    return Simulation(since, until, same, scores, differences)


class _Counted:
    """Counts what is taken from an iterator."""

    def __init__(self, inner: Iterator[Told]) -> None:
        self._inner = inner
        self.count = 0

    def __iter__(self) -> Iterator[Told]:
        for each in self._inner:
            self.count += 1
            yield each


def _recorded(
    settings: Settings, until: int, partitions: int
) -> tuple[dict[int, list[Made]], frozenset[str], Library]:
    """Return decisions up to a time by partition, who is suppressed, and what offers were known."""
    found: dict[int, list[Made]] = defaultdict(list)
    database = open_existing(settings.database_url)
    try:
        for each in decisions_between(database, None, until):
            found[customer_partition(each.decision.customer, partitions)].append(each)
        return found, suppressed_customers(database), offer_library(database)
    finally:
        database.dispose()


def _rules(book: CampaignBook, salt: str, suppressed: frozenset[str]) -> Rules:
    """Return the rules that are tried: as if all were approved and none stopped."""
    approved = frozenset((each.name, each.version) for each in book.campaigns)
    controls = Controls(approved=approved, suppressed=suppressed)
    return Rules(book.campaigns, salt, book.rails, controls)


def _consumer(settings: Settings) -> KafkaConsumer:
    return open_consumer(
        **connection(settings), isolation_level="read_committed", enable_auto_commit=False
    )


def _partitions(consumer: KafkaConsumer, settings: Settings) -> list[TopicPartition]:
    topic = settings.topic(SCORE_HISTORY.name)
    numbers = sorted(consumer.partitions_for_topic(topic) or ())
    if not numbers:
        raise HistoryError(f"The topic {topic} does not exist. Run `tenure topics`.")
    return [TopicPartition(topic, number) for number in numbers]


def _part_of(progress: Callable[[float], None], number: int, parts: int) -> Callable[[float], None]:
    return lambda share: progress((number + share) / parts)


def _read(
    consumer: KafkaConsumer, partition: TopicPartition, progress: Callable[[float], None]
) -> Iterator[Told]:
    """Yield what a partition holds now, from its beginning."""
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    consumer.seek_to_beginning(partition)
    start = consumer.position(partition)
    moved_at = time.monotonic()
    while consumer.position(partition) < end:
        found = consumer.poll(timeout_ms=500, max_records=5_000).get(partition, ())
        for record in found:
            if record.value is not None and record.offset < end:
                yield from _told(record.timestamp, record.value)
        if found:
            moved_at = time.monotonic()
            progress((consumer.position(partition) - start) / (end - start))
        elif time.monotonic() - moved_at > _STUCK_S:
            raise HistoryError(
                f"{partition.topic}/{partition.partition} could not be read to its end within "
                f"{_STUCK_S:.0f} s. Check that Kafka runs, then try again."
            )


def _told(written_at: int, value: bytes) -> Iterator[Told]:
    try:
        yield Told(written_at, _decoder.decode(value))
    except DECODE_ERRORS:
        return  # the live campaigner made a dead letter of it, and no decision
