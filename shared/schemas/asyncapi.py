"""The AsyncAPI 3.0 document: every topic, what lies on it, and who writes and reads it."""

from __future__ import annotations

from typing import Final

from shared.schemas.contracts import CONTRACTS, Contract
from shared.schemas.json_schema import Schema, components
from shared.topics import Topic

#: Of the contracts, not of the code: a reader that understands 1.x understands every 1.y.
CONTRACT_VERSION: Final = "1.0.0"
_BINDING: Final = "0.5.0"
_INTEGERS: Final = frozenset({"retention.ms", "delete.retention.ms", "max.message.bytes"})


def asyncapi() -> Schema:
    """Return the document; it depends on `shared.topics` and the contracts' structs alone."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tenure",
            "version": CONTRACT_VERSION,
            "description": "Customer lifecycle management as an event stream. Topic names are "
            "without the deployment's prefix (TENURE_TOPIC_PREFIX).",
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "channels": {each.topic.name: _channel(each) for each in CONTRACTS},
        "operations": dict(_operation(each) for each in CONTRACTS if each.direction),
        "components": {
            "messages": {_camel(each.topic.name): _message(each) for each in CONTRACTS},
            "schemas": components("#/components/schemas/{name}"),
        },
    }


def _channel(contract: Contract) -> Schema:
    topic = contract.topic
    message = _camel(topic.name)
    return {
        "address": topic.name,
        "description": f"{topic.text}. Key: {topic.key}.",
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": _channel_binding(topic)},
    }


def _channel_binding(topic: Topic) -> Schema:
    partitions = {} if topic.partitions is None else {"partitions": topic.partitions}
    config = {key: _config_value(key, value) for key, value in sorted(topic.config.items())}
    return partitions | {"topicConfiguration": config, "bindingVersion": _BINDING}


def _config_value(key: str, value: str) -> str | int | list[str]:
    if key == "cleanup.policy":
        return value.split(",")
    return int(value) if key in _INTEGERS else value


def _operation(contract: Contract) -> tuple[str, Schema]:
    name = contract.topic.name
    return f"{contract.direction}-{name}", {
        "action": contract.direction,
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": contract.topic.text,
    }


def _message(contract: Contract) -> Schema:
    topic = contract.topic
    message: Schema = {
        "name": topic.name,
        "title": topic.text,
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": topic.key},
                "bindingVersion": _BINDING,
            }
        },
    }
    if contract.headers:
        message["headers"] = _headers(contract.headers)
    return message | _payload(contract)


def _headers(headers: dict[str, str]) -> Schema:
    properties = {name: {"type": "string", "description": text} for name, text in headers.items()}
    return {"type": "object", "properties": properties}


_BYTES: Final = {
    "own": "Tenure's own; its layout may change with any version.",
    "foreign": "The bytes as they came.",
}


def _payload(contract: Contract) -> Schema:
    if text := _BYTES.get(contract.layout):
        return {"contentType": "application/octet-stream", "payload": {"description": text}}
    one = _one(contract)
    if contract.layout == "one":
        return {"payload": one}
    return {"payload": {"anyOf": [one, {"type": "array", "items": one}]}}


def _one(contract: Contract) -> Schema:
    names = [struct.__name__ for struct in contract.structs.values()]
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(part.capitalize() for part in rest)
