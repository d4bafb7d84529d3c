"""The thresholds file, and the control event that it becomes."""

from pathlib import Path

import pytest

from services.commands.thresholds import in_force
from services.commands.thresholds_file import ThresholdsFileError, read_thresholds
from shared.domain.batch import Record
from shared.domain.events import ThresholdsSet, decode_event
from shared.domain.thresholds import Thresholds
from shared.schemas.control_events import thresholds_event
from tests.unit.domain.histories import T0, live, partition, purchase, run

EXAMPLE = Path(__file__).parents[3] / "deploy" / "examples" / "thresholds.yaml"


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_example_says_what_is_built_in_and_what_two_markets_change() -> None:
    found = read_thresholds(EXAMPLE, 7)
    assert (found.version, found.default) == (7, Thresholds())
    assert found.markets == {
        "GB": Thresholds(onboarding_days=30),
        "PREPAID-ES": Thresholds(decline_risk=0.5, dormant_rhythms=3),
    }


def test_a_market_has_the_default_where_it_says_nothing(tmp_path: Path) -> None:
    text = "default: {onboarding_days: 10}\nmarkets: {GB: {growth_days: 50}, FR: }"
    found = read_thresholds(written(tmp_path / "t.yaml", text), 1)
    assert found.markets["GB"] == Thresholds(onboarding_days=10, growth_days=50)
    assert found.markets["FR"] == Thresholds(onboarding_days=10)


def test_every_error_is_named_at_once(tmp_path: Path) -> None:
    text = """
default: {onboarding_days: never, dormant_rythms: 3}
markets:
  GB: {decline_risk: 2}
  no: {}
stages: {}
"""
    with pytest.raises(ThresholdsFileError) as caught:
        read_thresholds(written(tmp_path / "t.yaml", text), 1)
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    for part in (
        "stages: unknown",
        "default.onboarding_days: Expected `float`",
        "default.dormant_rythms: unknown. Did you mean `dormant_rhythms`?",
        "markets.GB.decline_risk: Expected `float` <= 1.0",
        "markets.False: not a text. Put the market's name in quotes",
    ):
        assert any(part in line for line in lines), part


@pytest.mark.parametrize("text", ["[]", "a: [", "default: 3", "markets: [GB]"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ThresholdsFileError, match=r"t\.yaml: "):
        read_thresholds(written(tmp_path / "t.yaml", text), 1)


def test_a_market_that_contradicts_the_default_is_refused(tmp_path: Path) -> None:
    text = "default: {growth_days: 30}\nmarkets: {GB: {onboarding_days: 60}}"
    with pytest.raises(ThresholdsFileError, match=r"markets\.GB: growth_days must be at least"):
        read_thresholds(written(tmp_path / "t.yaml", text), 1)


def test_the_control_event_sets_them_and_moves_no_time() -> None:
    told = decode_event(thresholds_event(read_thresholds(EXAMPLE, T0), "eve", "a trial", "tests"))
    assert isinstance(told, ThresholdsSet)
    assert (told.data.reason, told.data.version) == ("a trial", T0)
    target = partition()
    run(target, live([purchase("a", T0)]))
    now = target.now
    run(
        target,
        [Record(1, T0 + 999, thresholds_event(read_thresholds(EXAMPLE, T0), "eve", "", "tests"))],
    )
    assert target.now == now
    assert target.position.thresholds.markets.keys() == {"GB", "PREPAID-ES"}


def test_a_scorers_status_tells_what_is_in_force() -> None:
    partitions = {"0": {"thresholds": {"version": 3, "markets": {"GB": {}}}}}
    assert in_force(partitions)["0"].markets == {"GB": Thresholds()}
