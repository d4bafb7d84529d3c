"""Records become columns; whatever is in them, nothing is lost and nothing else is harmed."""

import json
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.batch import Batch, Record, columns, read_batch
from shared.domain.events import ModelActivated
from shared.domain.features import service_bit
from shared.domain.identity import event_identities
from shared.domain.policy import DAY_MS, MINUTE_MS
from tests.unit.domain.happenings import MODELS, elsewhere
from tests.unit.domain.histories import (
    T0,
    Json,
    account,
    activation,
    balanced,
    contact,
    cost,
    partition,
    purchase,
    record,
    run,
    states,
    tick,
    usage,
)

TOLERANCE = 5 * MINUTE_MS
GOOD = json.dumps(purchase("anna", T0))


def read(value: bytes | None, timestamp: int = T0) -> Batch:
    return read_batch(0, [Record(7, timestamp, value)], TOLERANCE)


@pytest.mark.parametrize("value", [None, b"", b"garbage", b"[", b"{}", b"[1,]", b"[[]", b"\xff"])
def test_a_record_that_is_no_json_is_one_dead_letter(value: bytes | None) -> None:
    batch = read(value)
    (letter,) = batch.letters
    assert batch.seen == 1
    assert batch.events == []
    assert (letter.value, letter.partition, letter.offset) == (value or b"", 0, 7)
    assert letter.index is None
    assert letter.error == "InvalidEventError"
    assert letter.remedy


@pytest.mark.parametrize("value", [b"[]", b" \n[ ]"])
def test_an_empty_array_holds_nothing(value: bytes) -> None:
    batch = read(value)
    assert (batch.seen, batch.events, batch.letters) == (0, [], [])


def test_an_array_that_is_no_json_says_where_it_breaks() -> None:
    (letter,) = read(f"[{GOOD} {GOOD}]".encode()).letters
    assert letter.field == "$"
    assert "malformed" in letter.reason


def test_one_bad_event_does_not_harm_its_neighbours() -> None:
    bad = '{ "type" :"tenure.purchase",  "odd": "\\u00e9" }'
    batch = read(f"[{GOOD},\n  {bad} , {GOOD}]".encode())
    (letter,) = batch.letters
    assert (len(batch.events), batch.seen, batch.index) == (2, 3, [0, 2])
    assert (letter.value, letter.index, letter.field) == (bad.encode(), 1, "specversion")


def test_deep_nesting_is_a_dead_letter() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    (letter,) = read(f"[{GOOD},{deep}]".encode()).letters
    assert letter.reason == "nested too deep"


def test_of_a_key_given_twice_one_is_taken() -> None:
    batch = read(GOOD.replace('"subject"', '"subject": "bert", "subject"').encode())
    assert batch.seen == len(batch.events) == 1
    assert batch.events[0].subject in {"anna", "bert"}


@pytest.mark.parametrize(("ahead", "letters"), [(0, 0), (TOLERANCE, 0), (TOLERANCE + 1, 1)])
def test_events_from_beyond_the_tolerance_are_dead_letters(ahead: int, letters: int) -> None:
    event = json.dumps(purchase("anna", T0 + ahead))
    batch = read(f"[{GOOD}, {event}]".encode(), T0)
    assert len(batch.letters) == letters
    assert len(batch.events) == 2 - letters
    assert [letter.value for letter in batch.letters] == [event.encode()] * letters
    assert [letter.field for letter in batch.letters] == ["time"] * letters
    assert [letter.index for letter in batch.letters] == [1] * letters


@pytest.mark.parametrize(
    ("time", "letters"),
    [
        ("0001-01-01T00:00:00+23:59", 1),
        ("1969-12-31T23:59:59Z", 1),
        ("1970-01-01T00:00:00Z", 1),
        ("1970-01-01T00:00:00.001Z", 0),
        ("9999-12-31T23:59:59-23:59", 1),
    ],
)
def test_times_that_a_state_cannot_hold_are_dead_letters(time: str, letters: int) -> None:
    batch = read(json.dumps({**purchase("anna", T0), "time": time}).encode())
    assert len(batch.letters) == letters
    assert len(batch.events) == 1 - letters
    assert [letter.index for letter in batch.letters] == [None] * letters


def test_dead_letters_are_in_log_order_whatever_is_wrong_with_them() -> None:
    future = purchase("anna", T0 + DAY_MS)
    records = [record(offset, [future, {"bad": offset}, future], T0) for offset in range(3)]
    letters = read_batch(0, records, TOLERANCE).letters
    places = [(letter.offset, letter.index) for letter in letters]
    assert places == [(offset, index) for offset in range(3) for index in range(3)]


def test_columns_know_their_records() -> None:
    records = [record(3, [purchase("a", T0), tick(T0 + 1)], T0), record(5, [], T0)]
    records.append(Record(6, T0 + 9, json.dumps(contact("b", T0 + 2)).encode()))
    batch = read_batch(0, records, TOLERANCE)
    assert batch.at.tolist() == [T0, T0 + 1, T0 + 2]
    assert batch.record.tolist() == [0, 0, 2]
    assert batch.index == [0, 1, None]
    assert batch.appended().tolist() == [T0, T0, T0 + 9]


def test_the_original_bytes_are_to_be_had() -> None:
    texts = [f' {{"n" : {n}, {GOOD[1:]}' for n in range(3)]
    single = Record(1, T0, f"\n{GOOD} ".encode())
    several = Record(0, T0, ("[" + ",".join(texts) + "]").encode())
    batch = read_batch(0, [several, single], TOLERANCE)
    assert [batch.original(n) for n in (2, 0, 1)] == [texts[n].strip().encode() for n in (2, 0, 1)]
    assert batch.original(3) == single.value


def test_versions_are_those_that_are_activated() -> None:
    events = [activation(T0, 3), purchase("a", T0), activation(T0, 5), activation(T0, 3)]
    batch = read_batch(0, [record(0, events, T0)], TOLERANCE)
    assert batch.versions(newest=7) == {3, 5}
    assert isinstance(batch.events[0], ModelActivated)


VOICE = service_bit("voice")
USED = {"active": True, "service": VOICE, "quantity": 1.0, "noted": True}
BOUGHT = {"active": True, "bought": True}
TOLD = {"told": True, "noted": True}


def view(event: Json) -> dict[str, object]:
    batch = read_batch(0, [record(0, [purchase("other", T0), event], T0 + DAY_MS)], TOLERANCE)
    found = columns(batch.events, batch.at, 0.4)[1]
    return {name: found[name].item() for name in found.dtype.names or ()}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            purchase("a", T0, 10.0),
            {"amount": 10_000_000, "margin": 4_000_000, **BOUGHT},
        ),
        (purchase("a", T0, 0.0), {**BOUGHT}),
        (
            purchase("a", T0, 10.0, margin=0.0),
            {"amount": 10_000_000, **BOUGHT},
        ),
        (
            purchase("a", T0, 10.0, margin=-0.25),
            {"amount": 10_000_000, "margin": -2_500_000, **BOUGHT},
        ),
        (purchase("a", T0, -10.0), {"amount": -10_000_000, "margin": -4_000_000}),
        (
            purchase("a", T0, 10.0, initiated_by="system"),
            {"amount": 10_000_000, "margin": 4_000_000},
        ),
        (purchase("a", T0, 0.0, product="sim"), {**BOUGHT, "noted": True}),
        (
            purchase("a", T0, 0.0, category="recharge"),
            {**BOUGHT, "noted": True},
        ),
        (purchase("a", T0, 0.0, category="device"), {**BOUGHT}),
        (usage("a", T0, quantity=2.5), {**USED, "quantity": 2.5}),
        (
            usage("a", T0, amount=0.5),
            {"amount": 500_000, "margin": 200_000, **USED},
        ),
        (usage("a", T0, initiated_by="system"), {**USED, "active": False}),
        (account("a", T0, "opened", acquisition_cost=30), {"cost": 30_000_000, **TOLD}),
        (account("a", T0, "settled"), TOLD),
        (contact("a", T0), TOLD),
        (cost("a", T0, 1.25), {"cost": 1_250_000, "noted": True}),
        (tick(T0), {}),
        (activation(T0, 1), {}),
    ],
)
def test_what_an_event_does_to_a_row(event: Json, expected: dict[str, object]) -> None:
    nothing = {
        **dict.fromkeys(("amount", "margin", "cost", "service", "quantity"), 0),
        **dict.fromkeys(("active", "bought", "told", "noted"), False),
    }
    (identity,) = event_identities([("tests", event["id"])]).tolist()
    assert view(event) == {"at": T0, "identity": identity, **nothing, **expected}


@given(st.integers(-(10**9), 10**9), st.integers(-100, 100))
def test_margins_of_whole_cents_and_percents_are_whole_micros(cents: int, percent: int) -> None:
    event = purchase("a", T0, cents / 100, margin=percent / 100)
    assert (view(event)["amount"], view(event)["margin"]) == (cents * 10_000, cents * percent * 100)


# -- accepted = applied + duplicates + dead letters + misplaced + controls, whatever comes


class Element(NamedTuple):
    text: str
    good: bool


def written(event: Json, good: bool = True) -> Element:
    return Element(json.dumps(event), good)


customers = st.sampled_from("abx")
good_elements = st.one_of(
    st.builds(
        lambda who, n: written(purchase(who, T0 + n, 1.0, f"p{n}")), customers, st.integers(0, 9)
    ),
    st.builds(lambda who: written(account(who, T0, "closed", "closed")), customers),
    st.builds(lambda n: written(tick(T0 + n)), st.integers(0, DAY_MS)),
    st.builds(lambda n: written(activation(T0, n)), st.integers(0, 5)),
)
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
bad_elements = st.one_of(
    st.builds(lambda value: Element(json.dumps(value), good=False), junk),
    st.builds(lambda who: written(purchase(who, T0 + 2 * DAY_MS), good=False), customers),
    st.builds(lambda who: written(purchase(who, -T0), good=False), customers),
    st.builds(lambda key: written({**purchase("a", T0), key: None}, good=False),
              st.sampled_from(["id", "source", "time", "subject", "type", "data"])),
)  # fmt: skip
arrays = st.lists(good_elements | bad_elements, max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(arrays, min_size=1, max_size=5))
def test_good_and_bad_events_are_told_apart_and_all_accounted_for(
    contents: list[list[Element]],
) -> None:
    records = [
        Record(n, T0 + DAY_MS, ("[" + " ,\n".join(one.text for one in array) + "]").encode())
        for n, array in enumerate(contents)
    ]
    target = partition(owner=elsewhere)
    history = run(target, records, models=MODELS)
    everything = [one for array in contents for one in array]
    refused = [one.text.encode() for one in everything if not one.good]
    assert [letter.value for letter in history.letters] == refused
    assert target.counts.accepted == len(everything)
    assert target.counts.dead_letters == len(refused)
    assert balanced(target.counts)


anything = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.text(max_size=30).map(str.encode),
    st.builds(
        lambda raw, at, cut: raw[:at] + cut + raw[at + len(cut) :],
        st.lists(good_elements, min_size=1, max_size=3).map(
            lambda array: ("[" + ",".join(one.text for one in array) + "]").encode()
        ),
        st.integers(0, 300),
        st.binary(max_size=3),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(anything, min_size=1, max_size=6))
def test_garbage_is_accounted_for_and_harms_no_one(values: list[bytes | None]) -> None:
    target = partition(owner=elsewhere)
    before = [Record(0, T0, f"[{GOOD}]".encode())]
    run(target, before)
    run(
        target, [Record(1 + n, T0 + DAY_MS, value) for n, value in enumerate(values)], models=MODELS
    )
    assert balanced(target.counts)
    assert target.offset == 1 + len(values)
    assert b"anna" in states(target)
