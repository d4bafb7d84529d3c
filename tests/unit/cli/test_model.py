"""`tenure model` without a broker: what it says of versions, and the control event it writes."""

import json
import math

import pytest
from msgspec import structs
from typer.testing import CliRunner

from services.commands import model
from services.commands.model import (
    NoSuchModelError,
    _remarks,
    _summary,
    _use,
    _wanted,
)
from shared.domain.challenger import Comparison, Promotion, bound
from shared.domain.churn import ChurnModel
from shared.domain.configuration import CHALLENGER, CHAMPION
from shared.domain.evaluation import Prequential
from shared.domain.events import ModelPinned, decode_event
from shared.domain.markets import Markets
from shared.schemas.control_events import pin_event
from tests.unit.schemas.test_snapshots import snapshot

SERVED = {"0": {"version": 1, "pinned": 1}, "1": {"version": 2, "pinned": None}}


def test_the_control_event_says_which_by_whom_and_why() -> None:
    told = decode_event(pin_event(3, 17, "eve", "it learned from wrong events", "tests"))
    assert isinstance(told, ModelPinned)
    assert (told.data.version, told.data.at) == (3, 17)
    assert told.data.reason == "it learned from wrong events"
    assert told.data.by == "eve"
    assert told.time.year == 1970  # moves no partition's time
    ended = decode_event(pin_event(None, 18, "eve", "", "tests"))
    assert isinstance(ended, ModelPinned)
    assert ended.data.version is None


def test_a_version_that_is_not_there_is_refused_with_those_that_are() -> None:
    versions = {number: structs.replace(snapshot(), version=number) for number in (2, 3)}
    assert _wanted(versions, 3).version == 3
    with pytest.raises(NoSuchModelError, match=r"no version 7 .* from 2 to 3.*model list"):
        _wanted(versions, 7)
    with pytest.raises(NoSuchModelError, match="not any yet"):
        _wanted({}, 7)


def test_what_a_version_was_worth_is_of_the_time_when_it_was_published() -> None:
    found = _summary(snapshot(labels=8))
    assert (found["labels"], found["n"], found["base_rate"]) == (8, 8, 0.5)
    assert found["brier"] == pytest.approx((0.25**2 + 0.75**2) / 2)


def test_what_a_version_did_of_late_is_not_hidden_by_all_that_was_before() -> None:
    metrics = Prequential()
    for right in [True] * 50_000 + [False] * 5_000:
        metrics.update(0.9 if right else 0.1, 1)
    found = _summary(structs.replace(snapshot(), metrics=metrics.dump()))
    assert found["log_loss"] == pytest.approx(-math.log(0.1))


def test_it_says_who_serves_what_and_what_is_pinned() -> None:
    assert _use(2, SERVED) == "1 of 2 partitions"
    assert _use(3, SERVED) == ""
    assert _remarks({1: snapshot()}, SERVED) == ["Pinned: 1. `tenure model unpin` ends it."]
    (cold, silent) = _remarks({}, None)
    assert "heuristic" in cold
    assert "--url" in silent


def test_a_version_is_shown_by_market(monkeypatch: pytest.MonkeyPatch) -> None:
    markets = Markets()
    for market, p, silent in [("[red]", 0.9, True), ("[red]", 0.1, False), ("", 0.5, True)]:
        markets.update(market, p, silent)
    version = structs.replace(snapshot(), markets=markets.dump())
    monkeypatch.setattr(model, "_snapshots", lambda _: {1: version})
    shown = CliRunner().invoke(model.app, ["show", "1", "--json"])
    found = json.loads(shown.stdout)["markets"]
    assert {name: (each["n"], each["auc"]) for name, each in found.items()} == {
        "[red]": (2, 1.0),
        "none": (1, None),
    }
    (line,) = (
        line.split()
        for line in CliRunner().invoke(model.app, ["show", "1"]).stdout.splitlines()
        if "[red]" in line
    )
    assert line == ["[red]", "2", "0.500", "1.000", "0.105", "0.100"]


def test_the_challenger_is_shown_with_what_is_known_of_the_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    comparison = Comparison(number=1, since=1, labels=10, champion=5.0, challenger=4.0)
    comparison.horizons, comparison.total, comparison.squares = 4, -0.4, 0.04
    new = structs.replace(
        snapshot(),
        version=2,
        challenger=ChurnModel(28.0, CHALLENGER).dump(),
        comparison=comparison,
        promotions=[Promotion(0, 2, 10, str(CHAMPION), comparison.difference())],
    )
    monkeypatch.setattr(
        model, "_snapshots", lambda _: {1: structs.replace(snapshot(), version=1), 2: new}
    )
    monkeypatch.setattr(model, "_in_use", lambda _: None)
    shown = CliRunner().invoke(model.app, ["list"], env={"COLUMNS": "200"}).stdout
    reach = bound(0.04, 0.025) / 4
    said = f"-0.1000 ({-0.1 - reach:+.4f} to {-0.1 + reach:+.4f})"
    first, second = (line for line in shown.splitlines() if line.lstrip()[:1] in "12")
    assert said not in first
    assert f"{said} promoted" in second
    found = json.loads(CliRunner().invoke(model.app, ["show", "2", "--json"]).stdout)
    assert found["configuration"] == str(CHAMPION)
    assert found["challenger"]["challenger"] == str(CHALLENGER)
    assert found["challenger"]["log_loss"] == 0.5
    assert found["challenger"]["challenger_log_loss"] == 0.4
    assert found["challenger"]["promotions"] == 1
    page = CliRunner().invoke(model.app, ["show", "2"], env={"COLUMNS": "200"}).stdout
    assert str(CHALLENGER) in page
