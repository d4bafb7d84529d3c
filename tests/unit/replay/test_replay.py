"""A replay sends every event once and in order, says what was refused, and gives up in time."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.replay.client import IngestClient, RefusedError, ReplayError, Retries
from services.replay.pace import DaysPerSecond, EventsPerSecond
from services.replay.plan import Batch, Limits, Tick, plan
from services.replay.service import Progress, Replay
from shared.adapters.event_files import Good
from shared.domain.policy import DAY_MS

NOW = 40 * DAY_MS + DAY_MS // 2
Answer = Callable[[httpx.Request], httpx.Response]


def good(line: int, at: int = 0) -> Good:
    return Good(line, at, b'{"id":"%d"}' % line)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Ingest:
    """Remembers what it accepted; answers requests as it is told to first."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.accepted: list[str] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        body = json.loads(request.content)
        is_tick = request.url.path == "/v1/ticks"
        self.accepted += [f"tick {body['time']}"] if is_tick else [each["id"] for each in body]
        return httpx.Response(202, json={})


def client(answer: Answer, clock: Clock | None = None) -> IngestClient:
    clock = clock or Clock()
    retries = Retries(patience_s=60, clock=clock, sleep=clock.sleep)
    return IngestClient(
        "http://ingest", key="secret", retries=retries, transport=httpx.MockTransport(answer)
    )


async def run(
    ingest: Answer,
    events: list[Good],
    *,
    limits: Limits | None = None,
    skip_refused: bool = False,
) -> Progress:
    limits = limits or Limits(tick_ms=None)
    async with client(ingest) as sender:
        replay = Replay(sender, limits=limits, skip_refused=skip_refused, now=lambda: NOW)
        return await replay.run(events)


@given(
    st.lists(st.integers(0, 5 * DAY_MS), max_size=80).map(sorted),
    st.integers(1, 7),
    st.integers(10, 60),
)
def test_a_plan_holds_every_event_in_order_and_every_midnight_between(
    times: list[int], most: int, size: int
) -> None:
    events = [good(line, at) for line, at in enumerate(times)]
    steps = list(plan(events, Limits(most, size, DAY_MS)))
    batches = [step.events for step in steps if isinstance(step, Batch)]
    assert [event for batch in batches for event in batch] == events
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or sum(len(event.value) for event in batch) <= size
    ticks = [step.at for step in steps if isinstance(step, Tick)]
    days = range(times[0] // DAY_MS + 1, times[-1] // DAY_MS + 1) if times else range(0)
    assert ticks == [day * DAY_MS for day in days]
    # A tick moves time past what comes after it, so none may be before its events.
    moments = [at for step in steps for at in _moments(step)]
    assert moments == sorted(moments)


def _moments(step: Batch | Tick) -> list[int]:
    return [event.at for event in step.events] if isinstance(step, Batch) else [step.at]


async def test_events_and_ticks_arrive_in_order_and_the_present_last() -> None:
    ingest = Ingest()
    events = [good(1, 5), good(2, DAY_MS - 1), good(3, DAY_MS), good(4, 3 * DAY_MS + 1)]
    since = [datetime.fromtimestamp(day * 86_400, UTC).date() for day in range(4, 41)]
    done = await run(ingest, events, limits=Limits())
    assert ingest.accepted == [
        "1",
        "2",
        "tick 1970-01-02T00:00:00.000+00:00",
        "3",
        "tick 1970-01-03T00:00:00.000+00:00",
        "tick 1970-01-04T00:00:00.000+00:00",
        "4",
        # Those of the days since, of which a scorer would else take all reviews at once.
        *(f"tick {day}T00:00:00.000+00:00" for day in since),
        "tick 1970-02-10T12:00:00.000+00:00",
    ]
    assert (done.accepted, done.ticks, done.at) == (4, 3 + len(since) + 1, NOW)


async def test_requests_carry_the_key_and_the_batch_type() -> None:
    ingest = Ingest()
    await run(ingest, [good(1)])
    (request,) = ingest.requests
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["Content-Type"] == "application/cloudevents-batch+json"


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(503, headers={"Retry-After": "2"}),
        httpx.Response(429),
        httpx.Response(500),
        httpx.Response(502),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("closed"),
    ],
    ids=repr,
)
async def test_what_may_succeed_later_is_sent_again(trouble: httpx.Response | Exception) -> None:
    ingest = Ingest(trouble, trouble)
    done = await run(ingest, [good(1), good(2)])
    assert ingest.accepted == ["1", "2"]
    assert done.accepted == 2
    assert len({request.content for request in ingest.requests}) == 1


async def test_retry_after_is_waited_for() -> None:
    clock = Clock()
    async with client(Ingest(httpx.Response(503, headers={"Retry-After": "3"})), clock) as sender:
        await sender.post([good(1)])
        assert sender.retries.count == 1
    assert clock.now >= 1003


async def test_it_gives_up_when_nobody_answers_for_a_minute() -> None:
    clock = Clock()

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    async with client(refuse, clock) as sender:
        with pytest.raises(ReplayError, match="connection refused"):
            await sender.post([good(1)])
    assert 1060 <= clock.now <= 1066


@pytest.mark.parametrize(
    ("status", "named"),
    [(401, "--key"), (403, "source"), (404, "--url"), (415, "415"), (200, "200")],
)
async def test_what_will_never_succeed_ends_the_replay(status: int, named: str) -> None:
    ingest = Ingest(httpx.Response(status, json={"detail": "no"}))
    with pytest.raises(ReplayError, match=named):
        await run(ingest, [good(1)])
    assert len(ingest.requests) == 1


async def test_a_batch_that_is_too_large_is_sent_in_halves() -> None:
    ingest = Ingest(httpx.Response(413))
    done = await run(ingest, [good(line) for line in range(5)])
    assert ingest.accepted == ["0", "1", "2", "3", "4"]
    assert done.accepted == 5


def refusal(*indexes: int) -> httpx.Response:
    errors = [
        {"index": index, "field": "time", "reason": "in the future", "remedy": "Wait"}
        for index in indexes
    ]
    return httpx.Response(422, json={"detail": "refused", "errors": errors})


async def test_a_refusal_names_the_lines_and_ends_the_replay() -> None:
    ingest = Ingest(refusal(1))
    with pytest.raises(RefusedError) as refused:
        await run(ingest, [good(11), good(12), good(13)])
    (bad,) = refused.value.bad
    assert (bad.line, bad.field, bad.reason, bad.remedy) == (12, "time", "in the future", "Wait")
    assert bad.raw == '{"id":"12"}'
    assert ingest.accepted == []


async def test_what_is_refused_can_be_left_out_and_is_listed() -> None:
    ingest = Ingest(refusal(0, 2))
    events = [good(11), good(12), good(13), good(14)]
    done = await run(ingest, events, skip_refused=True)
    assert ingest.accepted == ["12", "14"]
    assert done.accepted == 2
    assert [bad.line for bad in done.refused] == [11, 13]


async def test_a_batch_that_is_refused_whole_is_left_out_whole() -> None:
    ingest = Ingest(refusal(0, 1))
    done = await run(ingest, [good(11), good(12)], skip_refused=True)
    assert (done.accepted, len(done.refused), len(ingest.requests)) == (0, 2, 1)


async def test_a_refusal_that_names_no_event_is_not_asked_for_ever() -> None:
    ingest = Ingest(*[refusal(99)] * 5)
    with pytest.raises(RefusedError):
        await run(ingest, [good(1)], skip_refused=True)
    assert len(ingest.requests) == 1


async def test_progress_survives_an_interruption() -> None:
    ingest = Ingest()
    async with client(ingest) as sender:
        replay = Replay(sender, limits=Limits(events=1, tick_ms=None), watch=_interrupt_at(2))
        with pytest.raises(asyncio.CancelledError):
            await replay.run([good(line, line) for line in range(5)])
    assert (replay.progress.accepted, replay.progress.at) == (2, 1)


def _interrupt_at(accepted: int) -> Callable[[Progress], None]:
    def watch(done: Progress) -> None:
        if done.accepted == accepted:
            raise asyncio.CancelledError

    return watch


async def test_a_rate_is_kept_on_average() -> None:
    clock = Clock()
    pace = EventsPerSecond(100, clock=clock, sleep=clock.sleep)
    started = []
    for _ in range(4):
        await pace.wait(Batch([good(1)] * 50))
        started.append(clock.now - 1000)
    assert started == pytest.approx([0, 0.5, 1.0, 1.5])


async def test_what_was_late_catches_up() -> None:
    clock = Clock()
    pace = EventsPerSecond(100, clock=clock, sleep=clock.sleep)
    await pace.wait(Batch([good(1)] * 50))
    clock.now += 0.8  # the request took longer than its events were worth
    await pace.wait(Batch([good(1)] * 50))
    assert clock.now == pytest.approx(1000.8)
    await pace.wait(Tick(0))
    assert clock.now == pytest.approx(1001.0)


async def test_days_pass_at_their_speed() -> None:
    clock = Clock()
    pace = DaysPerSecond(2, clock=clock, sleep=clock.sleep)
    for at in (DAY_MS, 2 * DAY_MS, 9 * DAY_MS):
        await pace.wait(Tick(at))
    assert clock.now == pytest.approx(1004)


async def test_what_is_no_json_is_refused_with_the_reason_and_a_remedy() -> None:
    problem = {"detail": "The body is no JSON: byte 0."}
    sender = client(Ingest(httpx.Response(400, json=problem)))
    with pytest.raises(RefusedError) as refused:
        await sender.post([Good(7, 0, b"\xff")])
    (bad,) = refused.value.bad
    assert (bad.line, bad.field, bad.reason) == (7, "$", "The body is no JSON: byte 0")
    assert bad.remedy
