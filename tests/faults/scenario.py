"""One deployment under faults: what is done to it while events come in, and what is left of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.consumer.fetcher import ConsumerRecord

from services.scorer.bootstrap import EXIT_SOFTWARE, owner_of
from shared import topics
from shared.adapters.embedded_kafka import EmbeddedKafka
from tests.faults.agreement import Counted, count
from tests.faults.sending import Sender
from tests.faults.services import Service
from tests.faults.traffic import Accepted, history
from tests.faults.watch import Watch
from tests.support.cluster import Cluster

PARTITIONS = 4
SESSION_S = 5
CAMPAIGNS = """\
segments:
  - name: risky
    where: {risk: {min: 0.5}}
campaigns:
  - name: early-warning
    state: live
    trigger: {risk_over: 0.6}
    channel: sms
    offer: ten-percent-off
    control: 20%
    cool_down: 0s
    valid_for: 3000d
  - name: last-call
    state: live
    trigger: {risk_over: 0.8, include_existing: true}
    audience: {where: {segment: [risky]}}
    channel: email
    offer: call-back
    control: 0%
    cool_down: 30d
    valid_for: 3000d
"""
#: So that the cleaner has closed segments to clean all the time, as it has in production in months.
COMPACT_SOON = {
    "segment.ms": "500",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "100",
}
OF_SCORERS = (
    topics.CUSTOMER_SCORES,
    topics.SCORE_HISTORY,
    topics.LIFECYCLE_TRANSITIONS,
    topics.TRAINING_EXAMPLES,
    topics.CHURN_MODELS,
    topics.DEAD_LETTER,
)
_PATIENCE_S = 300.0
#: Gauges are renewed every few seconds, the read model's every sixteen.
_AGREED_S = 120.0


@dataclass(frozen=True)
class Aftermath:
    """What is left when all is over: topics and a database; no scorer runs.

    Attributes
    ----------
    accepted
        Every event that was acknowledged.
    garbage
        Records that were no events.
    faults
        What was done, in order.
    exits
        How each scorer's processes ended.
    campaigner
        Still at work.
    left
        What the scorers had left on each topic when they had ended.
    counted
        Customers by stage and segment, as everybody counted them when it was over, and nobody had
        ended yet.

    """

    cluster: Cluster
    folder: Path
    accepted: Accepted
    garbage: int
    faults: list[str]
    exits: dict[str, list[int]]
    campaigner: Service
    left: dict[str, list[ConsumerRecord]]
    counted: Counted
    seconds: float

    def read(self, topic: topics.Topic, partition: int | None = None) -> list[ConsumerRecord]:
        """Return what the scorers had left on a topic, or in one of its partitions, in order."""
        records = self.left[topic.name]
        return [one for one in records if partition is None or one.partition == partition]


class Faults:
    """Two scorers and the services beside them, and what can be done to them."""

    def __init__(
        self,
        scorers: tuple[Service, Service],
        others: Sequence[Service],
        watch: Watch,
        check: Callable[[], None],
    ) -> None:
        self.done: list[str] = []
        self._one, self._other = scorers
        self._others = others
        self._watch = watch
        self._check = check

    def plan(self, rounds: int) -> list[Callable[[], None]]:
        """Return faults in order; in each round every scorer is killed once."""
        kills = [partial(self.kill, self._one), partial(self.kill, self._other)]
        others = [partial(self.kill_other, each) for each in self._others]
        return [*kills * (rounds - 1), *others, self.compact, self.pause, self.kill_both]

    def kill(self, scorer: Service) -> None:
        """Kill one that is at work."""
        self._await_at_work(scorer)
        scorer.kill()
        self.done.append(f"kill -9 {scorer.name}")

    def kill_other(self, service: Service) -> None:
        """Kill one that is no scorer."""
        self._wait(service.is_ready, f"{service.name} is ready")
        service.kill()
        self.done.append(f"kill -9 {service.name}")

    def kill_both(self) -> None:
        for scorer in (self._one, self._other):
            self._await_at_work(scorer)
        for scorer in (self._one, self._other):
            scorer.kill()
            self.done.append(f"kill -9 {scorer.name}")

    def pause(self) -> None:
        """Stop one until the other has its partitions and got on with them, then let it go on."""
        self._await_at_work(self._one)
        lost, ended = self._one.partitions(), len(self._one.exits)
        self._one.send(signal.SIGSTOP)
        self._wait(lambda: len(self._other.partitions()) == PARTITIONS, "the other takes over")
        taken = self._other.partitions()
        self._wait(lambda: self._progressed(taken, lost), "the other gets on")
        self._one.send(signal.SIGCONT)
        self._wait(lambda: len(self._one.exits) > ended or self._one.partitions(), "it is back")
        self.done.append(f"SIGSTOP {self._one.name}, SIGCONT")

    def compact(self) -> None:
        """Let the faults that come meet a changelog that was compacted."""
        self._watch.await_compaction(_PATIENCE_S)
        self.done.append("compaction")

    def _progressed(self, since: dict[int, int], of: dict[int, int]) -> bool:
        now = self._watch.offsets()
        return all(now[number] > since[number] for number in of)

    def _await_at_work(self, scorer: Service) -> None:
        self._wait(lambda: bool(scorer.partitions()), f"{scorer.name} owns partitions")

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        wait_for(condition, what, self._check)


def wait_for(
    condition: Callable[[], object], what: str, check: Callable[[], None] = lambda: None
) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        check()
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)


@contextmanager
def aftermath(
    kafka: EmbeddedKafka, prefix: str, folder: Path, *, events: int, rounds: int, seed: int
) -> Iterator[Aftermath]:
    """Send ``events`` events while scorers are hurt; each is killed ``rounds`` times."""
    began = time.monotonic()
    cluster = _cluster(kafka, prefix, folder)
    random = Random(seed)
    with ExitStack() as stack:
        watch = Watch(cluster)
        stack.callback(watch.close)
        start = partial(_start, stack, cluster, folder)
        scorers = start("scorer", "one", instance="one"), start("scorer", "other")
        ingest, campaigner = start("ingest", "ingest"), start("campaigner", "campaigner")
        wait_for(ingest.is_ready, "ingest is ready")
        batches = history(random, events, time.time())
        sender = Sender(cluster.settings, ingest.url, watch, owner_of(PARTITIONS), batches)
        stack.callback(sender.close)
        faults = Faults(scorers, (ingest, campaigner), watch, sender.check)
        plan = faults.plan(rounds)
        for number, fault in enumerate(plan):
            share = (number + random.random()) / len(plan)
            wait_for(lambda share=share: watch.accepted() >= share * events, "events", sender.check)
            fault()
        sender.finish(_PATIENCE_S)
        sender.tick(datetime.now(UTC).isoformat())
        _await_durable(cluster, watch)
        counted = _count(cluster, scorers, campaigner)
        for scorer in scorers:
            wait_for(scorer.is_ready, f"{scorer.name} is ready")
            assert scorer.stop() == 0, scorer.log[-5000:]
        yield Aftermath(
            cluster,
            folder,
            sender.accepted,
            sender.garbage,
            faults.done,
            {scorer.name: scorer.exits for scorer in scorers},
            campaigner,
            {topic.name: cluster.read(topic) for topic in OF_SCORERS},
            counted,
            time.monotonic() - began,
        )


def _cluster(kafka: EmbeddedKafka, prefix: str, folder: Path) -> Cluster:
    campaigns = folder / "campaigns.yaml"
    campaigns.write_text(CAMPAIGNS)
    cluster = Cluster(
        kafka,
        prefix,
        partitions=PARTITIONS,
        session_timeout_s=SESSION_S,
        tick_after_s=2,
        campaigns_file=campaigns,
        database_url=f"sqlite:///{folder / 'tenure.db'}",
    )
    cluster.create_topics()
    configure(cluster, topics.CUSTOMER_STATE, COMPACT_SOON)
    return cluster


def configure(cluster: Cluster, topic: topics.Topic, config: dict[str, str]) -> None:
    """Set a topic's configuration."""
    name = cluster.settings.topic(topic.name)
    admin = KafkaAdminClient(bootstrap_servers=cluster.settings.kafka_bootstrap_servers)
    try:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, config)])
    finally:
        admin.close()


def _start(
    stack: ExitStack, cluster: Cluster, folder: Path, kind: str, name: str, *, instance: str = ""
) -> Service:
    member = {"TENURE_SCORER_INSTANCE": instance} if instance else {}
    service = Service(kind, name, cluster.environment | member, folder)
    stack.callback(service.close)
    return service


def start_scorer(stack: ExitStack, cluster: Cluster, folder: Path, name: str) -> Service:
    """Start a scorer in a folder that has nothing in it."""
    folder = folder / f"empty-{name}"
    folder.mkdir()
    return _start(stack, cluster, folder, "scorer", name)


def _await_durable(cluster: Cluster, watch: Watch) -> None:
    """Wait until all that is in the log by now is in the state."""
    for number in range(PARTITIONS):
        last = cluster.read(topics.CUSTOMER_EVENTS, number)[-1].offset
        watch.until(lambda n=number, last=last: watch.offsets().get(n, 0) > last, _PATIENCE_S)


def _count(cluster: Cluster, scorers: Sequence[Service], campaigner: Service) -> Counted:
    """Count customers until all agree, or for long enough that they will not any more."""
    counted = count(cluster, scorers, campaigner)
    deadline = time.monotonic() + _AGREED_S
    while not counted.agree and time.monotonic() < deadline:
        counted = count(cluster, scorers, campaigner)
    return counted


#: How a scorer's process may end here: killed, or because somebody else owns its partitions.
EXPECTED_EXITS = {-signal.SIGKILL, EXIT_SOFTWARE, 0}
