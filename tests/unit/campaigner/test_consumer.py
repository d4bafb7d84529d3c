"""What the consumer of scores says of itself while processing fails, and starts anew, again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Event
from typing import Any

import pytest
from kafka import ConsumerRebalanceListener, TopicPartition

from services.campaigner import consumer as module
from services.campaigner.consumer import ScoreConsumer
from shared import metrics
from shared.settings import load_settings

PLACE = TopicPartition("customer-scores", 0)
CLAIMED, POLLED, END = 40, 60, 100
FULL = "OSError: the disk is full"

Polled = Mapping[TopicPartition, list[str]]


class Group:
    """A membership: its first poll brings a partition, the second what waits in it.

    Parameters
    ----------
    saw
        Gets what the consumer says of itself at each poll, and how far behind it says it is.

    """

    def __init__(self, scores: ScoreConsumer, saw: list[tuple[str | None, float]]) -> None:
        self._scores = scores
        self._saw = saw
        self._polls: list[Polled] = [{}, {PLACE: ["score"]}]

    def subscribe(self, _: list[str], listener: ConsumerRebalanceListener) -> None:
        self._listener = listener

    def poll(self, **_: int) -> Polled:
        ((sample,),) = (each.samples for each in metrics.CAMPAIGNER_LAG.collect())
        self._saw.append((self._scores.problem, sample.value))
        if len(self._polls) == 2:
            self._listener.on_partitions_assigned([PLACE])
        return self._polls.pop(0) if self._polls else {}

    def assignment(self) -> set[TopicPartition]:
        return {PLACE}

    def end_offsets(self, asked: Collection[TopicPartition], **_: int) -> dict[TopicPartition, int]:
        return dict.fromkeys(asked, END)

    def position(self, _: TopicPartition) -> int:
        return POLLED

    def __getattr__(self, _: str) -> Any:  # noqa: ANN401  # what answers nothing
        return lambda *_, **__: None


class OnFullDisk:
    """A campaigner whose database takes nothing the first times; ends when that is over."""

    def __init__(self, failures: int) -> None:
        self.stop = Event()
        self._failures = failures
        self._processed = False

    def own(self, _: list[int]) -> dict[int, int]:
        return {PLACE.partition: CLAIMED}

    def disown(self) -> None: ...

    def process(self, polled: Mapping[int, list[str]]) -> None:
        if self._processed:
            self.stop.set()
        elif polled and self._failures:
            self._failures -= 1
            raise OSError("the disk is full")
        else:
            self._processed = True


def test_who_joins_again_after_a_failure_is_not_well_before_scores_are_processed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it would be ready and not ready by turns, and known to be behind never: no alert."""
    saw: list[tuple[str | None, float]] = []
    campaigner: Any = OnFullDisk(failures=2)
    scores = ScoreConsumer(load_settings(), campaigner)
    monkeypatch.setattr(module, "require_access", lambda _: None)
    monkeypatch.setattr(module, "_RETRY_S", 0)
    monkeypatch.setattr(scores, "_consumer", lambda: Group(scores, saw))
    metrics.CAMPAIGNER_LAG.set(0)
    scores.run(campaigner.stop)
    before, behind = ("not connected to Kafka yet", 0), END - CLAIMED
    assert saw == [before, (None, behind), *[(FULL, behind)] * 4, (None, END - POLLED)]
