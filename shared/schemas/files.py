"""The generated documents as files: written on demand, and compared with what is committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from shared.schemas.asyncapi import asyncapi
from shared.schemas.json_schema import Schema, json_schemas

HERE: Final = Path(__file__).parent
ASYNCAPI: Final = "asyncapi"


def documents() -> dict[str, Schema]:
    """Return every document by its name: the JSON Schemas, and ``asyncapi``."""
    return {**json_schemas(), ASYNCAPI: asyncapi()}


def text(document: Schema) -> str:
    """Return a document as it is committed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def expected(folder: Path = HERE) -> dict[Path, str]:
    """Return the path and text of each file that should be in ``folder``, and no other JSON."""
    return {
        folder / (f"{name}.json" if name == ASYNCAPI else f"json/{name}.json"): text(document)
        for name, document in documents().items()
    }


def stale(folder: Path = HERE) -> list[Path]:
    """Return the files that are missing, differ from what the code says, or should not be."""
    wanted = expected(folder)
    extra = {path for path in folder.rglob("*.json") if path not in wanted}
    different = {path for path, body in wanted.items() if not _holds(path, body)}
    return sorted(extra | different)


def write(folder: Path = HERE) -> list[Path]:
    """Make ``folder`` hold what the code says; return the paths that changed."""
    changed, wanted = stale(folder), expected(folder)
    for path in changed:
        if path not in wanted:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    return changed


def _holds(path: Path, body: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == body
