"""Write docs/reference.md, every record of every topic: ``python -m deploy.reference_page``.

Made of what the code itself decodes by: the structs, their docstrings, and `shared.topics`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from services.ingest.openapi import EXAMPLES
from shared.schemas.contracts import CONTRACTS, CONTROL, EVENTS, Contract
from shared.schemas.json_schema import Schema, components
from shared.topics import Topic

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference.md"
#: What the events have in common, which is said once.
_ENVELOPE: Final = "Every event"

_INTRODUCTION: Final = """\
# Reference: events, scores, triggers

What lies on each topic, field by field. `make generated` writes this page from the structs that the
code itself decodes by; `tenure schemas NAME` prints the same as JSON Schema, `tenure schemas
asyncapi` as AsyncAPI. [api.md](api.md) says how to send events over HTTP.

Times in events are RFC 3339 with their zone, times in all other records epoch milliseconds (UTC).
Amounts are in the reporting currency (`TENURE_CURRENCY`), probabilities and shares between 0 and 1.
Fields that are not required may be left out, or be null where the type says so. Readers should
leave fields alone that they do not know: new ones come with any version. Names of topics are
without `TENURE_TOPIC_PREFIX`.
"""
_LAYOUTS: Final = {
    "one": "One JSON object a record.",
    "one or many": "A record is one JSON object, or an array of them.",
    "foreign": "The bytes as they came.",
    "own": "For Tenure's own use; the layout may change with any version.",
}
_DECISION: Final = "6f1f8d4e-2f0f-5c59-9a43-0d1f6f1c7a10"
#: Values of examples, by the name of the field; others are made up from the type.
_VALUES: Final[dict[str, Any]] = {
    "customer": "customer-4711", "campaign": "early-warning", "segment": "big-spenders",
    "risk": 0.71, "before": 0.48, "threshold": 0.6, "channel": "sms", "offer": "ten-percent-off",
    "at": 1769860801000, "decided_at": 1769860801150, "expires_at": 1769864401000, "partition": 0,
    "decision": _DECISION, "id": _DECISION, "version": "9b1c40f2a7d3", "lasted_ms": 864000000,
}  # fmt: skip
_STAGES: Final = {"before": "growth", "after": "decline"}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


def page() -> str:
    """Return the page as Markdown."""
    parts = components("{name}")
    topics = [line for contract in CONTRACTS for line in _topic(contract, parts)]
    return "\n".join([_INTRODUCTION, *topics, *_parts(parts)]) + "\n"


def _topic(contract: Contract, parts: dict[str, Schema]) -> Iterator[str]:
    topic = contract.topic
    yield f"## `{topic.name}`\n"
    yield f"{topic.text}. Key: {topic.key}. {_kept(topic)} {_LAYOUTS[contract.layout]}\n"
    if contract.headers:
        yield "| header | what |\n|---|---|"
        yield "\n".join(f"| `{name}` | {text} |" for name, text in contract.headers.items())
        yield ""
    if EVENTS.items() <= contract.structs.items():
        yield f"### {_ENVELOPE}\n"
        fields = {**parts["Usage"]["properties"]}
        # Those two are what each event has of its own.
        fields["type"] = fields["type"] | {"enum": list(EVENTS)}
        fields["data"] = {"type": "object", "description": fields["data"]["description"]}
        yield _table({**parts["Usage"], "properties": fields})
    for name, struct in contract.structs.items():
        schema = parts[struct.__name__]
        yield f"### `{name}`\n" if name not in CONTROL else f"### `{name}` (Tenure's own)\n"
        if name in EVENTS or name in CONTROL:
            yield from _event(name, schema, parts)
        else:
            yield f"{schema['description']}\n\n{_table(schema)}"
            yield _json(example(struct.__name__, parts))


def _event(name: str, schema: Schema, parts: dict[str, Schema]) -> Iterator[str]:
    about = schema["description"].removeprefix(f"`{name}`").lstrip(":. ")
    data = parts[_target(schema["properties"]["data"])]
    yield " ".join(_sentence(text) for text in (about, data["description"]) if text) + "\n"
    if data.get("properties"):
        yield f"What is in `data`:\n\n{_table(data)}"
    if name in EXAMPLES:
        yield _json(EXAMPLES[name])


def _parts(parts: dict[str, Schema]) -> Iterator[str]:
    """Yield what others consist of."""
    whole = {struct.__name__ for each in CONTRACTS for struct in each.structs.values()}
    data = {_target(parts[each.__name__]["properties"]["data"]) for each in _events()}
    yield "## Parts of records\n"
    for name, schema in parts.items():
        if name not in whole | data:
            yield f"### {name}\n\n{schema['description']}\n\n{_table(schema)}"


def _events() -> list[type]:
    return [*EVENTS.values(), *CONTROL.values()]


def _target(schema: Schema) -> str:
    """Return the name of the part that a field refers to."""
    name: str = schema["$ref"] if "$ref" in schema else schema["allOf"][0]["$ref"]
    return name


def _kept(topic: Topic) -> str:
    if "compact" in topic.config["cleanup.policy"]:
        return "The newest of each key is kept."
    return f"Kept for {int(topic.config['retention.ms']) // 86_400_000} days."


def _table(schema: Schema) -> str:
    required = schema.get("required", [])
    rows = "\n".join(
        f"| `{name}` | {_type(each)} | {_needed(name, each, required)} |"
        f" {_sentence(each.get('description', ''))} |"
        for name, each in schema["properties"].items()
    )
    return f"| field | type | required | what |\n|---|---|---|---|\n{rows}\n"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _needed(name: str, schema: Schema, required: list[str]) -> str:
    if name in required:
        return "yes"
    default = schema.get("default")
    return "" if default in (None, "", [], {}) else f"else `{json.dumps(default)}`"


def _type(schema: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "$ref" in schema or "allOf" in schema:
        return f"[{_target(schema)}](#{_target(schema).lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'])}" if schema.get("items") else "array"
    kind = "time" if schema.get("format") == "date-time" else schema.get("type", "any")
    return f"{kind}{_bounds(schema)}"


def _bounds(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f", {least:,.15g} to {most:,.15g}"
    if least is not None:
        return f", {least:g} or more"
    longest = schema.get("maxLength")
    return f", up to {longest} characters" if longest else ""


def example(name: str, parts: dict[str, Schema]) -> Any:  # noqa: ANN401 - JSON
    """Return a value with everything that a part requires."""
    schema = parts[name]
    wanted = ["kind", *schema.get("required", [])]
    return {
        field: _value(field, each, parts)
        for field, each in schema["properties"].items()
        if field in wanted
    }


def _value(field: str, schema: Schema, parts: dict[str, Schema]) -> Any:  # noqa: ANN401 - JSON
    if "enum" in schema:
        return _STAGES[field] if _STAGES.get(field) in schema["enum"] else schema["enum"][0]
    if "anyOf" in schema:
        return _value(field, schema["anyOf"][0], parts)
    if "$ref" in schema or "allOf" in schema:
        return example(_target(schema), parts)
    if schema["type"] == "array":
        items = schema.get("items") or {}
        return [_value("", items, parts)] if "$ref" in items else []
    known = _VALUES.get(field)
    kinds: dict[str, Any] = {"string": "...", "integer": 1, "number": 0.5, "boolean": True}
    default = kinds.get(schema["type"], {})
    return known if isinstance(known, type(default)) else default


def _json(value: object) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"


if __name__ == "__main__":
    main()
