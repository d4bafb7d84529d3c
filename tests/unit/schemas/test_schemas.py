"""The published contracts say what the code does, and the committed files say it too."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator, Draft202012Validator, ValidationError

from shared.domain import events, outputs
from shared.schemas.asyncapi import asyncapi
from shared.schemas.files import documents, stale, write
from shared.schemas.json_schema import json_schemas
from shared.topics import TOPICS

PURCHASE: dict[str, Any] = {
    "specversion": "1.0",
    "type": "tenure.purchase",
    "id": "receipt-1",
    "source": "shop",
    "subject": "c-1",
    "time": "2026-01-31T12:00:00Z",
    "data": {"amount": 12.5, "currency": "USD"},
}
CONTACT = PURCHASE | {
    "type": "tenure.contact",
    "data": {"channel": "sms", "outcome": "rated", "score": 7},
}

BROKEN = {
    "no subject": {name: value for name, value in PURCHASE.items() if name != "subject"},
    "empty id": PURCHASE | {"id": ""},
    "line feed in the id": PURCHASE | {"id": "a\n"},
    "long source": PURCHASE | {"source": "s" * 257},
    "unknown type": PURCHASE | {"type": "tenure.gift"},
    "another version": PURCHASE | {"specversion": "0.3"},
    "no amount": PURCHASE | {"data": {}},
    "amount as text": PURCHASE | {"data": {"amount": "12.5"}},
    "amount without end": PURCHASE | {"data": {"amount": 2e12}},
    "negative quantity": PURCHASE | {"data": {"amount": 1, "quantity": -1}},
    "currency in small letters": PURCHASE | {"data": {"amount": 1, "currency": "usd"}},
    "unknown outcome": CONTACT | {"data": {"channel": "sms", "outcome": "shrugged"}},
    "score over ten": CONTACT | {"data": {"channel": "sms", "outcome": "rated", "score": 11}},
}


def check(event: dict[str, Any]) -> None:
    schemas = json_schemas()
    name = event["type"]
    if name not in schemas:
        raise ValidationError(f"no schema for {name}")
    Draft202012Validator(schemas[name]).validate(event)


def test_committed_files_are_what_the_code_says() -> None:
    assert stale() == [], "run `python -m shared.schemas` and commit what it writes"


def test_asyncapi_document_is_valid() -> None:
    path = files("tests.unit.schemas") / "asyncapi-3.0.0.json"
    Draft7Validator(json.loads(path.read_text())).validate(asyncapi())


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()
    references = list(_references(document))
    assert len(references) > len(TOPICS)
    for reference in references:
        _follow(document, reference)


def test_every_topic_is_a_channel() -> None:
    assert list(asyncapi()["channels"]) == [topic.name for topic in TOPICS]


@pytest.mark.parametrize("name", sorted(json_schemas()))
def test_each_schema_is_valid_and_needs_no_other_document(name: str) -> None:
    schema = json_schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert all(reference.startswith("#/") for reference in _references(schema))


@pytest.mark.parametrize("event", [PURCHASE, CONTACT], ids=lambda event: event["type"])
def test_a_good_event_passes_schema_and_decoder(event: dict[str, Any]) -> None:
    check(event)
    assert events.decode_customer_event(json.dumps(event).encode()).id == event["id"]


@pytest.mark.parametrize("event", BROKEN.values(), ids=BROKEN)
def test_a_bad_event_fails_schema_and_decoder(event: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check(event)
    with pytest.raises(events.InvalidEventError):
        events.decode_customer_event(json.dumps(event).encode())


def test_unknown_attributes_are_allowed() -> None:
    check(PURCHASE | {"traceparent": "00-1"})


def test_an_encoded_output_passes_its_schema() -> None:
    transition = outputs.Transition(
        "c-1", 1, outputs.Identity(0, 1, 2), "growth", "maturity", "steady", 86_400_000
    )
    value = json.loads(msgspec.json.encode(transition))
    Draft202012Validator(json_schemas()["transition"]).validate(value)
    with pytest.raises(ValidationError):
        Draft202012Validator(json_schemas()["transition"]).validate(value | {"after": "gone"})


def test_attributes_of_a_docstring_describe_the_properties() -> None:
    score = json_schemas()["score"]["$defs"]["Score"]
    assert "Attributes" not in score["description"]
    assert score["properties"]["visits"]["description"] == "Days with activity."
    assert score["properties"]["margin"]["description"] == "revenue times margin"


def test_writing_repairs_what_is_missing_wrong_or_left_over(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "json" / "score.json").write_text("{}\n")
    (tmp_path / "asyncapi.json").unlink()
    (tmp_path / "json" / "gone.json").write_text("{}\n")
    names = ["asyncapi.json", "gone.json", "score.json"]
    assert [path.name for path in stale(tmp_path)] == names
    assert [path.name for path in write(tmp_path)] == names
    assert stale(tmp_path) == []
    assert len(list(tmp_path.rglob("*.json"))) == len(documents())


def _references(node: object) -> list[str]:
    if isinstance(node, list):
        return [each for item in node for each in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [each for item in node.values() for each in _references(item)]


def _follow(document: dict[str, Any], reference: str) -> None:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
