"""``tenure keys``: make API keys, and check a file of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from shared.adapters.api_keys import (
    Caller,
    KeysFileError,
    create_key,
    parse_keys,
    read_keys,
)

app = typer.Typer(name="keys", help="Make and check API keys.", no_args_is_help=True)

_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    *,
    name: Annotated[str, typer.Argument(help="Who will use it: letters, digits, - and _.")],
    source: Annotated[
        list[str] | None,
        typer.Option(help="CloudEvents source it may send for; * stands for anything."),
    ] = None,
    permission: Annotated[
        list[str] | None,
        typer.Option(help="events, ticks, read, operate or administer; events without a role."),
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="viewer, operator or admin, of the campaigner.")
    ] = None,
    quota: Annotated[float | None, typer.Option(help="Events a second it may send.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Keys file that its entry is added to; made when missing.")
    ] = None,
    as_json: _AsJson = False,
) -> None:
    """Make a key. It is shown once, and never stored: the file holds a salted hash of it."""
    key, entry = _entry(name, source, permission, role, quota)
    text = _indented(entry)
    if file is None:
        parse_keys(f"keys:\n{text}")
    else:
        add_entry(file, text)
    if as_json:
        typer.echo(json.dumps({"key": key, "entry": entry}))
        return
    typer.echo(key)
    typer.echo(_advice(text, file), err=True)


@app.command()
def check(
    *,
    file: Annotated[Path, typer.Argument(help="Keys file.")],
    as_json: _AsJson = False,
) -> None:
    """Check a keys file, and show who may do what."""
    callers = read_keys(file)
    if as_json:
        typer.echo(msgspec.json.encode([_shown(caller) for caller in callers]).decode())
        return
    for caller in callers:
        quota = f"{caller.quota.events_per_second:g} events/s" if caller.quota else "no quota"
        sources = ", ".join(caller.sources) or "no source"
        typer.echo(f"{caller.name}: {', '.join(caller.allowed)}; {sources}; {quota}")


def add_entry(file: Path, text: str) -> None:
    """Add an entry at the end of a keys file, leaving what it says otherwise as it is.

    Raises
    ------
    KeysFileError
        The file would not be usable afterwards; it is unchanged then.

    """
    before = file.read_text() if file.exists() else "keys:\n"
    ending = "" if before.endswith("\n") else "\n"
    try:
        parse_keys(before + ending + text)
    except KeysFileError as error:
        raise KeysFileError(f"{file} is left as it was, for with the new key: {error}") from None
    addition = ending + text
    if not file.exists():
        file.touch(mode=0o600)
        addition = before + text
    # Appended, so that owner and mode stay, and a service that follows the file never sees less
    # than the keys that were in it.
    with file.open("a") as end:
        end.write(addition)


def _entry(
    name: str,
    source: list[str] | None,
    permission: list[str] | None,
    role: str | None,
    quota: float | None,
) -> tuple[str, dict[str, Any]]:
    key, hashed = create_key(name)
    entry: dict[str, Any] = {
        "name": name,
        "hash": hashed,
        "sources": source or [],
    }
    if permission or role is None:
        entry["permissions"] = permission or ["events"]
    if role is not None:
        entry["role"] = role
    if quota is not None:
        entry["quota"] = {"events_per_second": quota}
    return key, entry


def _indented(entry: dict[str, Any]) -> str:
    text = yaml.safe_dump([entry], sort_keys=False, default_flow_style=None, width=1000)
    return "".join(f"  {line}\n" for line in text.splitlines())


def _advice(text: str, file: Path | None) -> str:
    if file is not None:
        return f"Keep the key above: it is not stored. Its entry was added to {file}."
    return f"Keep the key above: it is not stored. Add its entry to `keys` in the file:\n{text}"


def _shown(caller: Caller) -> dict[str, Any]:
    return {k: v for k, v in msgspec.to_builtins(caller).items() if k != "hash"}
