"""`tenure schemas`: the published contracts, for whoever reads or writes the topics."""

from typing import Annotated

import typer

from shared.domain.errors import TenureError
from shared.schemas.files import documents, text


class UnknownSchemaError(TenureError):
    """There is no document of this name."""


def schemas(
    name: Annotated[
        str | None, typer.Argument(help="A schema, or asyncapi; without it, list the names.")
    ] = None,
) -> None:
    """Print a JSON Schema, or the AsyncAPI document over all topics."""
    known = documents()
    if name is None:
        typer.echo("\n".join(known))
    elif name in known:
        typer.echo(text(known[name]), nl=False)
    else:
        raise UnknownSchemaError(f"no schema is called {name}. There are: {', '.join(known)}")
