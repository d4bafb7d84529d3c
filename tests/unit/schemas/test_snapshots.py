"""A model snapshot is ours, whole and of the version that its key says, or it is refused."""

import msgspec
import numpy as np
import pytest

from shared.domain.features import FEATURES
from shared.domain.learner import Learner, Snapshot
from shared.domain.outputs import Example, Identity, Training, Watermark
from shared.schemas.snapshots import (
    SnapshotError,
    decode_snapshot,
    encode_snapshot,
    sign,
    snapshot_key,
)

SECRET = b"a secret of ours"


def snapshot(labels: int = 5, version: int = 1) -> Snapshot:
    learner = Learner()
    learner.version = version - 1
    draw = np.random.default_rng(labels)
    examples = [
        Example(
            origin=Identity(n % 3, n, 0),
            at=0,
            labelled_at=n,
            features=draw.uniform(0, 90, len(FEATURES)).tolist(),
            silent=bool(n % 2),
            predicted=0.25,
            heuristic=0.5,
            model=0,
            recent=True,
        )
        for n in range(1, labels + 1)
    ]
    learner.take(0, Training(Watermark(0, labels), examples))
    return learner._snapshot(7, 99)


def encoded(one: Snapshot, version: int = 1) -> tuple[bytes, bytes, bytes]:
    key = snapshot_key("churn", version)
    return key, *encode_snapshot(key, one, SECRET)


def test_a_snapshot_comes_back_as_it_was() -> None:
    assert decode_snapshot(*encoded(snapshot()), SECRET) == snapshot()


def test_the_same_model_is_the_same_bytes_also_after_a_round_trip() -> None:
    key, value, signature = encoded(snapshot())
    again = decode_snapshot(key, value, signature, SECRET)
    assert encode_snapshot(key, again, SECRET) == (value, signature)


def test_keys_sort_by_version() -> None:
    versions = [1, 2, 9, 10, 99, 100, 12_345]
    keys = [snapshot_key("churn", version) for version in versions]
    assert sorted(keys) == keys


@pytest.mark.parametrize("place", [0, 1, 100, -2, -1])
def test_a_changed_byte_is_refused(place: int) -> None:
    key, value, signature = encoded(snapshot())
    changed = bytearray(value)
    changed[place] ^= 1
    with pytest.raises(SnapshotError, match="signature does not match"):
        decode_snapshot(key, bytes(changed), signature, SECRET)


def test_a_snapshot_under_the_key_of_another_version_is_refused() -> None:
    _, value, signature = encoded(snapshot())
    with pytest.raises(SnapshotError, match=r"churn/0000000002.*signature does not match"):
        decode_snapshot(snapshot_key("churn", 2), value, signature, SECRET)


@pytest.mark.parametrize("signature", [b"", b"\xff\xfe", b"0" * 64])
def test_a_wrong_or_missing_signature_is_refused(signature: bytes) -> None:
    key, value, _ = encoded(snapshot())
    with pytest.raises(SnapshotError, match="TENURE_MODEL_KEY"):
        decode_snapshot(key, value, signature, SECRET)


def test_a_snapshot_signed_with_another_key_is_refused() -> None:
    key = snapshot_key("churn", 1)
    value, signature = encode_snapshot(key, snapshot(), b"a secret of others")
    with pytest.raises(SnapshotError, match="signature does not match"):
        decode_snapshot(key, value, signature, SECRET)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\x80\x04pickle", b'{"version": "one"}'])
def test_signed_content_that_is_no_snapshot_is_refused(content: bytes) -> None:
    key = snapshot_key("churn", 1)
    with pytest.raises(SnapshotError, match="churn/0000000001"):
        decode_snapshot(key, content, sign(key, content, SECRET), SECRET)


def test_numbers_keep_their_last_bit() -> None:
    one = snapshot(200)
    key, value, signature = encoded(one)
    again = decode_snapshot(key, value, signature, SECRET)
    assert again.model == one.model
    assert msgspec.json.decode(value)["model"]["silence"] == one.model["silence"]
