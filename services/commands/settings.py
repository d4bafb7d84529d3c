"""`tenure settings`: every setting with its variable, what it takes, its default and its value."""

import json
import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from dotenv import dotenv_values
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.settings import Settings, SettingsError, load_settings

PREFIX = "TENURE_"
#: Read by commands, not by services.
OF_COMMANDS = frozenset({"TENURE_API_KEY"})
MASK = "**********"
_URL_PASSWORD = re.compile(r"(://[^:/@]*:)[^/@]+(@)")

Schema = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One setting as people read it.

    Attributes
    ----------
    takes
        Type and range in words.
    value
        What the environment says, else the default; a secret is masked.
    is_set
        Whether the environment sets it.

    """

    variable: str
    description: str
    takes: str
    default: Any
    value: Any
    is_set: bool


def rows(environment: Mapping[str, str]) -> Iterator[Row]:
    """Yield a row for each setting; wrong values are shown as they are."""
    for name, schema in Settings.model_json_schema()["properties"].items():
        variable = f"{PREFIX}{name}".upper()
        raw = environment.get(variable)
        value = schema["default"] if raw is None else raw
        yield Row(
            variable,
            schema["description"],
            takes(schema),
            schema["default"],
            masked(value, secret=_is_secret(schema)),
            raw is not None,
        )


def _is_secret(schema: Schema) -> bool:
    return any(each.get("format") == "password" for each in schema.get("anyOf", [schema]))


def masked(value: object, *, secret: bool) -> object:
    """Hide a secret, and the password inside a URL."""
    if secret:
        return None if value is None else MASK
    return _URL_PASSWORD.sub(rf"\1{MASK}\2", value) if isinstance(value, str) else value


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that look like settings and are none: mostly typing errors."""
    known = {row.variable for row in rows({})} | OF_COMMANDS
    return sorted(each for each in environment if each.startswith(PREFIX) and each not in known)


def use_file(path: Path, environment: MutableMapping[str, str]) -> None:
    """Take settings from a file of ``NAME=value`` lines; what is set already wins.

    Raises
    ------
    SettingsError
        The file cannot be read, or names what is no setting.

    """
    if not path.is_file():
        raise SettingsError(f"There is no settings file {path}. `tenure init` writes one.")
    given = {name: value for name, value in dotenv_values(path).items() if value is not None}
    known = {row.variable for row in rows({})} | OF_COMMANDS
    if wrong := sorted(given.keys() - known):
        raise SettingsError(
            f"{path} sets {', '.join(wrong)}, which Tenure does not know. "
            "`tenure settings` lists what there is."
        )
    for name, value in given.items():
        environment.setdefault(name, value)


def takes(schema: Schema) -> str:
    """Put a setting's type and range into words."""
    options = schema.get("anyOf", [schema])
    return " or ".join("nothing" if each["type"] == "null" else _one(each) for each in options)


def _one(schema: Schema) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    kind = "path" if schema.get("format") == "path" else schema["type"]
    limits = [
        f"{words} {schema[key]:,}"
        for key, words in (
            ("minimum", "from"),
            ("exclusiveMinimum", "over"),
            ("maximum", "to"),
            ("minLength", "length at least"),
        )
        if key in schema
    ]
    pattern = [f"like {schema['pattern']}"] if "pattern" in schema else []
    return " ".join([kind, *limits, *pattern])


def settings(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List every setting: its variable, what it takes, its default and its value now."""
    found = list(rows(os.environ))
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in found], indent=2))
    else:
        Console().print(_table(found))
    for variable in unknown(os.environ):
        typer.echo(f"{variable} is no setting of Tenure: misspelt?", err=True)
    load_settings()


def _table(found: list[Row]) -> Table:
    table = Table("Variable", "Value", "Takes", "What", show_lines=False)
    for row in found:
        # Text, because patterns hold brackets, which markup would swallow.
        table.add_row(row.variable, _value(row), Text(row.takes), Text(row.description))
    return table


def _value(row: Row) -> Text:
    value = "" if row.value is None else str(row.value)
    if not row.is_set:
        return Text(value)
    return Text(value, style="bold") + Text(f" (default {row.default})", style="dim")
