"""Identities that other programs can compute too, and will for ever."""

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.identity import event_identities, hash64, hash64s

# printf 'anna' | b2sum -l 64, and printf 'shop\0001' | b2sum -l 64
ANNA = int.from_bytes(bytes.fromhex("d04474cc4b844a8c"), "little")
EVENT_1_OF_SHOP = int.from_bytes(bytes.fromhex("f505ee22167ed688"), "little")


def test_hashes_are_blake2b() -> None:
    assert hash64("anna") == ANNA
    assert hash64s(["anna"]).tolist() == [ANNA]


def test_an_event_is_its_source_and_id() -> None:
    assert event_identities([("shop", "1")]).tolist() == [EVENT_1_OF_SHOP]
    apart = event_identities([("a", "bc"), ("ab", "c"), ("bc", "a")]).tolist()
    assert len(set(apart)) == 3


@given(st.lists(st.text()))
def test_many_are_hashed_as_one_is(texts: list[str]) -> None:
    assert hash64s(texts).tolist() == [hash64(text) for text in texts]
