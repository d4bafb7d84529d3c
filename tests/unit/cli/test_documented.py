"""Every command, and every option of it, is in the documentation."""

from pathlib import Path
from typing import Any

import pytest
import typer

from services.cli import app

PAGE = (Path(__file__).parents[3] / "docs" / "commands.md").read_text()


def commands(group: Any, path: str = "tenure") -> dict[str, Any]:  # noqa: ANN401 - Typer's Click
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = commands(command, f"{path} {name}") if hasattr(command, "commands") else {}
        found |= inner or {f"{path} {name}": command}
    return found


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_helps(name: str) -> None:
    assert f"`{name}" in PAGE
    assert COMMANDS[name].help


@pytest.mark.parametrize(
    "name", ["tenure demo", "tenure up", "tenure replay", "tenure evaluate", "tenure topics"]
)
def test_every_option_of_the_longer_commands_is_documented(name: str) -> None:
    options = [each for each in COMMANDS[name].params if each.param_type_name == "option"]
    assert options
    for option in options:
        assert any(text in PAGE for text in (*option.opts, *option.secondary_opts)), option.name


def test_nothing_is_documented_that_does_not_exist() -> None:
    named = {line.split("`")[0] for line in PAGE.split("`tenure ")[1:]}
    words = {" ".join(each.split()[:1]) for each in named if each.split() and each[0].islower()}
    known = {name.split()[1] for name in COMMANDS}
    assert words <= known | {"settings"}
