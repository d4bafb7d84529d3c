"""`tenure replay` before anything is sent: bad lines stop it, or go into a file."""

import json
from pathlib import Path

import pytest

from services.commands.replay import Rejects
from shared.adapters.event_files import Bad, Good
from tests.unit.cli.test_cli import run

NOWHERE = "http://127.0.0.1:1"


def test_bad_lines_are_listed_and_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("subject,time,amount\nc,2026-01-31,1\nc,soon,2\nc,2026-02-01,many\n")
    assert run(monkeypatch, "replay", str(file), "--url", NOWHERE) == 2
    shown = capsys.readouterr().err
    assert "line 3: time: 'soon' is no time" in shown
    assert "line 4: data.amount:" in shown
    assert "2 of 3 lines are no events, so nothing was sent" in shown
    assert "takes nothing" not in shown  # it did not even try


def test_rate_and_speed_exclude_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("subject,time,amount\nc,2026-01-31,1\n")
    assert run(monkeypatch, "replay", str(file), "--rate", "1", "--speed", "1") == 2
    assert "not both" in capsys.readouterr().err


def test_a_missing_file_is_an_expected_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "replay", "nowhere.csv") == 2
    assert capsys.readouterr().err == "tenure: there is no file nowhere.csv\n"


def test_every_bad_line_is_written_and_only_some_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.ndjson"
    lines = [Bad(line, "time", "wrong", "Mend it", "raw") for line in range(30)]
    with path.open("wb") as file:
        rejects = Rejects(file)
        assert list(rejects.sieve(iter([*lines, Good(31, 0, b"{}")]))) == [Good(31, 0, b"{}")]
    assert rejects.count == 30
    assert len(capsys.readouterr().err.splitlines()) == 21
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert written[29] == {
        "line": 29,
        "field": "time",
        "reason": "wrong",
        "remedy": "Mend it",
        "raw": "raw",
    }
