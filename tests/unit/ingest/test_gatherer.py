"""Gathering: order, size, back-pressure, failure and drain, over the log in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from services.ingest import lane
from services.ingest.gatherer import Gatherer
from services.ingest.refusal import RefusedError
from shared.adapters.event_log import EventLogError, Headers, MemoryEventLog
from shared.adapters.tracing import NoTraces, Traced, read_traces
from tests.waiting import until


def make(log: MemoryEventLog, **changes: object) -> Gatherer:
    usual: dict[str, Any] = {
        "linger_s": 0.0,
        "max_pending": 1000,
        "max_pending_bytes": 1_000_000,
        "timeout_s": 10.0,
    }
    return Gatherer(log, **(usual | changes))


@pytest.fixture
async def log() -> MemoryEventLog:
    made = MemoryEventLog(partitions=2, max_record_bytes=1000)
    await made.start()
    return made


@pytest.fixture
async def gatherer(log: MemoryEventLog) -> AsyncIterator[Gatherer]:
    made = make(log)
    yield made
    await made.close()


def numbers(start: int, count: int) -> list[bytes]:
    return [str(n).encode() for n in range(start, start + count)]


def flat(records: Iterable[bytes]) -> list[bytes]:
    return [each for record in records for each in record.strip(b"[]").split(b",")]


async def refusal(work: Awaitable[None]) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await work
    return caught.value


async def test_requests_that_come_together_leave_together(log: MemoryEventLog) -> None:
    gatherer = make(log, linger_s=0.5)
    requests = []
    for n in range(5):
        requests.append(asyncio.create_task(gatherer.publish({0: [b"%d" % n], 1: [b"x"]})))
        await asyncio.sleep(0.01)
    await asyncio.gather(*requests)
    assert log.records == [[b"[0,1,2,3,4]"], [b"[x,x,x,x,x]"]]
    await gatherer.close()


async def test_an_answer_comes_only_after_the_log_has_everything(
    log: MemoryEventLog, gatherer: Gatherer
) -> None:
    log.pause()
    request = asyncio.create_task(gatherer.publish({0: [b"1"], 1: [b"2"]}))
    done, _ = await asyncio.wait({request}, timeout=0.1)
    assert not done
    log.resume()
    await request
    assert log.records == [[b"[1]"], [b"[2]"]]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.floats(0, 0.003))
def test_each_partition_has_all_events_in_the_order_of_their_requests(
    sizes: list[int], linger_s: float
) -> None:
    async def scenario() -> None:
        log = MemoryEventLog(partitions=2, max_record_bytes=100)
        await log.start()
        gatherer = make(log, linger_s=linger_s, max_pending=10_000)
        requests, start = [], 0
        for number, size in enumerate(sizes):
            raws = numbers(start, size)
            requests.append(asyncio.create_task(gatherer.publish({0: raws, 1: raws[::2]})))
            start += size
            if number % 3 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*requests)
        assert flat(log.records[0]) == numbers(0, start)
        assert [len(record) <= 100 for record in log.records[0]] == [True] * len(log.records[0])
        await gatherer.close()

    asyncio.run(scenario())


async def test_at_most_one_record_a_partition_is_under_way(log: MemoryEventLog) -> None:
    under_way, most = 0, 0
    append = log.append

    async def counting(partition: int, value: bytes, headers: Headers = ()) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        try:
            return await append(partition, value, headers)
        finally:
            under_way -= 1

    log.append = counting  # type: ignore[method-assign]
    gatherer = make(log)
    await asyncio.gather(*(_later(gatherer, n) for n in range(50)))
    assert flat(log.records[0]) == numbers(0, 50)
    assert most == 1
    await gatherer.close()


async def _later(gatherer: Gatherer, number: int) -> None:
    await asyncio.sleep(number * 0.0003)
    await gatherer.publish({0: numbers(number, 1)})


async def test_a_single_event_may_fill_a_record_of_its_own(
    log: MemoryEventLog, gatherer: Gatherer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "RECORD_BYTES", 100)
    large = b"9" * (log.max_record_bytes - 2)
    await gatherer.publish({0: [b"1", large, b"2"]})
    assert log.records[0] == [b"[1]", b"[" + large + b"]", b"[2]"]


async def test_over_the_limit_of_events_a_request_is_refused_at_once(log: MemoryEventLog) -> None:
    gatherer = make(log, max_pending=10)
    log.pause()
    first = asyncio.create_task(gatherer.publish({0: numbers(0, 8)}))
    await until(lambda: gatherer.pending == 8)
    refused = await refusal(gatherer.publish({0: numbers(8, 3)}))
    assert (refused.reason, refused.events) == ("overloaded", 3)
    assert refused.retry_after_s is not None
    second = asyncio.create_task(gatherer.publish({0: numbers(8, 2)}))
    await asyncio.sleep(0)
    log.resume()
    await asyncio.gather(first, second)
    assert gatherer.pending == 0
    assert flat(log.records[0]) == numbers(0, 10)
    await gatherer.close()


async def test_bytes_are_limited_likewise(log: MemoryEventLog) -> None:
    gatherer = make(log, max_pending_bytes=100)
    log.pause()
    first = asyncio.create_task(gatherer.publish({0: [b"x" * 90]}))
    await until(lambda: gatherer.pending)
    assert (await refusal(gatherer.publish({1: [b"x" * 20]}))).reason == "overloaded"
    log.resume()
    await first
    await gatherer.close()


async def test_a_request_over_the_limit_gets_through_when_nothing_waits(
    log: MemoryEventLog,
) -> None:
    gatherer = make(log, max_pending=5)
    await gatherer.publish({0: numbers(0, 50)})
    assert flat(log.records[0]) == numbers(0, 50)
    await gatherer.close()


async def test_what_the_log_did_not_take_is_unavailable_and_the_next_request_is_not(
    log: MemoryEventLog, gatherer: Gatherer
) -> None:
    log.refuse(EventLogError("broken"))
    refused = await refusal(gatherer.publish({0: numbers(0, 3)}))
    assert (refused.reason, refused.events) == ("unavailable", 3)
    assert "Send the same request again" in refused.detail
    log.refuse(None)
    await gatherer.publish({0: [b"7"]})
    assert log.records[0] == [b"[7]"]
    assert gatherer.pending == 0


async def test_one_failed_partition_fails_the_requests_that_touch_it_and_no_other(
    log: MemoryEventLog, gatherer: Gatherer
) -> None:
    append = log.append

    async def half_broken(partition: int, value: bytes, headers: Headers = ()) -> int:
        if partition == 1:
            raise EventLogError("partition 1 is broken")
        return await append(partition, value, headers)

    log.append = half_broken  # type: ignore[method-assign]
    both = asyncio.create_task(gatherer.publish({0: [b"1"], 1: [b"2"]}))
    await asyncio.sleep(0)
    await gatherer.publish({0: [b"3"]})
    assert (await refusal(both)).reason == "unavailable"
    assert flat(log.records[0]) == [b"1", b"3"]


async def test_a_fault_of_our_own_is_answered_and_logged_and_the_lane_lives_on(
    log: MemoryEventLog, gatherer: Gatherer
) -> None:
    append = log.append
    log.append = None  # type: ignore[method-assign,assignment]
    with capture_logs() as logs:
        assert (await refusal(gatherer.publish({0: [b"1"]}))).reason == "unavailable"
    assert [line["log_level"] for line in logs] == ["error"]
    log.append = append  # type: ignore[method-assign]
    await gatherer.publish({0: [b"2"]})
    assert log.records[0] == [b"[2]"]


async def test_what_waited_too_long_is_dropped_unsent_and_only_the_record_under_way_may_arrive(
    log: MemoryEventLog,
) -> None:
    gatherer = make(log, timeout_s=0.1)
    log.pause()
    under_way = asyncio.create_task(gatherer.publish({0: [b"1"]}))
    await asyncio.sleep(0.02)
    behind = asyncio.create_task(gatherer.publish({0: [b"2"]}))
    for request in (under_way, behind):
        refused = await refusal(request)
        assert refused.reason == "unavailable"
        assert "within 0.1 s" in refused.detail
    assert gatherer.pending == 1  # the record under way still takes up memory
    log.resume()
    await gatherer.publish({0: [b"3"]})
    assert log.records[0] == [b"[1]", b"[3]"]
    assert gatherer.pending == 0
    await gatherer.close()


async def test_a_stuck_partition_makes_the_service_unready_but_not_the_others(
    log: MemoryEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.gatherer._STUCK_S", 0.05)
    gatherer = make(log)
    assert gatherer.problem() is None
    log.pause()
    request = asyncio.create_task(gatherer.publish({1: [b"1"]}))
    await until(lambda: gatherer.problem() is not None, 5)
    assert "partitions [1]" in (gatherer.problem() or "")
    log.resume()
    await request
    assert gatherer.problem() is None
    await gatherer.close()


async def test_a_log_without_partitions_takes_nothing_and_says_why() -> None:
    log = MemoryEventLog(partitions=0)
    refused = await refusal(make(log).publish({}))
    assert refused.reason == "unavailable"
    assert "Nothing was written: not started" in refused.detail


async def test_nothing_to_publish_is_published_at_once(gatherer: Gatherer) -> None:
    await gatherer.publish({})


async def test_drain_answers_what_was_taken_in_and_refuses_the_rest(
    log: MemoryEventLog, gatherer: Gatherer
) -> None:
    log.pause()
    requests = [asyncio.create_task(gatherer.publish({n % 2: numbers(n, 1)})) for n in range(10)]
    await until(lambda: gatherer.pending == 10)
    drain = asyncio.create_task(gatherer.drain())
    await asyncio.sleep(0)
    assert (await refusal(gatherer.publish({0: [b"late"]}))).reason == "draining"
    assert not drain.done()
    log.resume()
    await asyncio.gather(*requests, drain)
    assert sorted(flat(log.records[0]) + flat(log.records[1])) == numbers(0, 10)


async def test_drain_does_not_wait_longer_than_requests_do(log: MemoryEventLog) -> None:
    gatherer = make(log, timeout_s=0.1)
    log.pause()
    request = asyncio.create_task(gatherer.publish({0: [b"1"]}))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await gatherer.drain()
    assert (await refusal(request)).reason == "unavailable"
    await gatherer.close()


async def test_a_record_says_which_of_its_events_belong_to_requests_that_are_followed(
    log: MemoryEventLog,
) -> None:
    followed = iter(["trace-a", None, "trace-c"])

    class Traces(NoTraces):
        def current(self) -> str | None:
            return next(followed)

    gatherer = make(log, linger_s=0.5, traces=Traces())
    await asyncio.gather(
        gatherer.publish({0: numbers(0, 2), 1: numbers(0, 1)}),
        gatherer.publish({0: numbers(2, 3)}),
        gatherer.publish({0: numbers(5, 1)}),
    )
    (of_one,), (of_other,) = log.headers
    assert read_traces(of_one) == [Traced(0, 2, "trace-a"), Traced(5, 1, "trace-c")]
    assert read_traces(of_other) == [Traced(0, 1, "trace-a")]
    await gatherer.close()
