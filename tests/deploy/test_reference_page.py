"""docs/reference.md against the code."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from deploy.reference_page import PAGE, example, page
from shared.schemas.contracts import CONTRACTS
from shared.schemas.json_schema import components, json_schemas, structs
from shared.topics import TOPICS


def test_the_page_is_what_the_code_says() -> None:
    """Otherwise run `make generated`."""
    assert PAGE.read_text() == page()


@pytest.mark.parametrize("part", components("{name}"))
def test_every_field_is_explained(part: str) -> None:
    schema = components("{name}")[part]
    silent = [
        name for name, each in schema.get("properties", {}).items() if "description" not in each
    ]
    assert not silent


def test_every_topic_header_and_record_is_there() -> None:
    text = page()
    assert re.findall(r"^## `(.+)`$", text, re.MULTILINE) == [topic.name for topic in TOPICS]
    for contract in CONTRACTS:
        assert all(f"| `{header}` |" in text for header in contract.headers)
        assert all(f"### `{name}`" in text for name in contract.structs)


@pytest.mark.parametrize("name", [each for each in structs() if not each.startswith("tenure.")])
def test_examples_are_valid(name: str) -> None:
    """Those of events are ingest's, which its own tests send."""
    value = example(structs()[name].__name__, components("{name}"))
    Draft202012Validator(json_schemas()[name]).validate(value)
    assert json.dumps(value, indent=2, ensure_ascii=False) in PAGE.read_text()


def test_links_within_the_page_lead_somewhere() -> None:
    text = page()
    headings = {each.lower() for each in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", text)) <= headings
