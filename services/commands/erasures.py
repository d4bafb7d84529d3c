"""`tenure customer erasures`: who is erased, taken along to another Kafka."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from shared.domain.erasure import Erased
from shared.domain.errors import TenureError
from shared.settings import load_settings

_decode = msgspec.json.Decoder(Erased).decode


class ErasuresFileError(TenureError):
    """A file that is not what `tenure customer erasures` prints."""


def erasures(
    *,
    load: Annotated[
        Path | None, typer.Option(help="Take over a file of them, before scorers start.")
    ] = None,
) -> None:
    """Print who is erased, by HMAC: a line of JSON each, to keep or to load elsewhere."""
    from services.scorer.erasures import read_erasures, write_erasures

    settings = load_settings()
    if load is None:
        for each in asyncio.run(read_erasures(settings)):
            typer.echo(msgspec.json.encode(each).decode())
        return
    found = [msgspec.structs.replace(each, partition=None) for each in read_file(load)]
    asyncio.run(write_erasures(settings, found))
    typer.echo(f"{len(found)} loaded: scorers that start from now on know them.")


def read_file(path: Path) -> list[Erased]:
    """Return what a file holds.

    Raises
    ------
    ErasuresFileError
        With the line and the reason.

    """
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            found.append(_decode(line))
        except msgspec.DecodeError as error:
            raise ErasuresFileError(
                f"{path}, line {number}: {error}. Write it with `tenure customer erasures`"
            ) from None
    return found
