"""Models by version, out of a log that is compacted meanwhile; without Kafka."""

from msgspec import structs

from services.scorer import models as models_module
from services.scorer.models import KafkaModels, ModelRecord, _Place
from shared.schemas.snapshots import SIGNATURE_HEADER, encode_snapshot, snapshot_key
from shared.settings import load_settings
from tests.unit.schemas.test_snapshots import snapshot

SECRET = load_settings().model_key.get_secret_value().encode()


class Log(KafkaModels):
    """What is on ``churn-models``; it is read by `catch_up`, as the topic is."""

    def __init__(self) -> None:
        super().__init__(load_settings())
        self.records: list[ModelRecord | None] = []
        self._read = 0
        self.fetched = 0

    def put(self, version: int) -> None:
        key = snapshot_key("churn", version)
        value, signature = encode_snapshot(
            key, structs.replace(snapshot(), version=version), SECRET
        )
        self.records.append(ModelRecord(key, value, ((SIGNATURE_HEADER, signature),)))

    def let_go(self, version: int) -> None:
        self.records.append(ModelRecord(snapshot_key("churn", version), None))

    def compact(self) -> None:
        """Take out what was replaced; what replaced it may not have been read yet."""
        newest = {each.key: n for n, each in enumerate(self.records) if each}
        self.records = [
            each if each and newest[each.key] == n else None for n, each in enumerate(self.records)
        ]

    async def catch_up(self) -> None:
        for offset in range(self._read, len(self.records)):
            if record := self.records[offset]:
                self._take(record, _Place(offset, offset))
        self._read = len(self.records)

    async def record(self, version: int) -> ModelRecord | None:
        self.fetched += 1
        place = self._places.get(version)
        return None if place is None else self.records[place.offset]


async def test_what_was_published_again_is_found_where_it_lies_now() -> None:
    log = Log()
    log.put(1)
    log.put(2)
    await log.catch_up()
    log.put(1)
    log.compact()
    found = await log.get(1)
    assert found is not None
    assert found.version == 1


async def test_what_was_let_go_is_nowhere_any_more() -> None:
    log = Log()
    for version in (1, 2, 3):
        log.put(version)
    assert await log.get(2) is not None
    log.let_go(2)
    log.compact()
    await log.catch_up()
    assert await log.get(2) is None
    older = await log.at_most(2)
    assert older is not None
    assert older.version == 1
    assert set(await log.published()) == {1, 3}
    assert [one.version async for one in log.each()] == [1, 3]


async def test_few_are_kept_decoded_and_those_that_were_asked_for_last() -> None:
    log, most = Log(), models_module._AT_HAND
    for version in range(1, most + 2):
        log.put(version)
    for version in range(1, most + 1):
        assert await log.get(version) is not None
    assert await log.get(1) is not None
    assert await log.get(most + 1) is not None  # 2 has to go
    fetched = log.fetched
    assert await log.get(1) is not None
    assert log.fetched == fetched
    assert await log.get(2) is not None
    assert log.fetched == fetched + 1
