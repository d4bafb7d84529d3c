"""JSON Schemas (draft 2020-12) of the contracts, from the structs that the code itself decodes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from shared.domain.events import Usage
from shared.schemas.contracts import CONTRACTS

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTES: Final = re.compile(r"\n+Attributes\n-+\n(.*)", re.DOTALL)
_ENTRY: Final = re.compile(r"^(\S[^\n]*)\n((?: +[^\n]*\n?)+)", re.MULTILINE)


def structs() -> dict[str, type[msgspec.Struct]]:
    """Return every struct of the contracts by the name of its schema."""
    return {name: struct for contract in CONTRACTS for name, struct in contract.structs.items()}


def json_schemas() -> dict[str, Schema]:
    """Return a self-contained JSON Schema for each struct of the contracts, by name."""
    return {name: _document(name, struct) for name, struct in sorted(structs().items())}


def components(ref_template: str) -> dict[str, Schema]:
    """Return the schemas of all structs, and of those that they hold, by their class names."""
    _, parts = msgspec.json.schema_components(structs().values(), ref_template=ref_template)
    return {name: _documented(schema) for name, schema in sorted(parts.items())}


def _document(name: str, struct: type[msgspec.Struct]) -> Schema:
    (root,), parts = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    documented = {part: _documented(schema) for part, schema in sorted(parts.items())}
    head = {"$schema": DIALECT, "$id": f"urn:tenure:schema:{name}"}
    return head | root | {"$defs": documented}


def _documented(schema: Schema) -> Schema:
    """Move what a docstring says of each attribute to the property that it is about."""
    if "description" not in schema:
        return schema
    text = inspect.cleandoc(schema["description"])
    about = _attributes(text)
    if "specversion" in schema.get("properties", {}):
        about = _of_every_event() | about
    properties = {
        name: each | ({"description": about[name]} if name in about else {})
        for name, each in schema.get("properties", {}).items()
    }
    summary = _plain(_ATTRIBUTES.sub("", text))
    return schema | {"description": summary} | ({"properties": properties} if properties else {})


def _of_every_event() -> dict[str, str]:
    """Read what the structs of events inherit: msgspec tells only a struct's own docstring."""
    texts = [inspect.cleandoc(each.__doc__ or "") for each in Usage.__mro__]
    return {name: about for text in texts for name, about in _attributes(text).items()}


def _attributes(text: str) -> dict[str, str]:
    """Read the section ``Attributes`` of a NumPy docstring: names to text."""
    section = _ATTRIBUTES.search(text)
    if section is None:
        return {}
    return {
        name: about
        for names, body in _ENTRY.findall(section[1] + "\n")
        for name, about in _shared_out(names.split(", "), _plain(body))
    }


def _shared_out(names: list[str], text: str) -> Iterator[tuple[str, str]]:
    """Give each of several names its part, where the text has one for each: ``this; that``."""
    parts = text.rstrip(".").split("; ")
    if len(parts) == len(names) > 1:
        return zip(names, parts, strict=True)
    return ((name, text) for name in names)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("``", "`").strip()
