"""Events out of files: what is good is kept as it is, what is bad is named."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.event_files import Bad, FileError, Good, read_events
from shared.adapters.event_mapping import MappingError, parse_mapping
from shared.adapters.event_spool import EventSpool

MAP = "subject=customer,time=ts,amount=total"
HEADER = "customer,ts,total"
NOON = round(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1000)


def event(**changes: object) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "tenure.purchase",
        "id": "1",
        "source": "shop",
        "subject": "c",
        "time": "2026-01-31T12:00:00Z",
        "data": {"amount": 5},
    } | changes


def csv_file(folder: Path, *lines: str, name: str = "orders.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def only(path: Path, mapping: str | None = None) -> Good | Bad:
    (line,) = read_events(path, mapping)
    return line


def good(path: Path, mapping: str | None = None) -> dict[str, Any]:
    line = only(path, mapping)
    assert isinstance(line, Good), line
    decoded: dict[str, Any] = json.loads(line.value)
    return decoded


def bad(path: Path, mapping: str | None = None) -> Bad:
    line = only(path, mapping)
    assert isinstance(line, Bad), line
    return line


def test_a_line_of_ndjson_is_sent_byte_for_byte(tmp_path: Path) -> None:
    text = json.dumps(event(traceparent="00-abc"))
    (tmp_path / "a.ndjson").write_text(f"{text}\n\n")
    assert only(tmp_path / "a.ndjson") == Good(1, NOON, text.encode())


def test_a_bad_line_of_ndjson_names_line_field_and_remedy(tmp_path: Path) -> None:
    lines = [json.dumps(event()), json.dumps(event(data={"amount": "5"})), "{"]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    first, second, third = read_events(tmp_path / "a.jsonl")
    assert isinstance(first, Good)
    assert isinstance(second, Bad)
    assert (second.line, second.field, second.raw) == (2, "data.amount", lines[1])
    assert second.reason
    assert second.remedy
    assert isinstance(third, Bad)
    assert (third.line, third.field) == (3, "$")


def test_a_row_of_csv_becomes_a_purchase(tmp_path: Path) -> None:
    assert good(csv_file(tmp_path, "c-1,2026-01-31 12:00:00,12.50"), MAP) == {
        "specversion": "1.0",
        "type": "tenure.purchase",
        "id": "2",
        "source": "file:orders.csv",
        "subject": "c-1",
        "time": "2026-01-31T12:00:00Z",
        "data": {"amount": 12.5, "quantity": 1.0, "initiated_by": "customer"},
    }


def test_columns_are_taken_by_their_names_without_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,subject,time,type,service,quantity\n7,c,2026-01-31,usage,voice,3\n")
    found = good(path)
    assert (found["id"], found["type"]) == ("7", "tenure.usage")
    assert found["data"]["service"] == "voice"
    assert found["data"]["quantity"] == 3


def test_a_quoted_value_is_the_same_for_all_rows(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "c,2026-01-31,1")
    found = good(path, MAP + ",currency=GBP,category='top up, monthly',source=\"till\"")
    assert found["data"]["currency"] == "GBP"
    assert found["data"]["category"] == "top up, monthly"
    assert found["source"] == "till"


def test_attributes_of_an_account_nest(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("subject,time,country\nc,2026-01-31,FR\n")
    mapping = "subject=subject,time=time,type=account,status='opened',attributes.country=country"
    assert good(path, mapping)["data"] == {"status": "opened", "attributes": {"country": "FR"}}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    rows = ["customer,ts,total", "c-1,2026-01-31,5"]
    path.write_text("\n".join(row.replace(",", delimiter) for row in rows))
    assert good(path, MAP)["subject"] == "c-1"


def test_compressed_files_are_read(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write(f"{HEADER}\nc,2026-01-31,5\n")
    assert good(tmp_path / "a.csv.gz", MAP)["subject"] == "c"


def test_parquet_is_read_with_its_own_types(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table(
        {
            "customer": [17, 18],
            "ts": [datetime(2026, 1, 31, 12)] * 2,  # noqa: DTZ001 - as such files hold them
            "total": [0.1, float("nan")],
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    first, second = read_events(tmp_path / "a.parquet", MAP)
    assert isinstance(first, Good)
    assert (first.line, first.at) == (1, NOON)
    assert msgspec.json.decode(first.value)["subject"] == "17"
    assert msgspec.json.decode(first.value)["data"]["amount"] == 0.1
    assert isinstance(second, Bad)  # an amount that is not there is not zero
    assert (second.line, second.field, second.reason) == (2, "data.amount", "missing")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T13:00:00+01:00", NOON),
        ("2026-01-31 12:00:00", NOON),
        ("2026-01-31", NOON - 12 * 3_600_000),
        (str(NOON), NOON),
        (str(NOON // 1000), NOON),
    ],
)
def test_times_in_common_forms(tmp_path: Path, text: str, moment: int) -> None:
    line = only(csv_file(tmp_path, f"c,{text},1"), MAP)
    assert isinstance(line, Good)
    assert line.at == moment


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("c,yesterday,1", "time"),
        ("c,,1", "time"),
        (",2026-01-31,1", "subject"),
        ("c,2026-01-31,much", "data.amount"),
        ("c,2026-01-31,nan", "data.amount"),
        ("c,2026-01-31,1e400", "data.amount"),
        ("c,2026-01-31", "$"),
        ("c,2026-01-31,1,2", "$"),
        ("c,1e300,1", "time"),
    ],
)
def test_a_bad_row_names_line_field_and_remedy(tmp_path: Path, row: str, field: str) -> None:
    found = bad(csv_file(tmp_path, row), MAP)
    assert (found.line, found.field) == (2, field)
    assert found.reason
    assert found.remedy


def test_lines_are_counted_as_editors_do(tmp_path: Path) -> None:
    rows = ['"c\nd",2026-01-31,1', "c,2026-01-31,x"]
    _, second = read_events(csv_file(tmp_path, *rows), MAP)
    assert second.line == 4


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("subject=custmer,time=ts,amount=total", "custmer"),
        ("subject=customer,amount=total", "time=COLUMN"),
        ("subject=customer,time=ts", "type=COLUMN"),
        ("subject=customer,time=ts,amout=total", "amout"),
        ("subject=customer,subject=ts", "twice"),
        ("subject", "TARGET=COLUMN"),
        ("subject=,time=ts", "TARGET=COLUMN"),
        ("", "subject=COLUMN"),
    ],
)
def test_a_wrong_mapping_is_named(spec: str, named: str) -> None:
    with pytest.raises(MappingError, match=named):
        parse_mapping(spec, ["customer", "ts", "total"], source="file")


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.xlsx", b"", "xlsx"),
        ("a.csv", b"", "empty"),
        ("a.csv", HEADER.encode() + b"\nc,2026-01-31,\xff\n", "UTF-8"),
        ("a.csv.gz", b"not gzip", "a.csv.gz"),
        ("a.parquet", b"not parquet", "a.parquet"),
        ("a.ndjson", b"{}", "--map"),
        ("a.csv", HEADER.encode() + b'\n"c,2026-01-31,1', "a.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, named: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=named):
        list(read_events(tmp_path / name, MAP))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no file"):
        read_events(tmp_path / "a.csv", MAP)


@given(st.lists(st.tuples(st.integers(0, 50), st.binary(max_size=20)), max_size=60))
def test_the_spool_sorts_by_time_and_keeps_ties_in_order(pairs: list[tuple[int, bytes]]) -> None:
    added = [Good(line, at, value) for line, (at, value) in enumerate(pairs, 1)]
    with EventSpool() as spool:
        for each in added:
            spool.add(each)
        assert list(spool.in_order()) == sorted(added, key=lambda each: (each.at, each.line))
        assert list(spool.in_order(since=25)) == [
            each for each in spool.in_order() if each.at >= 25
        ]
