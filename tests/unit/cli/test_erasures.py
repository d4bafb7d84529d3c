"""Who is erased, in a file: what is printed can be read, and what is wrong is named."""

from pathlib import Path

import msgspec
import pytest

from services.commands.erasures import ErasuresFileError, read_file
from shared.domain.erasure import Erased


def test_a_file_is_read_as_it_was_printed(tmp_path: Path) -> None:
    known = [Erased("ab", 1, 7, 5), Erased("cd", None, 9, 5)]
    file = tmp_path / "erasures.ndjson"
    file.write_bytes(b"\n".join(map(msgspec.json.encode, known)) + b"\n")
    assert read_file(file) == known


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "erasures.ndjson"
    file.write_bytes(msgspec.json.encode(Erased("ab", 1, 7, 5)) + b'\n{"name": 3}\n')
    with pytest.raises(ErasuresFileError, match=r"line 2.*tenure customer erasures"):
        read_file(file)


@pytest.mark.parametrize(
    ("partition", "offset", "holds"),
    [(1, 8, True), (1, 7, False), (0, 8, False)],
)
def test_an_erasure_holds_behind_its_place_of_its_partition(
    partition: int, offset: int, *, holds: bool
) -> None:
    assert Erased("ab", 1, 7, 5).holds(partition, offset) is holds


def test_one_of_another_kafka_holds_everywhere_from_the_beginning() -> None:
    assert Erased("ab", None, 7, 5).holds(3, 0)
