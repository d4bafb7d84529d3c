"""The model's quality, from what was predicted at the time and what came true."""

import math

import msgspec
import pytest
from msgspec import structs

from services.campaigner.console.questions import model
from services.campaigner.console.questions.model import LABELS, ModelWatch
from shared.domain.challenger import Comparison, Promotion, bound
from shared.domain.churn import ChurnModel
from shared.domain.configuration import CHALLENGER, CHAMPION
from shared.domain.learner import Snapshot
from shared.domain.outputs import Example, Identity, Training, Watermark
from shared.schemas.snapshots import encode_snapshot, sign, snapshot_key
from tests.campaign_builders import DAY, T0
from tests.unit.console.logs import MemoryLogs
from tests.unit.schemas.test_snapshots import snapshot

SECRET = b"secret of tests"


def example(predicted: float, silent: bool, number: int = 0, **more: object) -> Example:
    made = {
        "origin": Identity(0, number, 0),
        "at": T0,
        "labelled_at": T0 + number * DAY,
        "features": [],
        "silent": silent,
        "predicted": predicted,
        "heuristic": 0.5,
        "model": 1,
        "recent": True,
    }
    return Example(**made | more)  # type: ignore[arg-type]


def put(logs: MemoryLogs, *examples: Example) -> None:
    value = msgspec.json.encode(Training(Watermark(0, T0), list(examples)))
    logs.append("training-examples", 0, value)


def test_what_came_true_is_held_against_what_was_said() -> None:
    logs = MemoryLogs()
    watch = ModelWatch(logs, SECRET)
    assert watch.look().model.n == 0
    put(logs, example(0.8, True), example(0.8, False, 1), example(0.2, False, 2))
    put(logs, example(0.9, True, 3, measured=False), example(0.1, False, 4, recent=False))
    found = watch.look()
    assert (found.model.n, found.recent.n) == (4, 3)
    assert found.model.auc == pytest.approx((1 + 1 + 0.5) / 3)
    assert found.heuristic.auc == 0.5
    assert found.model.brier == pytest.approx((0.04 + 0.64 + 0.04 + 0.01) / 4)
    assert [(each.n, each.observed) for each in found.bins] == [(1, 0.0), (1, 0.0), (2, 0.5)]
    assert (found.first, found.last) == (T0, T0 + 4 * DAY)


def test_markets_are_told_apart_and_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "PLACES", 2)
    logs = MemoryLogs()
    put(logs, *(example(0.9, True, n, market="de") for n in range(3)))
    put(logs, *(example(0.9, False, 3 + n) for n in range(2)))
    put(logs, *(example(0.5, n == 0, 5 + n, market=f"m{n}") for n in range(2)))
    found = dict(ModelWatch(logs, SECRET).look().markets)
    assert {name: (each.n, each.base_rate) for name, each in found.items()} == {
        "de": (3, 1.0),
        "none": (2, 0.0),
        "others": (2, 0.5),
    }


def test_labels_are_taken_in_the_order_of_their_time_and_the_newest_stay() -> None:
    logs = MemoryLogs()
    put(logs, *(example(0.5, False, 1_000_000 + n) for n in range(LABELS)))
    put(logs, *(example(0.5, True, n) for n in range(100)))  # another partition's, and older
    found = ModelWatch(logs, SECRET).look()
    assert (found.model.n, found.model.base_rate) == (LABELS, 0.0)


def test_a_curve_has_a_point_for_each_stretch() -> None:
    logs = MemoryLogs()
    watch = ModelWatch(logs, SECRET)
    put(logs, *(example(0.2 + 0.6 * (n % 2), n % 2 == 1, n) for n in range(300)))
    right, _ = watch.look().curve
    assert (right.auc, right.heuristic_auc) == (1.0, 0.5)
    assert right.log_loss == pytest.approx(-math.log(0.8))
    put(logs, *(example(0.8 - 0.6 * (n % 2), n % 2 == 1, 300 + n) for n in range(150)))
    assert [each.auc for each in watch.look().curve] == [1.0, 1.0, 0.0]


def test_a_version_that_is_not_ours_says_so() -> None:
    logs = MemoryLogs()
    key = snapshot_key("churn", 7)
    for signature in (sign(key, b"{}", SECRET), b"forged"):
        logs.append("churn-models", 0, b"{}", key, headers=[("hmac-sha256", signature)])
        (found,) = ModelWatch(logs, SECRET).look().versions
        assert found.version == 7
        problem = str(found.problem)
        assert ("TENURE_MODEL_KEY" in problem) is (signature == b"forged")


def publish(logs: MemoryLogs, found: Snapshot) -> None:
    key = snapshot_key("churn", found.version)
    value, signature = encode_snapshot(key, found, SECRET)
    logs.append("churn-models", 0, value, key, headers=[("hmac-sha256", signature)])


def test_champion_and_challenger_are_those_of_the_newest_version_that_is_ours() -> None:
    logs = MemoryLogs()
    watch = ModelWatch(logs, SECRET)
    assert watch.look().contest is None
    publish(logs, structs.replace(snapshot(), version=8, challenger={}))
    found = watch.look().contest
    assert found is not None
    assert (found[0], found[1].champion, found[1].challenger) == (8, str(CHAMPION), None)
    assert "the first horizon of them has not ended" in found[1].said
    comparison = Comparison(labels=1_000, champion=500.0, challenger=400.0)
    comparison.horizons, comparison.total, comparison.squares = 4, -0.4, 0.04
    promoted = [Promotion(T0, each, 10, f"by {each}", comparison.difference()) for each in (3, 7)]
    publish(
        logs,
        structs.replace(
            snapshot(),
            version=9,
            model=ChurnModel(28.0, CHALLENGER).dump(),
            challenger=ChurnModel(28.0, CHAMPION).dump(),
            comparison=comparison,
            promotions=promoted,
        ),
    )
    logs.append("churn-models", 0, b"{}", snapshot_key("churn", 10))
    later = {"model": {"configuration": {"of tomorrow": 1}}}
    publish(logs, structs.replace(snapshot(), version=11, **later))
    quality = watch.look()
    assert "of tomorrow" in str(quality.versions[0].problem)
    assert quality.contest is not None
    version, contest = quality.contest
    assert (version, contest.champion) == (9, str(CHALLENGER))
    assert contest.challenger == str(CHAMPION)
    assert contest.losses == (0.5, 0.4)
    assert [each.version for each in contest.promotions] == [7, 3]
    low, high = (-0.1 + sign * bound(0.04, 0.025) / 4 for sign in (-1, 1))
    assert f"-0.1000 ({low:+.4f} to {high:+.4f})" in contest.said
    assert "(4 so far, 1,000 labels)" in contest.said


@pytest.mark.parametrize("value", [b"", b"{", b'{"examples": 3}'])
def test_what_cannot_be_read_is_left_out(value: bytes) -> None:
    logs = MemoryLogs()
    logs.append("training-examples", 0, value)
    assert ModelWatch(logs, SECRET).look().model.n == 0


def test_examples_are_true() -> None:
    import doctest

    assert doctest.testmod(model) == (0, 1)
