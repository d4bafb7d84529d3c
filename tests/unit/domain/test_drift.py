"""Predictions that get worse are noticed once, whatever is restarted meanwhile."""

import json
from collections.abc import Iterator

import numpy as np
import pytest

from shared.domain import drift as drift_module
from shared.domain.drift import Drift, DriftDetector

SAID = 0.3


def outcomes(*stretches: tuple[int, float], seed: int = 0) -> list[bool]:
    """Return what came true: of so many labels such a share, one stretch after the other."""
    draw = np.random.default_rng(seed)
    return [came for count, rate in stretches for came in (draw.random(count) < rate).tolist()]


def drifts(came: list[bool]) -> Iterator[Drift]:
    detector = DriftDetector()
    for at, one in enumerate(came):
        found = detector.update(SAID, one, at)
        if found is not None:
            yield found


@pytest.mark.parametrize("rate", [0.4, 0.5, 0.8])
def test_a_change_for_the_worse_is_noticed_soon_and_once(rate: float) -> None:
    (found,) = drifts(outcomes((10_000, SAID), (10_000, rate)))
    assert 10_000 < found.labels <= 11_000
    assert found.at == found.labels - 1
    assert found.before == pytest.approx(SAID * (1 - SAID), abs=0.01)
    assert found.after > found.before + 0.02


def test_a_second_change_is_another() -> None:
    found = drifts(outcomes((10_000, SAID), (10_000, 0.5), (10_000, 0.8)))
    assert [one.labels // 10_000 for one in found] == [1, 2]


def test_what_gets_better_is_no_alarm() -> None:
    assert not list(drifts(outcomes((10_000, 0.8), (10_000, 0.1))))


def test_chance_alone_is_no_alarm() -> None:
    """At .002, of 20 lives of 20,000 labels with nothing in them hardly one raises an alarm."""
    assert sum(len(list(drifts(outcomes((20_000, SAID), seed=seed)))) for seed in range(20)) <= 1


def test_restored_anywhere_it_goes_on_to_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_module, "KEPT", 300)  # so that it also forgets
    came = outcomes((1_000, SAID), (800, 0.8), (1_000, SAID), (800, 0.9))
    through, restored = DriftDetector(), DriftDetector()
    for at, one in enumerate(came):
        assert restored.update(SAID, one, at) == through.update(SAID, one, at)
        if at % 97 == 0:
            restored = DriftDetector.load(json.loads(json.dumps(restored.dump())))
            assert restored.dump() == through.dump()
    assert through.found >= 2  # it has something to find
