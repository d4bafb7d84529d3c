"""``tenure keys``: what it prints is what the services accept."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.ingest.keys_cli import app
from shared.adapters.api_keys import KeyRing, KeysFileError, parse_keys, read_keys


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_created_key_opens_what_its_entry_says(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    arguments = ("--source", "//b/*", "--permission", "events", "--permission", "ticks")
    created = run("create", "billing", *arguments, "--quota", "50", "--file", str(file))
    assert created.exit_code == 0, created.output
    caller = KeyRing(read_keys(file)).authenticate(f"Bearer {created.stdout.strip()}")
    assert caller.name == "billing"
    assert caller.sources == ("//b/*",)
    assert caller.allowed == ("events", "ticks")
    assert caller.quota is not None
    assert caller.quota.events_per_second == 50
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_keeps_what_it_said_and_each_key_opens_its_own(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("# who may send\nkeys:")
    file.chmod(0o640)
    keys = {name: run("create", name, "--file", str(file)).stdout.strip() for name in ("a", "b")}
    ring = KeyRing(read_keys(file))
    assert file.read_text().startswith("# who may send\nkeys:\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert {ring.authenticate(f"Bearer {key}").name for key in keys.values()} == {"a", "b"}


def test_without_a_file_the_entry_is_printed_beside_the_key() -> None:
    created = run("create", "billing", "--json")
    parsed = json.loads(created.stdout)
    entry = json.dumps([parsed["entry"]])
    caller = KeyRing(parse_keys(f"keys: {entry}")).authenticate(f"Bearer {parsed['key']}")
    assert caller.name == "billing"
    shown = run("create", "billing")
    assert shown.stdout.strip() not in shown.stderr
    assert "hash: blake2b:" in shown.stderr


@pytest.mark.parametrize(
    "wrong", [("two words",), ("b", "--permission", "fly"), ("b", "--quota", "-1")]
)
def test_a_wrong_entry_is_refused_and_writes_nothing(tmp_path: Path, wrong: tuple[str]) -> None:
    file = tmp_path / "keys.yaml"
    assert isinstance(run("create", *wrong, "--file", str(file)).exception, KeysFileError)
    assert not file.exists()
    assert isinstance(run("create", *wrong).exception, KeysFileError)


def test_the_same_name_twice_is_refused_and_the_file_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    run("create", "billing", "--file", str(file))
    before = file.read_text()
    again = run("create", "billing", "--file", str(file))
    assert isinstance(again.exception, KeysFileError)
    assert "left as it was" in str(again.exception)
    assert file.read_text() == before


def test_check_shows_who_may_do_what_and_no_hash(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    run("create", "billing", "--source", "//b", "--file", str(file))
    assert run("check", str(file)).stdout == "billing: events; //b; no quota\n"
    (shown,) = json.loads(run("check", str(file), "--json").stdout)
    assert shown["sources"] == ["//b"]
    assert "hash" not in shown


def test_check_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("keys: [{name: x, hash: y}]")
    assert "`hash` must be" in str(run("check", str(file)).exception)


def test_the_example_file_is_a_good_one() -> None:
    example = Path(__file__).parents[3] / "deploy" / "examples" / "keys.yaml"
    assert [caller.name for caller in read_keys(example)] == ["billing", "replay", "operator"]
