"""Events are decoded and validated in one step, and what is wrong is named with its remedy."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from shared.domain.errors import InvalidEventError
from shared.domain.events import (
    Account,
    Contact,
    Cost,
    ModelActivated,
    Purchase,
    Tick,
    Usage,
    decode_customer_event,
    decode_customer_events,
    decode_event,
    decode_record,
    epoch_ms,
    is_array,
    split,
)

Json = dict[str, Any]

PURCHASE: Json = {
    "specversion": "1.0",
    "id": "1",
    "source": "shop",
    "type": "tenure.purchase",
    "subject": "anna",
    "time": "2026-01-31T12:00:00Z",
    "data": {"amount": 9.99},
}


def raw(event: object) -> bytes:
    return json.dumps(event).encode()


def refusal(event: object) -> InvalidEventError:
    with pytest.raises(InvalidEventError) as caught:
        decode_event(raw(event))
    return caught.value


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("usage", {"service": "voice", "quantity": 3, "unit": "min"}, Usage),
        ("purchase", {"amount": -1.5, "margin": -0.2}, Purchase),
        ("account", {"status": "opened", "attributes": {"colour": "red"}}, Account),
        ("contact", {"channel": "sms", "outcome": "rated", "score": 10}, Contact),
        ("cost", {"kind": "marketing", "amount": 0}, Cost),
    ],
)
def test_each_type_has_its_data(kind: str, data: Json, expected: type) -> None:
    event = decode_event(raw({**PURCHASE, "type": f"tenure.{kind}", "data": data}))
    assert type(event) is expected
    assert event.subject == "anna"


def test_ticks_and_models_are_about_no_customer() -> None:
    tick = decode_event(raw({**PURCHASE, "type": "tenure.tick", "data": {}}))
    data = {"model": "churn", "version": 7}
    model = decode_event(raw({**PURCHASE, "type": "tenure.model", "data": data}))
    assert type(tick) is Tick
    assert type(model) is ModelActivated
    assert tick.subject is model.subject is None


@pytest.mark.parametrize("kind", ["tick", "model"])
def test_customers_cannot_send_ticks_and_models(kind: str) -> None:
    data = {"model": "churn", "version": 7}
    event = raw({**PURCHASE, "type": f"tenure.{kind}", "data": data})
    with pytest.raises(InvalidEventError) as caught:
        decode_customer_event(event)
    assert caught.value.field == "type"


@pytest.mark.parametrize(
    ("change", "field", "reason", "remedy"),
    [
        ({"type": "tenure.sale"}, "type", "tenure.sale", "tenure.usage"),
        ({"specversion": "0.3"}, "specversion", "0.3", "specversion"),
        ({"id": ""}, "id", "length >= 1", "id"),
        ({"id": "x" * 129}, "id", "length <= 128", "id"),
        ({"source": "x" * 257}, "source", "length <= 256", "source"),
        ({"subject": "a\nb"}, "subject", "control characters", "Leave them out"),
        ({"subject": "anna\n"}, "subject", "control characters", "Leave them out"),
        ({"subject": 7}, "subject", "Expected `str`", "subject"),
        ({"time": "yesterday"}, "time", "RFC3339", "2026-01-31T12:00:00Z"),
        ({"time": "2026-01-31T12:00:00"}, "time", "timezone", "offset"),
        ({"data": {}}, "data.amount", "missing", "Add the required field `data.amount`"),
        ({"data": {"amount": "9"}}, "data.amount", "Expected `float`", "data.amount"),
        ({"data": {"amount": 1e13}}, "data.amount", "<= 1000000000.0", "data.amount"),
        ({"data": {"amount": 1, "quantity": -1}}, "data.quantity", ">= 0", "data.quantity"),
        ({"data": {"amount": 1, "currency": "usd"}}, "data.currency", "regex", "data.currency"),
        ({"data": {"amount": 1, "initiated_by": "me"}}, "data.initiated_by", "me", "initiated_by"),
        ({"datacontenttype": "text/xml"}, "datacontenttype", "text/xml", "datacontenttype"),
    ],
)
def test_a_refusal_names_field_reason_and_remedy(
    change: Json, field: str, reason: str, remedy: str
) -> None:
    error = refusal({**PURCHASE, **change})
    assert error.field == field
    assert reason in error.reason
    assert remedy in error.remedy
    assert str(error) == f"{error.field}: {error.reason}. {error.remedy}"


CONTROL = [chr(code) for code in [*range(0x20), 0x7F]]


@pytest.mark.parametrize("character", CONTROL)
@pytest.mark.parametrize("field", ["id", "source", "subject", "data.category"])
def test_no_text_holds_a_control_character_however_it_is_written(
    field: str, character: str
) -> None:
    event = json.loads(json.dumps(PURCHASE))
    holder = event["data"] if field.startswith("data.") else event
    holder[field.rpartition(".")[2]] = f"a{character}b"
    escaped = json.dumps(character).encode()[1:-1]
    for written in (escaped, rb"\u%04x" % ord(character), rb"\u%04X" % ord(character)):
        value = raw(event).replace(escaped, written)
        with pytest.raises(InvalidEventError, match="control characters") as caught:
            decode_event(value)
        assert caught.value.field == field
        for decode in (decode_record, decode_customer_events):
            with pytest.raises(msgspec.ValidationError, match=r"\[1\]"):
                decode(b"[%s,%s]" % (raw(PURCHASE), value))


def test_names_of_attributes_hold_no_control_character() -> None:
    data = {"status": "opened", "attributes": {"a\tb": "c"}}
    error = refusal({**PURCHASE, "type": "tenure.account", "data": data})
    assert (error.field, error.reason) == ("data.attributes", "holds control characters")


def test_an_escape_that_is_no_control_character_is_let_through() -> None:
    value = raw(PURCHASE).replace(b"anna", rb"\u00e9\/\\n\"")
    assert decode_event(value).subject == 'é/\\n"'


@pytest.mark.parametrize("name", ["id", "source", "time", "subject", "data", "specversion"])
def test_what_is_missing_is_named(name: str) -> None:
    error = refusal({key: value for key, value in PURCHASE.items() if key != name})
    assert (error.field, error.reason) == (name, "missing")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"not json", "malformed"),
        (b'{"type": NaN}', "malformed"),
        (b"[" * 100_000, "Expected `object`"),
        (b'{"a":' * 100_000, "nested too deep"),
        (raw(PURCHASE).replace(b"anna", b"\xff\xfe"), "utf-8"),
        (raw(PURCHASE).replace(b"anna", rb"\ud800"), "malformed"),
        (raw(PURCHASE).replace(b"9.99", b"1e400"), "out of range"),
        (raw(PURCHASE).replace(b"9.99", b"NaN"), "malformed"),
    ],
)
def test_hostile_bytes_are_refused_like_wrong_ones(value: bytes, reason: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        decode_event(value)
    assert reason in caught.value.reason


def test_unknown_attributes_and_fields_are_let_through() -> None:
    event = {**PURCHASE, "traceparent": "00-ab", "data": {"amount": 1, "colour": "red"}}
    assert decode_event(raw(event)) == decode_event(raw({**PURCHASE, "data": {"amount": 1}}))


def test_a_record_is_one_event_or_an_array() -> None:
    one = decode_event(raw(PURCHASE))
    assert decode_record(raw(PURCHASE)) == [one]
    assert decode_record(raw([PURCHASE, PURCHASE])) == [one, one]
    assert decode_record(b" \r\n\t" + raw([PURCHASE])) == [one]
    assert decode_record(b"[]") == []
    assert decode_customer_events(raw([PURCHASE])) == [one]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"[]", True), (b"\n [1]", True), (b"{}", False), (b"", False), (b"\x0b[", False)],
)
def test_an_array_may_follow_white_space_of_json(value: bytes, expected: bool) -> None:
    assert is_array(value) is expected


def test_an_array_is_split_without_looking_into_it() -> None:
    assert [bytes(part) for part in split(b'[ {"a": 1.50}, null,\n"x" ]')] == [
        b'{"a": 1.50}',
        b"null",
        b'"x"',
    ]
    with pytest.raises(InvalidEventError, match="malformed"):
        split(b"[1 2]")


def test_times_are_milliseconds_in_utc() -> None:
    assert epoch_ms(datetime(1970, 1, 1, 0, 0, 1, 500_400, UTC)) == 1_500
    event = decode_event(raw({**PURCHASE, "time": "1970-01-01T02:00:00.25+02:00"}))
    assert epoch_ms(event.time) == 250
