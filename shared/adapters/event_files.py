"""Events out of files: NDJSON holds CloudEvents, CSV and Parquet are mapped to them."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from shared.adapters.event_mapping import Mapping, parse_mapping
from shared.domain import events
from shared.domain.errors import InvalidEventError, TenureError

_DELIMITERS: Final = ",;\t|"
_NDJSON: Final = frozenset({".ndjson", ".jsonl"})


class FileError(TenureError):
    """The file cannot be read as events; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Good:
    """An event as it will be sent.

    Attributes
    ----------
    line
        Its line in the file (of Parquet: its row), from 1.
    at
        Its time in milliseconds since 1970.
    value
        The event in JSON.

    """

    line: int
    at: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that is no event, and why. ``raw`` is the line as it was found."""

    line: int
    field: str
    reason: str
    remedy: str
    raw: str


def read_events(path: Path, mapping: str | None = None) -> Iterator[Good | Bad]:
    """Yield what each line of a file holds, in the file's order.

    Parameters
    ----------
    path
        ``.ndjson`` or ``.jsonl`` (one CloudEvent a line), ``.csv`` (with a header; delimiter
        comma, semicolon, tab or bar), each also with ``.gz``; or ``.parquet``.
    mapping
        For tables: see `parse_mapping`.

    Raises
    ------
    FileError, MappingError
        Before the first event, when nothing of the file can be used.

    """
    kind = _kind(path)
    if not path.is_file():
        raise FileError(f"there is no file {path}")
    if kind in _NDJSON and mapping is not None:
        raise FileError(f"--map is for tables; {path} holds whole events. Leave it out")
    if kind in _NDJSON:
        return _ndjson(path)
    rows = _parquet(path) if kind == ".parquet" else _csv(path)
    return _table(rows, path, mapping)


def _kind(path: Path) -> str:
    suffixes = [each.lower() for each in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    kind = suffixes[-1] if suffixes else ""
    if kind not in _NDJSON | {".csv", ".parquet"}:
        raise FileError(
            f"cannot tell what {path.name} holds by its name. "
            "Name it .ndjson, .jsonl or .csv (each also with .gz), or .parquet"
        )
    return kind


def _open(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _ndjson(path: Path) -> Iterator[Good | Bad]:
    with _readable(path), _open(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _whole(number, line.strip())


def _whole(number: int, line: str) -> Good | Bad:
    value = line.encode()
    try:
        event = events.decode_customer_event(value)
    except InvalidEventError as error:
        return Bad(number, error.field, error.reason, error.remedy, line)
    return Good(number, events.epoch_ms(event.time), value)


def _table(
    rows: Iterator[tuple[int, list[Any]]], path: Path, spec: str | None
) -> Iterator[Good | Bad]:
    """Map each row; the first that comes is the header."""
    with _readable(path):
        _, header = next(rows, (0, []))
        if not header:
            raise FileError(f"{path} is empty; the first line names the columns")
    mapping = parse_mapping(spec, header, source=f"file:{path.name}")
    return _mapped(rows, path, header, mapping)


def _mapped(
    rows: Iterator[tuple[int, list[Any]]], path: Path, header: list[str], mapping: Mapping
) -> Iterator[Good | Bad]:
    with _readable(path):
        for number, row in rows:
            yield _row(number, row, header, mapping)


def _row(number: int, row: list[Any], header: list[str], mapping: Mapping) -> Good | Bad:
    raw = ",".join("" if cell is None else str(cell) for cell in row)
    if len(row) != len(header):
        reason = f"{len(row)} cells where the header has {len(header)}"
        return Bad(number, "$", reason, "Quote cells that hold the delimiter", raw)
    try:
        event = mapping.event(dict(zip(header, row, strict=True)), number)
    except InvalidEventError as error:
        return Bad(number, error.field, error.reason, error.remedy, raw)
    return Good(number, events.epoch_ms(event.time), _encoded(event))


def _encoded(event: events.CustomerEvent) -> bytes:
    """Encode an event without the attributes that the row leaves open."""
    fields = {name: each for name, each in msgspec.to_builtins(event).items() if each is not None}
    fields["data"] = {name: each for name, each in fields["data"].items() if each is not None}
    return msgspec.json.encode(fields)


def _csv(path: Path) -> Iterator[tuple[int, list[Any]]]:
    with _open(path) as lines:
        first = next(lines, "")
        delimiter = max(_DELIMITERS, key=first.count)
        reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
        for row in reader:
            if row:
                yield reader.line_num, row


def _parquet(path: Path) -> Iterator[tuple[int, list[Any]]]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise FileError("Parquet needs pyarrow: pip install pyarrow, or use CSV") from None
    table = parquet.ParquetFile(path)
    yield 0, table.schema_arrow.names
    columns = ([each.to_pylist() for each in batch.columns] for batch in table.iter_batches())
    rows = (row for batch in columns for row in zip(*batch, strict=True))
    yield from ((number, list(row)) for number, row in enumerate(rows, 1))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what a broken file raises into an error that names it."""
    try:
        yield
    except UnicodeDecodeError:
        raise FileError(f"{path} is not UTF-8. Convert it: iconv -t UTF-8") from None
    except (OSError, EOFError, csv.Error, ValueError) as error:
        raise FileError(f"{path} cannot be read: {error}") from None
