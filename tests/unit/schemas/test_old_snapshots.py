"""Snapshots of former versions, as they lie on somebody's topic: they serve, and learning goes on.

Each file in `snapshots` was written by the commit that it names, with what that commit predicted
from it. Whoever changes the format adds a file written by the code before the change.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.scorer.models import KafkaModels, ModelRecord, _Place
from shared.domain.churn import ChurnModel
from shared.domain.learner import Learner, Snapshot
from shared.domain.outputs import Example, Identity, Training, Watermark
from shared.schemas.snapshots import SIGNATURE_HEADER, decode_snapshot, encode_snapshot, sign
from shared.settings import load_settings

SECRET = b"tenure-development"
KEPT = sorted((Path(__file__).parent / "snapshots").glob("*.json"))
#: Those that tell as well what the commit that wrote them made of the labels in `learned_on`.
WITH_WHAT_FOLLOWED = [path for path in KEPT if "told_after" in json.loads(path.read_text())]
#: Silence is learned otherwise since: what it comes to is nearly what it came to then.
LEARNED_OTHERWISE = ("champion: silent", "challenger: silent")


@pytest.fixture(params=KEPT, ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.param.read_text())
    return found


def parts(old: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    return tuple(old[name].encode() for name in ("key", "value", "signature"))  # type: ignore[return-value]


def test_there_are_some() -> None:
    assert KEPT
    assert WITH_WHAT_FOLLOWED


def test_it_predicts_what_it_did(old: dict[str, Any]) -> None:
    snapshot = decode_snapshot(*parts(old), SECRET)
    said = ChurnModel.load(snapshot.model).scorer().predict(np.array(old["features"]))
    assert said.tolist() == pytest.approx(old["predicted"], rel=1e-12)


def test_learning_goes_on_from_it_to_a_snapshot_of_today(old: dict[str, Any]) -> None:
    snapshot = decode_snapshot(*parts(old), SECRET)
    newest = learned_on(snapshot, old["features"])
    assert newest.version == snapshot.version + 1
    key = b"churn/0000000099"
    again = decode_snapshot(key, *encode_snapshot(key, newest, SECRET), SECRET)
    assert again == newest
    assert newest.labels > snapshot.labels


@pytest.mark.parametrize("path", WITH_WHAT_FOLLOWED, ids=lambda path: path.stem)
def test_learning_goes_on_from_it_as_it_did(path: Path) -> None:
    old = json.loads(path.read_text())
    snapshot, features = decode_snapshot(*parts(old), SECRET), old["features"]
    assert told(snapshot, features) == approximately(old["told"])
    learner = Learner.resume(snapshot)
    for kept, model in ((snapshot.model, learner.model), (snapshot.challenger, learner.challenger)):
        assert kept["silence"].items() <= model.dump()["silence"].items()
    found, then = told(learned_on(snapshot, features), features), old["told_after"]
    for name in LEARNED_OTHERWISE:
        gone = np.abs(np.subtract(then[name], old["told"][name])).mean()
        assert np.abs(np.subtract(found.pop(name), then.pop(name))).mean() < gone / 20
    assert found == approximately(then)


def learned_on(snapshot: Snapshot, features: list[list[float]]) -> Snapshot:
    """Return the next snapshot, after labels of these customers over and over."""
    examples = [
        Example(
            origin=Identity(0, 1_000_000 + n, 0),
            at=snapshot.at,
            labelled_at=snapshot.at + n,
            features=some,
            silent=n % len(features) % 3 == (n % 7 == 0),
            predicted=0.4,
            heuristic=0.5,
            model=snapshot.version,
            recent=True,
            closed=n % 12 == 0,
            involuntary=n % 24 == 0,
            spend=float(n % 30),
            market=("", "de", "fr", "it")[n % 4],
            challenger=0.3,
        )
        for n, some in enumerate(islice(cycle(features), 2_500))
    ]
    learned = Training(Watermark(0, examples[-1].labelled_at), examples)
    (newest,) = Learner.resume(snapshot).take(snapshot.made_at + 1, learned)
    return newest


def told(snapshot: Snapshot, features: list[list[float]]) -> dict[str, list[float]]:
    """Return what a snapshot says of customers, and of how good it is."""
    learner, x = Learner.resume(snapshot), np.array(features)
    found = {"labels": [snapshot.labels], "drift": [learner.drift.labels, learner.drift.found]}
    for name, model in (("champion", learner.model), ("challenger", learner.challenger)):
        # Since, a share of what is said of customers on plans comes from tables not known then.
        scorer = replace(model.scorer(), long_run=None)
        found[f"{name}: silent"] = scorer.predict(x).tolist()
        found[f"{name}: closed"] = scorer.predict_closed(x).tolist()
        found[f"{name}: involuntary"] = scorer.predict_involuntary(x).tolist()
        found[f"{name}: spend"] = scorer.spend(x, np.full(len(x), 0.5)).tolist()
    for name, metrics in (
        ("all", learner.metrics),
        ("recent customers", learner.metrics_recent_customers),
    ):
        found[f"metrics, {name}"] = list(metrics.recent().report().values())
    for market, tally in learner.markets.tallies():
        found[f"market {market}"] = list(tally.report().values())
    found["comparison"] = list(learner.comparison.report().values())
    found["promotions"] = [each.version for each in learner.promotions]
    return found


def approximately(found: dict[str, list[float]]) -> dict[str, Any]:
    return {name: pytest.approx(values, rel=1e-9) for name, values in found.items()}


class Published(KafkaModels):
    """What was put on the topic, without Kafka."""

    def __init__(self) -> None:
        super().__init__(load_settings())
        self._log: list[ModelRecord] = []

    def put(self, key: bytes, value: bytes, signature: bytes) -> None:
        record = ModelRecord(key, value, ((SIGNATURE_HEADER, signature),))
        self._take(record, _Place(len(self._log), 0))
        self._log.append(record)

    async def catch_up(self) -> None:
        pass

    async def record(self, version: int) -> ModelRecord | None:
        place = self._places.get(version)
        return None if place is None else self._log[place.offset]


def later_format(content: dict[str, Any]) -> None:
    content["model"]["version"] += 1


def later_configuration(content: dict[str, Any]) -> None:
    content["model"]["configuration"] = {"of tomorrow": 1.0}


def later_challenger(content: dict[str, Any]) -> None:
    content["challenger"] = {**content["model"], "configuration": {"of tomorrow": 1.0}}


@pytest.mark.parametrize("move_on", [later_format, later_configuration, later_challenger])
async def test_what_is_of_a_later_format_is_refused_and_the_last_good_one_serves(
    old: dict[str, Any], move_on: Callable[[dict[str, Any]], None]
) -> None:
    models = Published()
    key, value, signature = parts(old)
    models.put(key, value, signature)
    snapshot = decode_snapshot(key, value, signature, SECRET)
    later = {**json.loads(value), "version": snapshot.version + 1}
    move_on(later)
    models.put(*signed(later))
    models.put(key, value[:-1], signature)  # tampered with
    newest = await models.latest()
    assert newest is not None
    assert newest.version == snapshot.version
    assert await models.get(98) is None
    found = await models.at_most(98)
    assert found is not None
    assert found.version == snapshot.version
    said = found.scorer.predict(np.array(old["features"]))
    assert said.tolist() == pytest.approx(old["predicted"], rel=1e-12)


def signed(content: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    """Return a record of it that is signed by us."""
    key, value = b"churn/0000000098", json.dumps(content).encode()
    return key, value, sign(key, value, SECRET)
