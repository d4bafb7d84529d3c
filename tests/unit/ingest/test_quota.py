"""Quotas: a rate on the average, a burst at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.quota import Quotas
from services.ingest.refusal import RefusedError
from shared.adapters.api_keys import Caller, Quota


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def caller(name: str = "billing", *, rate: float = 10, burst: float | None = 20) -> Caller:
    return Caller(name, "", quota=Quota(rate, burst))


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    quotas.spend(caller(), 20)
    with pytest.raises(RefusedError) as caught:
        quotas.spend(caller(), 1)
    assert caught.value.reason == "quota"
    assert caught.value.retry_after_s == pytest.approx(0.1)
    clock.now = 0.1
    quotas.spend(caller(), 1)


def test_a_batch_over_the_burst_gets_through_and_is_paid_for_later() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    quotas.spend(caller(), 120)
    with pytest.raises(RefusedError) as caught:
        quotas.spend(caller(), 1)
    assert caught.value.retry_after_s == pytest.approx(10.0)
    clock.now = 10.1
    quotas.spend(caller(), 1)


def test_silence_saves_up_no_more_than_a_burst() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    quotas.spend(caller(), 1)
    clock.now = 3600.0
    quotas.spend(caller(), 20)
    with pytest.raises(RefusedError):
        quotas.spend(caller(), 1)


def test_callers_do_not_spend_for_each_other_and_none_is_no_limit() -> None:
    quotas = Quotas(Clock())
    quotas.spend(caller("a"), 20)
    quotas.spend(caller("b"), 20)
    for _ in range(100):
        quotas.spend(Caller("c", ""), 1_000_000)


def test_a_changed_quota_counts_at_once() -> None:
    quotas = Quotas(Clock())
    quotas.spend(caller(), 20)
    quotas.spend(caller(rate=100, burst=None), 1000)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), min_size=1))
def test_never_more_than_the_rate_a_burst_and_one_batch(steps: list[tuple[float, int]]) -> None:
    clock, spent, last = Clock(), 0, 0
    quotas = Quotas(clock)
    for pause, events in steps:
        clock.now += pause
        try:
            quotas.spend(caller(), events)
        except RefusedError:
            continue
        spent, last = spent + events, events
        assert spent - last <= 20 + clock.now * 10 + 1e-6
