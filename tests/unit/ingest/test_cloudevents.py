"""The modes of CloudEvents over HTTP."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.cloudevents import UnsupportedMediaTypeError, mode_of, structured
from services.ingest.refusal import RefusedError
from tests.ingest_events import event


def attributes(**changes: object) -> list[tuple[str, str]]:
    whole = event(**changes)
    return [(f"ce-{name}", str(value)) for name, value in whole.items() if name != "data"]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/cloudevents+json", "structured"),
        ("Application/CloudEvents+JSON; charset=UTF-8", "structured"),
        ("application/cloudevents-batch+json", "batch"),
        ('application/cloudevents-batch+json;charset="utf-8"', "batch"),
        ("application/json", "structured"),
    ],
)
def test_the_content_type_says_the_mode(content_type: str, expected: str) -> None:
    assert mode_of([("content-type", content_type)]) == expected


def test_json_with_the_headers_of_an_event_is_binary_mode() -> None:
    headers = [("content-type", "application/json"), ("ce-specversion", "1.0")]
    assert mode_of(headers) == "binary"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "text/plain")],
        [("content-type", "application/cloudevents+avro")],
        [("content-type", "application/json; charset=latin-1")],
        [("content-type", "application/json"), ("content-encoding", "gzip")],
        [("content-type", "text/xml"), ("ce-specversion", "1.0")],
    ],
)
def test_anything_else_says_what_to_send(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="send"):
        mode_of(headers)


def test_binary_mode_becomes_the_same_structured_event() -> None:
    headers = [*attributes(), ("ce-traceparent", "00-ab"), ("accept", "*/*"), ("host", "x")]
    made = json.loads(structured(headers, b' {"amount": 20.0} '))
    assert made == event(traceparent="00-ab") | {"datacontenttype": "application/json"}


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1))
def test_any_text_comes_through_percent_encoding(subject: str) -> None:
    headers = [("ce-subject", quote(subject))]
    assert json.loads(structured(headers, b"{}"))["subject"] == subject


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"quoted \\" text"', 'quoted " text'),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("100%25", "100%"),
        ('"', '"'),
    ],
)
def test_values_are_decoded_as_the_binding_says(value: str, expected: str) -> None:
    assert json.loads(structured([("ce-subject", value)], b"{}"))["subject"] == expected


def test_data_cannot_smuggle_attributes_in() -> None:
    for smuggled in (
        b'{}, "subject": "other"',
        b'{"amount": 1}} {',
        b"",
        b"{",
        b'"\xff',
        b"[" * 9999,
    ):
        with pytest.raises(RefusedError) as caught:
            structured(attributes(), smuggled)
        assert caught.value.reason == "unreadable"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (("ce-id", "again"), "twice"),
        (("ce-data", "{}"), "no attribute name"),
        (("ce-under_score", "x"), "no attribute name"),
        (("ce-", "x"), "no attribute name"),
        (("ce-subject2", "%FF"), "not UTF-8"),
        (("ce-subject2", "é"), "not UTF-8"),
    ],
)
def test_bad_headers_are_named(header: tuple[str, str], reason: str) -> None:
    with pytest.raises(RefusedError) as caught:
        structured([*attributes(), header], b"{}")
    (problem,) = caught.value.problems
    assert problem.field == header[0]
    assert reason in problem.reason
