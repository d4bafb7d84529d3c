"""API keys: who comes in, for which sources, and what a wrong file says."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.adapters.api_keys import (
    ANYONE,
    Caller,
    KeyRing,
    KeysFileError,
    OpenDoor,
    UnauthenticatedError,
    create_key,
    doorkeeper,
    hash_key,
    parse_keys,
)


def entry(name: str, hashed: str, *more: str) -> str:
    return "\n".join([f"- name: {name}", f"  hash: {hashed}", *(f"  {line}" for line in more)])


def keys_text(*entries: str) -> str:
    return "keys:\n" + "\n".join(entries) + "\n"


def test_a_key_lets_in_its_caller_and_no_other() -> None:
    billing, billing_hash = create_key("billing")
    shop, shop_hash = create_key("shop")
    ring = KeyRing(parse_keys(keys_text(entry("billing", billing_hash), entry("shop", shop_hash))))
    assert ring.authenticate(f"Bearer {billing}").name == "billing"
    assert ring.authenticate(f"bearer  {shop} ").name == "shop"
    with pytest.raises(UnauthenticatedError):
        ring.authenticate(f"Bearer shop.{billing.partition('.')[2]}")


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer billing", "Bearer nobody.x", "Bearer é"],
)
def test_anything_else_is_unauthenticated(header: str | None) -> None:
    ring = KeyRing([Caller("billing", hash_key("billing.secret"))])
    with pytest.raises(UnauthenticatedError):
        ring.authenticate(header)


def test_the_file_holds_no_secret_and_two_hashes_of_a_key_differ() -> None:
    key, hashed = create_key("billing")
    assert key.partition(".")[2] not in hashed
    assert hash_key(key) != hash_key(key)
    assert len(key.partition(".")[2]) >= 43  # 256 bits in base 64


@pytest.mark.parametrize(
    ("pattern", "source", "expected"),
    [
        ("//billing.example/eu", "//billing.example/eu", True),
        ("//billing.example/eu", "//billing.example/eu/x", False),
        ("//billing.example/*", "//billing.example/eu/x", True),
        ("//billing.example/*", "//evil/?//billing.example/", False),
        ("//billing.*/eu", "//billing.example/eu", True),
        ("//billing.example/*", "//billingXexample/eu", False),
        ("urn:[a]", "urn:[a]", True),
        ("urn:[a]", "urn:a", False),
        ("*", "a\nb", True),
    ],
)
def test_sources_are_exact_or_globs(pattern: str, source: str, expected: bool) -> None:
    assert Caller("x", "", (pattern,)).speaks_for(source) is expected


def test_permissions_are_those_of_the_entry() -> None:
    hashed = hash_key("replay.x")
    plain, replay = parse_keys(
        keys_text(entry("a", hashed), entry("b", hashed, "permissions: [ticks]"))
    )
    assert (plain.may("events"), plain.may("ticks")) == (True, False)
    assert (replay.may("events"), replay.may("ticks")) == (False, True)
    assert plain.speaks_for("anything") is False


def test_a_wrong_file_says_everything_that_is_wrong_at_once() -> None:
    good = hash_key("x.y")
    text = keys_text(
        entry("billing", "plain-secret"),
        entry("no spaces", good),
        entry("shop", good, "permisions: [events]"),
        entry("gym", good, "quota: {events_per_second: 0}"),
        entry("twin", good),
        entry("twin", good),
    )
    with pytest.raises(KeysFileError) as caught:
        parse_keys(text)
    message = str(caught.value)
    assert "keys[0]: `hash` must be" in message
    assert "keys[1]: `name` must be" in message
    assert "keys[2]" in message
    assert "permisions" in message
    assert "keys[3]" in message
    assert "two keys are named 'twin'" in message
    assert "tenure keys create" in message
    assert "plain-secret" not in message


@pytest.mark.parametrize("text", ["", "[]", "keys: 3", "keys: [", "a: b"])
def test_what_is_no_keys_file_is_refused(text: str) -> None:
    with pytest.raises(KeysFileError, match="tenure keys create"):
        parse_keys(text)


def test_without_keys_only_loopback_is_open() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        door = doorkeeper(host, None, setting="TENURE_INGEST_KEYS_FILE")
        assert isinstance(door, OpenDoor)
        assert door.authenticate(None) is ANYONE
    with pytest.raises(KeysFileError, match=r"0\.0\.0\.0.*TENURE_INGEST_KEYS_FILE"):
        doorkeeper("0.0.0.0", None, setting="TENURE_INGEST_KEYS_FILE")  # noqa: S104


def test_with_keys_loopback_asks_for_them_too(tmp_path: Path) -> None:
    key, hashed = create_key("billing")
    path = tmp_path / "keys.yaml"
    path.write_text(keys_text(entry("billing", hashed)))
    door = doorkeeper("127.0.0.1", path, setting="X")
    assert door.authenticate(f"Bearer {key}").name == "billing"
    with pytest.raises(UnauthenticatedError):
        door.authenticate(None)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(KeysFileError, match=r"none\.yaml: No such file"):
        doorkeeper("127.0.0.1", tmp_path / "none.yaml", setting="X")


def replace(path: Path, text: str) -> None:
    """Replace a file as editors and Kubernetes do: a new inode under the old name."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)  # noqa: PTH105


def test_keys_are_given_and_taken_back_without_a_restart(tmp_path: Path) -> None:
    (old, old_hash), (new, new_hash) = create_key("a"), create_key("b")
    path = tmp_path / "keys.yaml"
    path.write_text(keys_text(entry("a", old_hash)))
    door = doorkeeper("127.0.0.1", path, setting="X")
    replace(path, keys_text(entry("b", new_hash)))
    assert door.authenticate(f"Bearer {new}").name == "b"
    with pytest.raises(UnauthenticatedError):
        door.authenticate(f"Bearer {old}")


def test_a_file_that_became_unusable_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    key, hashed = create_key("a")
    path = tmp_path / "keys.yaml"
    path.write_text(keys_text(entry("a", hashed)))
    door = doorkeeper("127.0.0.1", path, setting="X")
    replace(path, "keys: oops")
    with capture_logs() as logs:
        assert door.authenticate(f"Bearer {key}").name == "a"
        assert door.authenticate(f"Bearer {key}").name == "a"
    assert [line["log_level"] for line in logs] == ["warning"]
    path.unlink()
    assert door.authenticate(f"Bearer {key}").name == "a"
