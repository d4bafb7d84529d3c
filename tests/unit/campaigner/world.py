"""A campaigner without Kafka: a log in memory, a bus in memory, a clock that is told the time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import NamedTuple

import msgspec
from sqlalchemy import Engine, delete, select

from services.campaigner.erased import erased
from services.campaigner.ports import Hook, Message, no_hook
from services.campaigner.publisher import Publisher
from services.campaigner.recall import recall
from services.campaigner.service import Campaigner
from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.control_store import ControlStore
from shared.adapters.sql.tables import audit, decisions, metadata
from shared.domain.campaign_outputs import Decision, Trigger
from shared.domain.campaign_state import Rules
from shared.domain.campaigns import Campaign, GuardRails
from shared.domain.outputs import Clock, Score
from tests.campaign_builders import T0, raw

TOPIC = "customer-scores"


class Killed(BaseException):
    """The process ends here."""


class Record(NamedTuple):
    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    key: bytes | None = None


class Written(NamedTuple):
    """A message on the bus, and the wall clock when it arrived."""

    message: Message
    at: int


@dataclass
class MemoryBus:
    """A bus that can be away, and that can lose its acknowledgements."""

    clock: Callable[[], int]
    hook: Hook = no_hook
    topics: dict[str, list[Written]] = field(default_factory=dict)
    takes: bool = True
    acknowledges: bool = True
    unacknowledged: str = ""  # a topic that takes messages, but never says so
    searches: int = 0
    all_sent: list[Written] = field(default_factory=list)

    def send(self, messages: Sequence[Message]) -> list[bool]:
        for message in messages:
            if self.takes:
                self.all_sent.append(Written(message, self.clock()))
                self.topics.setdefault(message.topic, []).append(self.all_sent[-1])
            self.hook("sending")
        answers = self.takes and self.acknowledges
        return [answers and each.topic != self.unacknowledged for each in messages]

    def find(self, topic: str, since: int) -> Mapping[str, Mapping[str, str]]:
        if not self.takes:
            raise ConnectionError("away")
        self.searches += 1
        names = [each for each in self.topics if each == topic or each.startswith(f"{topic}.")]
        found = [each for name in names for each in self.written(name)]
        headers = [dict(each.message.headers) for each in found if each.at >= since]
        return {each["ce_id"]: each for each in headers}

    def written(self, topic: str) -> list[Written]:
        return self.topics.get(topic, [])

    def triggers(self) -> list[Trigger]:
        sent = (each.message for each in self.all_sent)
        values = [each.value for each in sent if each.topic.startswith("retention-triggers")]
        return [msgspec.json.decode(value, type=Trigger) for value in values]

    def decisions(self) -> list[Decision]:
        values = [each.message.value for each in self.written("campaign-decisions")]
        return [msgspec.json.decode(value, type=Decision) for value in values]


class World:
    """Everything of one partition, and a campaigner that can be killed and started again."""

    def __init__(
        self,
        engine: Engine,
        campaigns: Sequence[Campaign],
        salt: str = "salt",
        *,
        rails: GuardRails | None = None,
        partition: int = 0,
    ) -> None:
        self.partition = partition
        self.now = T0
        self.hook: Hook = no_hook
        self.engine = engine
        self.rules = Rules(campaigns, salt, rails or GuardRails())
        self.bus = MemoryBus(lambda: self.now, self.passed)
        self.log: list[Record] = []
        self.controls = ControlStore(engine, lambda: self.now)
        self.start()

    def passed(self, place: str) -> None:
        self.hook(place)

    def start(self, partitions: Sequence[int] | None = None) -> dict[int, int]:
        """Start a campaigner; the former one is gone, with all that it had in memory."""
        store = CampaignStore(self.engine, TOPIC, hook=self.passed)
        self.campaigner = Campaigner(
            store,
            lambda: self.rules._replace(controls=self.controls.controls()),
            clock=lambda: self.now,
            owner="test",
            recall=partial(recall, self.bus),
            erased=partial(erased, self.bus),
            hook=self.passed,
        )
        self.publisher = Publisher(
            store,
            self.bus,
            self.campaigner.leases,
            release=self.campaigner.release_enrolments,
            controls=self.controls.controls,
            told=self.campaigner.told,
            clock=lambda: self.now,
            source=TOPIC,
            hook=self.passed,
        )
        self.positions = self.campaigner.own([self.partition] if partitions is None else partitions)
        return self.positions

    def append(self, *messages: Score | Clock | bytes | None) -> None:
        for each in messages:
            value = each if isinstance(each, bytes | None) else raw(each).encode()
            self.log.append(Record(len(self.log), value))

    def process(self, start: int | None = None, end: int | None = None) -> int:
        """Process the log from where the campaigner stood when it started, or from ``start``."""
        first = self.positions[self.partition] if start is None else start
        return self.campaigner.process({self.partition: self.log[first:end]})

    def publish(self) -> int:
        return self.publisher.publish()

    def through_kills(self, work: Callable[[], object], passing: Iterator[int]) -> int:
        """Do some work; the campaigner is killed and started again until it has done it.

        Parameters
        ----------
        work
            What is tried again from the beginning.
        passing
            How many places each campaigner passes before it is killed.

        Returns
        -------
        What of ``passing`` was enough.

        """
        for enough in passing:
            self.hook = killed_after(enough)
            try:
                work()
            except Killed:
                self.hook = no_hook
                self.start()
            else:
                self.hook = no_hook
                return enough
        raise AssertionError("killed each time")

    def stored(self) -> list[tuple[str, int | None, Decision]]:
        """Return (outcome, settled at, record) of all decisions."""
        query = select(decisions.c.outcome, decisions.c.settled_at, decisions.c.record)
        with self.engine.connect() as connection:
            rows = connection.execute(query.order_by(decisions.c.seq)).all()
        return [
            (outcome, settled_at, msgspec.json.decode(record, type=Decision))
            for outcome, settled_at, record in rows
        ]

    def outcomes(self) -> dict[str, str]:
        return {record.id: outcome for outcome, _, record in self.stored()}


def killed_after(places: int) -> Hook:
    """Return a hook that ends the process once it has passed so many places."""
    passed = count()

    def hook(_: str) -> None:
        if next(passed) == places:
            raise Killed

    return hook


def everything(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables but those that tell who owned what when."""
    with engine.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table)).all()), key=repr)
            for table in metadata.sorted_tables
            if table.name != "positions"
        }


def emptied(engine: Engine) -> Engine:
    """Return a database without any rows."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table is not audit:  # from which nothing can be deleted
                connection.execute(delete(table))
    return engine
