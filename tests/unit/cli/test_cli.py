"""The command line: what it prints, and how it ends."""

import json
import subprocess
import sys

import pytest

from services import cli
from services.commands.settings import rows, takes, unknown
from shared.domain.errors import TenureError


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the console script's entry point; return the exit code."""
    monkeypatch.setattr(sys, "argv", ["tenure", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_an_expected_error_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENURE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1")
    assert run(monkeypatch, "topics") == 2
    error = capsys.readouterr().err
    assert error.startswith("tenure: TENURE_KAFKA_BOOTSTRAP_SERVERS:")
    assert error.count("\n") == 1


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_interrupting_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    assert run(monkeypatch) == 130


def test_settings_as_json_lists_what_programs_need(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENURE_PARTITIONS", "8")
    assert run(monkeypatch, "settings", "--json") == 0
    found = {row["variable"]: row for row in json.loads(capsys.readouterr().out)}
    assert found["TENURE_PARTITIONS"] == {
        "variable": "TENURE_PARTITIONS",
        "description": "Partitions of customer-events, when `tenure topics` creates it",
        "takes": "integer from 1 to 1,000",
        "default": 4,
        "value": "8",
        "is_set": True,
    }


def test_no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENURE_MODEL_KEY", "hush")  # also too short: the error must hide it too
    monkeypatch.setenv("TENURE_DATABASE_URL", "postgresql://tenure:whisper@db/tenure")
    for arguments in (["settings"], ["settings", "--json"]):
        assert run(monkeypatch, *arguments) == 2
        shown = "".join(capsys.readouterr())
        assert "TENURE_MODEL_KEY" in shown
        assert "hush" not in shown
        assert "whisper" not in shown


def test_wrong_settings_are_listed_and_still_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENURE_PARTITIONS", "none")
    monkeypatch.setenv("TENURE_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("TENURE_PARTITION", "8")
    assert run(monkeypatch, "settings") == 2
    shown = capsys.readouterr()
    assert "TENURE_PARTITIONS" in shown.out
    for part in ("TENURE_PARTITIONS: ", "TENURE_LOG_LEVEL: ", "TENURE_PARTITION is no setting"):
        assert part in shown.err


def test_every_setting_has_a_row_with_a_description() -> None:
    found = list(rows({}))
    assert len(found) > 20
    assert all(row.description and row.takes for row in found)
    assert unknown({row.variable: "" for row in found} | {"HOME": "/"}) == []


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "number", "exclusiveMinimum": 0}, "number over 0"),
        ({"anyOf": [{"type": "string", "format": "path"}, {"type": "null"}]}, "path or nothing"),
        ({"type": "string", "pattern": "^a$"}, "string like ^a$"),
    ],
)
def test_what_a_setting_takes_in_words(schema: dict[str, object], words: str) -> None:
    assert takes(schema) == words


def test_schemas_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "schemas") == 0
    assert "tenure.purchase\n" in capsys.readouterr().out
    assert run(monkeypatch, "schemas", "asyncapi") == 0
    assert json.loads(capsys.readouterr().out)["asyncapi"] == "3.0.0"
    assert run(monkeypatch, "schemas", "tenure.gift") == 2
    assert "tenure.purchase" in capsys.readouterr().err


def test_an_error_of_ours_is_a_tenure_error() -> None:
    from services.commands.schemas import UnknownSchemaError
    from shared.adapters.kafka_admin import TopicsError

    assert issubclass(UnknownSchemaError, TenureError)
    assert issubclass(TopicsError, TenureError)


@pytest.mark.parametrize("module", ["cli", "ingest.__main__", "campaigner.__main__"])
def test_nobody_waits_for_what_only_some_need(module: str) -> None:
    slow = "{'river', 'scipy', 'pandas', 'sklearn', 'plotly', 'faust', 'nicegui'}"
    loaded = f"import sys, services.{module}; print(sorted({slow} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True)
    assert found.stdout.decode().strip() == "[]"
