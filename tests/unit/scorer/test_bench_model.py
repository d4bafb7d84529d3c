"""The benchmark learns what it says, and its sizes are those of the state."""

import pytest

from services.scorer.bench import model as bench
from services.scorer.bench.model import bench_model
from shared.domain.customer import ROW


def test_it_learns_and_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_SCORED", 20_000)
    found = bench_model(1_000, plans=0.5, signs=0.5)
    assert found.labels == 1_000
    assert found.learned_us > 0
    assert found.customers_per_second > 0
    assert found.snapshot_bytes == ROW["snapshots"].itemsize // ROW["snapshots"].shape[0]
