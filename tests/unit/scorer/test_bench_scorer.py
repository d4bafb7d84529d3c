"""What the benchmark of the scorer makes of its looks at the counters."""

from services.scorer.bench.run import _measured, _Sample


def test_the_start_up_is_left_out() -> None:
    looks = [_Sample(0, 0, 0), _Sample(10, 40, 8), _Sample(11, 540, 8.5), _Sample(12, 1040, 9)]
    measured = _measured("scorer", looks, 1000)
    assert measured.events_per_second == 500
    assert measured.cpu_us_per_event == 1000


def test_events_that_are_all_scored_between_two_looks_are_measured() -> None:
    measured = _measured("scorer", [_Sample(0, 0, 0), _Sample(2, 1000, 1)], 1000)
    assert measured.events_per_second == 500
    assert measured.cpu_us_per_event == 1000
