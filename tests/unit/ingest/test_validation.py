"""Every bad event is found, and nothing good is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.refusal import RefusedError
from services.ingest.validation import MAX_NESTING, Validator, nesting
from shared.domain.events import decode_record
from tests.ingest_events import body, event

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def validator(**changes: object) -> Validator:
    usual: dict[str, Any] = {
        "currency": "USD",
        "future_tolerance_s": 300,
        "max_event_bytes": lambda: 100_000,
        "now": lambda: NOW,
    }
    return Validator(**(usual | changes))


def refused(content: bytes, **changes: object) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        validator(**changes).batch(content)
    return caught.value


def test_a_good_batch_keeps_the_bytes_of_each_event() -> None:
    first = b'{ "x-tra" : [1,  2], ' + json.dumps(event(id="1")).encode()[1:]
    second = json.dumps(event(id="2"), ensure_ascii=False).encode()
    accepted = validator().batch(b"[ " + first + b" ,\n" + second + b"]")
    assert [bytes(raw) for raw in accepted.raws] == [first, second]
    assert [good.id for good in accepted.events] == ["1", "2"]


def test_an_empty_batch_is_good() -> None:
    assert validator().batch(b" [ ] ").events == []


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"specversion": "0.3"}, "specversion", "0.3"),
    ({"specversion": None}, "specversion", "missing"),
    ({"id": None}, "id", "missing"),
    ({"id": ""}, "id", "length >= 1"),
    ({"id": "x" * 129}, "id", "length <= 128"),
    ({"id": 7}, "id", "Expected `str`"),
    ({"id": "a\tb"}, "id", "control characters"),
    ({"id": "a\n"}, "id", "control characters"),
    ({"source": ""}, "source", "length >= 1"),
    ({"source": "x" * 257}, "source", "length <= 256"),
    ({"subject": None}, "subject", "missing"),
    ({"subject": "x" * 129}, "subject", "length <= 128"),
    ({"subject": "a\x00b"}, "subject", "control characters"),
    ({"time": "yesterday"}, "time", "RFC3339"),
    ({"time": "2026-01-31T12:00:00"}, "time", "timezone"),
    ({"time": "1970-01-01T00:00:00Z"}, "time", "not after 1970"),
    ({"time": "1969-12-31T23:59:59Z"}, "time", "not after 1970"),
    ({"time": "0001-01-01T00:00:00+23:59"}, "time", "not after 1970"),
    ({"time": "2026-02-01T00:05:01Z"}, "time", "300 s in the future"),
    ({"time": "9999-12-31T23:59:59-23:59"}, "time", "300 s in the future"),
    ({"type": "tenure.unknown"}, "type", "tenure.unknown"),
    ({"type": "tenure.tick", "data": None}, "type", "tenure.tick"),
    ({"type": "tenure.model", "data": {"model": "m", "version": 1}}, "type", "tenure.model"),
    ({"datacontenttype": "text/xml"}, "datacontenttype", "text/xml"),
    ({"data": None}, "data", "missing"),
    ({"data": {}}, "data.amount", "missing"),
    ({"data": {"amount": "20"}}, "data.amount", "Expected `float`"),
    ({"data": {"amount": 1.1e9}}, "data.amount", "<= 1000000000.0"),
    ({"data": {"amount": -1.1e9}}, "data.amount", ">= -1000000000.0"),
    ({"data": {"amount": 1, "quantity": -1}}, "data.quantity", ">= 0"),
    ({"data": {"amount": 1, "margin": 1.01}}, "data.margin", "<= 1"),
    ({"data": {"amount": 1, "currency": "usd"}}, "data.currency", "regex"),
    ({"data": {"amount": 1, "currency": "EUR"}}, "data.currency", "EUR, but amounts are in USD"),
    ({"data": {"amount": 1, "initiated_by": "dog"}}, "data.initiated_by", "dog"),
    ({"extension": "x" * 100_001}, "$", "100000"),
]


@pytest.mark.parametrize(("changes", "field", "reason"), BAD)
def test_a_bad_event_is_named_with_field_reason_and_remedy(
    changes: dict[str, Any], field: str, reason: str
) -> None:
    refusal = refused(body(event(), event(**changes), event()))
    assert refusal.reason == "invalid"
    assert refusal.events == 3
    (problem,) = refusal.problems
    assert (problem.index, problem.field) == (1, field)
    assert reason in problem.reason
    assert problem.remedy


@pytest.mark.parametrize(("changes", "field", "reason"), BAD)
def test_the_same_is_found_in_a_single_event(
    changes: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        validator().single(json.dumps(event(**changes)).encode())
    (problem,) = caught.value.problems
    assert (problem.index, problem.field) == (0, field)
    assert reason in problem.reason


def test_both_currencies_are_named() -> None:
    (problem,) = refused(body(event(data={"amount": 1, "currency": "EUR"}))).problems
    assert "EUR" in problem.reason
    assert "USD" in problem.remedy


@given(st.lists(st.sampled_from([event(), *[event(**changes) for changes, _, _ in BAD]])))
def test_there_is_an_error_for_each_bad_event_and_for_no_other(events: list[Any]) -> None:
    bad = [index for index, each in enumerate(events) if each != event()]
    if not bad:
        assert len(validator().batch(body(*events)).events) == len(events)
        return
    assert [problem.index for problem in refused(body(*events)).problems] == bad


def test_what_is_on_the_edge_is_good() -> None:
    edge = [
        event(time="1970-01-01T00:00:01Z"),
        event(time="2026-02-01T00:05:00Z"),
        event(time="2026-02-01T03:04:00+03:00"),
        event(id="x" * 128, source="s" * 256, subject="Ω😀 '\"\\"),
        event(data={"amount": -1e9, "currency": "USD", "margin": -1, "quantity": 0}),
        event(data={"amount": 0, "unknown": {"field": [None]}}),
    ]
    assert len(validator().batch(body(*edge)).events) == len(edge)


def test_an_event_with_several_faults_is_reported_with_each_that_needs_context() -> None:
    wrong = event(time="1960-01-01T00:00:00Z", data={"amount": 1, "currency": "EUR"})
    assert [problem.field for problem in refused(body(wrong)).problems] == [
        "time",
        "data.currency",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"[1,]",
        b"nope",
        b"[1] 2",
        b'["\xff"]',
        b"[NaN]",
        b"\xef\xbb\xbf[]",
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_is_unreadable(content: bytes) -> None:
    assert refused(content).reason == "unreadable"
    with pytest.raises(RefusedError) as caught:
        validator().single(content)
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("content", [b"{}", b"3", b'"x"', b"null"])
def test_json_that_is_no_batch_says_so(content: bytes) -> None:
    (problem,) = refused(content).problems
    assert problem.field == "$"
    assert "array" in problem.remedy


def test_invalid_utf8_in_an_attribute_nobody_reads_is_refused_too() -> None:
    content = body(event(x="?")).replace(b'"?"', b'"\xff"')
    assert "not UTF-8" in refused(content).detail


def deep(levels: int, opening: str = "[", closing: str = "]") -> bytes:
    inner = opening * (levels - 1) + closing * (levels - 1)
    return body(event(id="flat"), event(x="?")).replace(b'"?"', inner.encode())


def test_what_nests_too_deep_for_any_reader_is_refused() -> None:
    assert len(validator().batch(deep(MAX_NESTING)).events) == 2
    (problem,) = refused(deep(MAX_NESTING + 1)).problems
    assert (problem.index, problem.field) == (1, "$")
    assert "nested" in problem.reason


def test_many_brackets_side_by_side_are_not_deep() -> None:
    wide = event(x=[[[]]] * 500, y="[" * 500, z='\\"[[' * 200)
    assert len(validator().batch(body(wide, wide)).events) == 2


@given(
    st.recursive(
        st.none() | st.text('[]{}"\\a', max_size=20),
        lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\', max_size=5), inner),
    )
)
def test_nesting_is_at_least_the_real_depth_and_exact_where_it_matters(value: object) -> None:
    def depth(part: object) -> int:
        inner = part.values() if isinstance(part, dict) else part
        return 1 + max(map(depth, inner), default=0) if isinstance(part, dict | list) else 0

    # Sixty-four pairs beside it make a count alone too high, so the exact way is taken.
    raw = json.dumps([value, *[[]] * MAX_NESTING]).encode()
    assert nesting(raw) == max(depth(value), 1) + 1


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_hostile_bytes_are_refused_and_nothing_else_happens(content: bytes) -> None:
    for check in (validator().batch, validator().single):
        try:
            accepted = check(content)
        except RefusedError:
            continue
        assert json.loads(content) == accepted.events == []


@given(
    st.dictionaries(
        st.sampled_from([*event(), "datacontenttype", "data_base64", "extension"]),
        st.none() | st.text() | st.integers() | st.floats(allow_nan=False) | st.lists(st.none()),
    )
)
def test_what_is_accepted_the_scorer_can_read_as_well(changes: dict[str, Any]) -> None:
    content = body(event(), event(**changes))
    try:
        accepted = validator().batch(content)
    except RefusedError:
        return
    record = b"[" + b",".join(accepted.raws) + b"]"
    assert decode_record(record) == accepted.events
