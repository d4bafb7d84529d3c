"""`tenure init`: files that work as they are."""

import os
import shlex
import stat
import sys
from pathlib import Path

import pytest

from services import cli
from services.campaigner.campaign_file import read_campaigns
from services.commands.settings import use_file
from shared.settings import Settings, load_settings
from tests.unit.cli.test_cli import run


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing that a command sets outlive its test."""
    monkeypatch.setattr(os, "environ", {**os.environ})


def test_what_it_writes_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my tenure"
    monkeypatch.setattr(sys, "argv", ["tenure", "init", str(folder)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    next_step = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert next_step == ["tenure", "--settings", str(folder / "tenure.env"), "up"]
    environment: dict[str, str] = {}
    use_file(folder / "tenure.env", environment)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.data_dir == folder / "data"
    assert settings.model_key != Settings.model_fields["model_key"].default
    (campaign,) = read_campaigns(settings.campaigns_file).campaigns
    assert campaign.state == "live"


def test_every_setting_is_explained_and_valid_uncommented(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run(monkeypatch, "init", str(tmp_path)) == 0
    lines = (tmp_path / "tenure.env").read_text().splitlines()
    found = {line.lstrip("#").split("=")[0] for line in lines if "TENURE_" in line.split("=")[0]}
    assert {f"TENURE_{name.upper()}" for name in Settings.model_fields} <= found
    assert all(len(line) <= 100 for line in lines if line.startswith("# "))
    # Defaults that are something can be uncommented as they are.
    for line in lines:
        name, _, value = line.removeprefix("#").partition("=")
        if name.startswith("TENURE_") and value:
            monkeypatch.setenv(name, shlex.split(value)[0])
    load_settings()


def test_nothing_is_overwritten_and_others_cannot_read_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "init", str(tmp_path)) == 0
    path = tmp_path / "tenure.env"
    before = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "campaigns.yaml").unlink()
    assert run(monkeypatch, "init", str(tmp_path)) == 2
    assert "tenure.env is there already" in capsys.readouterr().err
    assert path.read_text() == before
    assert not (tmp_path / "campaigns.yaml").exists()


def test_a_settings_file_is_used_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings"
    path.write_text("TENURE_PARTITIONS=8\nTENURE_LOG_LEVEL=DEBUG\n")
    monkeypatch.setenv("TENURE_LOG_LEVEL", "ERROR")
    assert run(monkeypatch, "--settings", str(path), "settings", "--json") == 0
    assert os.environ["TENURE_PARTITIONS"] == "8"
    assert os.environ["TENURE_LOG_LEVEL"] == "ERROR"


@pytest.mark.parametrize(
    ("text", "said"), [(None, "`tenure init` writes one"), ("TENURE_PARTITION=8", "PARTITION,")]
)
def test_a_settings_file_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    said: str,
) -> None:
    path = tmp_path / "settings"
    if text is not None:
        path.write_text(text)
    assert run(monkeypatch, "--settings", str(path), "settings") == 2
    assert said in capsys.readouterr().err


def test_shells_can_complete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TENURE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "tenure do")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setattr(sys, "argv", ["tenure"])
    with pytest.raises(SystemExit):
        cli.app(prog_name="tenure")
    assert capsys.readouterr().out.split() == ["doctor"]
