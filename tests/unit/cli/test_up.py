"""Where `tenure up` keeps things."""

from pathlib import Path

import pytest

from services.commands.up import lasting
from shared.settings import load_settings


def test_services_find_the_files_that_were_named_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = lasting(load_settings(campaigns_file=Path("rules.yaml")), Path("data"), 9092)
    assert place.settings.campaigns_file == tmp_path / "rules.yaml"
    assert place.settings.ingest_keys_file is None
    assert place.directory == tmp_path / "data"
    assert place.directory.is_dir()


def test_a_broker_that_was_named_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lasting(load_settings(), tmp_path, 9092).own_broker
    monkeypatch.setenv("TENURE_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    assert not lasting(load_settings(), tmp_path, 9092).own_broker
