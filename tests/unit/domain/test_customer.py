"""A state's bytes: what is written comes back bit for bit, and no more is written than needed."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.customer import (
    NO_PROFILE,
    PENDING,
    ROW,
    SNAPSHOT,
    CustomerTable,
    StateFormatError,
    describe,
    micros,
)
from shared.domain.ledger import Ledger
from shared.domain.outputs import Profile
from shared.domain.service_use import Use

ANNA, BERT = "anna", "bert ☂"
everyone = np.arange


def table_of(*customers: str, pending: int = 0) -> CustomerTable:
    table = CustomerTable(capacity=1)
    indices = table.add(list(customers))
    random = np.random.default_rng(7)
    noise = np.frombuffer(random.bytes(len(indices) * ROW.itemsize), ROW).copy()
    noise["hash"] = table.rows["hash"][indices]
    noise["pending"] = pending
    noise["snapshots"][:, pending:] = np.zeros((), SNAPSHOT)
    table.rows[indices] = noise
    return table


@pytest.mark.parametrize("pending", range(PENDING + 1))
def test_a_row_comes_back_bit_for_bit(pending: int) -> None:
    table = table_of(ANNA, BERT, pending=pending)
    table.profiles[1] = Profile(plan="gold", consent={"sms": False}, attributes={"a": "b"})
    table.note(0, Ledger(products={"sim": 1}, services={"data": Use(1, 2, 0.1, 0.2)}))
    table.note(1, Ledger(touch=(1, 2, "sms", "", -1.0), plans=[(7, "gold")], statuses={3: 9}))
    again = CustomerTable(capacity=1)
    for key, value in reversed(table.encode(everyone(2))):
        again.restore(key, value)
    assert again.ids == [BERT, ANNA]
    assert again.rows[:2].tobytes() == table.rows[[1, 0]].tobytes()
    assert again.profile(0) == table.profiles[1]
    assert again.profile(1) == NO_PROFILE
    assert [again.ledger(n) for n in (1, 0)] == [table.ledger(n) for n in (0, 1)]
    assert again.encode(everyone(2)) == table.encode(everyone(2))[::-1]


def test_who_has_no_ledger_has_none() -> None:
    assert table_of(ANNA).ledger(0) is None


def test_a_ledger_that_was_read_is_kept_as_it_was_until_it_is_noted() -> None:
    table = table_of(ANNA)
    table.note(0, Ledger(costs={"service": 5}))
    read = table.ledger(0)
    assert read is not None
    read.costs["service"] = 6
    assert table.ledger(0) == Ledger(costs={"service": 5})
    table.note(0, read)
    assert table.ledger(0) == Ledger(costs={"service": 6})


def test_snapshots_that_are_not_there_are_not_written() -> None:
    sizes = [
        len(table_of(ANNA, pending=pending).encode(everyone(1))[0][1])
        for pending in range(PENDING + 1)
    ]
    assert np.diff(sizes).tolist() == [SNAPSHOT.itemsize] * PENDING
    assert sizes[-1] == ROW.itemsize + 7


def test_a_state_is_a_few_hundred_bytes() -> None:
    ((_, value),) = table_of(ANNA).encode(everyone(1))
    assert len(value) < 335


def test_of_several_values_of_a_key_the_last_one_wins() -> None:
    older, newer = table_of(ANNA, pending=3), table_of(ANNA, pending=1)
    newer.rows["events"][0] = 5
    newer.profiles[0] = Profile(plan="gold")
    again = CustomerTable()
    for table in (older, newer):
        again.restore(*table.encode(everyone(1))[0])
    assert len(again) == 1
    assert again.rows[0].tobytes() == newer.rows[0].tobytes()
    assert again.profile(0).plan == "gold"


@pytest.mark.parametrize(
    "change", [b"\xff", b"\x00", b"\x03", b"\x04", b"\x05", b"\x08", b"\x09", b"\x0b"]
)
def test_a_state_of_another_format_is_refused(change: bytes) -> None:
    ((key, value),) = table_of(ANNA).encode(everyone(1))
    with pytest.raises(StateFormatError, match=f"format {change[0]}.*build them anew"):
        CustomerTable().restore(key, change + value[1:])


def test_a_state_of_another_size_is_refused() -> None:
    ((key, value),) = table_of(ANNA).encode(everyone(1))
    shorter = value[:1] + (len(value) - 8).to_bytes(2, "little") + value[3:-1]
    with pytest.raises(StateFormatError, match="bytes"):
        CustomerTable().restore(key, shorter)


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(0, 10_000), max_size=40, unique=True), max_size=6))
def test_a_table_finds_whom_it_holds_however_they_came(groups: list[list[int]]) -> None:
    table, held = CustomerTable(capacity=1), list[str]()
    for group in groups:
        newcomers = [name for name in map(str, group) if name not in held]
        assert table.add(newcomers).tolist() == [len(held) + n for n in range(len(newcomers))]
        held += newcomers
    assert len(table) == len(held)
    assert table.find_all([*held, None, "nobody"]).tolist() == [*range(len(held)), -1, -1]
    assert [table.find(name) for name in held] == list(range(len(held)))
    assert table.rows["band"][: len(held)].tolist() == [-1] * len(held)
    assert "nobody" not in table


def test_growing_keeps_what_is_there() -> None:
    table = table_of(ANNA)
    before = table.rows[0].tobytes()
    table.add([str(n) for n in range(100)])
    assert table.rows[0].tobytes() == before
    assert table.rows["events"][1:].tolist() == [0] * (len(table.rows) - 1)


@pytest.mark.parametrize(
    ("amount", "expected"), [(0.1, 100_000), (-9.99, -9_990_000), (0.0000015, 2), (1e12, 10**18)]
)
def test_money_is_rounded_to_micros(amount: float, expected: int) -> None:
    assert micros(np.array([amount])).tolist() == [expected]


@given(st.integers(-(10**11), 10**11))
def test_cents_are_whole_micros(cents: int) -> None:
    assert micros(np.array([cents / 100])).tolist() == [cents * 10_000]


def test_a_row_can_be_read_by_people() -> None:
    table = table_of(ANNA, pending=2)
    table.rows["events"][0] = 17
    table.profiles[0] = Profile(plan="gold")
    table.note(0, Ledger(contacts=3))
    plain = describe(table, 0)
    assert plain["events"] == 17
    assert len(plain["snapshots"]) == 2
    assert plain["snapshots"][1]["at"] == table.rows["snapshots"]["at"][0, 1]
    assert plain["profile"]["plan"] == "gold"
    assert plain["ledger"] == msgspec.to_builtins(Ledger(contacts=3))
