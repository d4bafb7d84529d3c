"""`tenure init`: a settings file and a campaign file to start from."""

import os
import secrets
import shlex
import textwrap
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from services.commands.settings import Row, rows
from shared.domain.errors import TenureError

SETTINGS, CAMPAIGNS = "tenure.env", "campaigns.yaml"
_WIDTH = 98
_HEAD = """\
# Settings of Tenure, for `tenure --settings FILE COMMAND`, or for `set -a; . FILE; set +a` in a
# shell. What the environment sets already wins. What begins with #TENURE_ shows a default, for you
# to change. This file holds secrets: keep it to yourself.
"""


class InitError(TenureError):
    """A file is there already, or cannot be written."""


def init(
    directory: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path(),
) -> None:
    """Write a settings file and a campaign file that work as they are; overwrite nothing."""
    directory = directory.absolute()
    files = {
        directory / SETTINGS: settings_file(directory),
        directory / CAMPAIGNS: resources.files(__package__)
        .joinpath("init_campaigns.yaml")
        .read_text(encoding="utf-8"),
    }
    if there := [str(path) for path in files if path.exists()]:
        raise InitError(f"{' and '.join(there)} is there already. Move it away, or name a folder")
    for path, text in files.items():
        _write(path, text)
        typer.echo(f"wrote {path}")
    typer.echo(f"\nNext:\n  tenure --settings {shlex.quote(str(directory / SETTINGS))} up")


def settings_file(directory: Path) -> str:
    """Return every setting with what it means and takes; those of this place are set."""
    own = {
        "TENURE_DATA_DIR": str(directory / "data"),
        "TENURE_DATABASE_URL": f"sqlite:///{directory / 'data' / 'tenure.db'}",
        "TENURE_CAMPAIGNS_FILE": str(directory / CAMPAIGNS),
        "TENURE_MODEL_KEY": secrets.token_hex(32),
        "TENURE_ERASURE_KEY": secrets.token_hex(32),
        "TENURE_CONTROL_SALT": secrets.token_hex(16),
    }
    blocks = ("\n".join(_block(row, own.get(row.variable))) for row in rows({}))
    return _HEAD + "\n" + "\n\n".join(blocks) + "\n"


def _block(row: Row, value: str | None) -> Iterator[str]:
    about = f"{row.description}. Takes: {row.takes}."
    yield from textwrap.wrap(about, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    default = "" if row.default is None else str(row.default)
    yield f"{row.variable}={shlex.quote(value)}" if value else f"#{row.variable}={default}"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Exclusively, and for the owner alone: it holds secrets.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise InitError(f"cannot write {path}: {error.strerror}. Name another folder") from None
