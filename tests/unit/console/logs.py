"""Kafka's logs in memory, as the console asks for them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.domain.errors import TenureError


class Place(NamedTuple):
    topic: str
    partition: int


class Record(NamedTuple):
    topic: str
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class MemoryLogs:
    """Topics with two partitions each, the first records of which may have aged out."""

    records: dict[Place, list[Record]] = field(default_factory=dict)
    first: int = 0
    away: bool = False
    read_records: int = 0

    def append(
        self,
        topic: str,
        partition: int,
        value: bytes,
        key: bytes | None = None,
        *,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        own = self.records.setdefault(Place(topic, partition), [])
        own.append(Record(topic, len(own), 1_000 * len(own), key, value, headers))

    def partitions(self, topic: str) -> list[Any]:
        self._require()
        return [Place(topic, 0), Place(topic, 1)]

    def bounds(self, places: Collection[Place]) -> dict[Any, tuple[int, int]]:
        self._require()
        return {each: (self.first, len(self.records.get(each, ()))) for each in places}

    def read(self, starts: Mapping[Place, int], *, most: int) -> tuple[list[Any], dict[Any, int]]:
        self._require()
        found: list[Any] = []
        after = dict(starts)
        for place, offset in starts.items():
            some = self.records.get(place, [])[offset : offset + most - len(found)]
            found += some
            after[place] = offset + len(some)
        self.read_records += len(found)
        return found, after

    def _require(self) -> None:
        if self.away:
            raise TenureError("no Kafka answers. Start it")
