"""The file of data sets: what it may say, and that what is wrong is named with its place."""

from datetime import date
from pathlib import Path

import pytest

from services.evaluate.bench.sets import DataSet, Measure, Run, read_sets
from services.evaluate.service import EvaluationError
from shared.domain.policy import DAY_MS
from tests.documents.pages import ROOT

WHOLE = """
[[set]]
name = "shop"
file = "shop.csv"
map = "subject=customer"
[[set.run]]
name = "2 weeks"
horizon = "2w"
cadence = "7d"
measure = [{}, { name = "some", customers = "^c1", cut = 2024-12-24 }]
[[set]]
name = "grocer"
demo = true
[[set.run]]
horizon = "28d"
cadence = "28d"
"""


def read(tmp_path: Path, text: str) -> tuple[DataSet, ...]:
    file = tmp_path / "sets.toml"
    file.write_text(text)
    return read_sets(file)


def test_all_of_it_is_read(tmp_path: Path) -> None:
    shop, grocer = read(tmp_path, WHOLE)
    some = Measure("some", "^c1", date(2024, 12, 24))
    two = Run("2w", "7d", "2 weeks", (Measure(), some))
    assert shop == DataSet("shop", (two,), "shop.csv", "subject=customer")
    assert grocer == DataSet("grocer", (Run("28d", "28d"),), demo=True)
    assert (two.horizon_ms, two.cadence_days) == (14 * DAY_MS, 7)
    assert two.cuts == (20_081 * DAY_MS,)
    assert shop.label(two) == "shop, 2 weeks"
    assert shop.label(two, some) == "shop, 2 weeks, some"
    assert grocer.label(*grocer.runs, *grocer.runs[0].measures) == "grocer"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "shop"', "name = ", "(at line 3, column 8)"),
        ('name = "shop"', "", "missing required field `name` - at `$.set[0]`"),
        ('name = "shop"', 'name = ""', "name: it is empty - at `$.set[0]`"),
        ("demo = true", "demo = 1", "Expected `bool`, got `int` - at `$.set[1].demo`"),
        ("demo = true", "", "Say either `file` or `demo = true` - at `$.set[1]`"),
        ("demo = true", 'demo = true\nfile = "a.csv"', "Say either `file` or `demo = true`"),
        ("demo = true", 'demo = true\nmap = "a=b"', "map: it is for files"),
        ('name = "2 weeks"', 'nane = "2 weeks"', "unknown field `nane` - at `$.set[0].run[0]`"),
        ('"2w"', '"2 moons"', "horizon: '2 moons' is not between 1d and 730d. Write whole days"),
        ('"7d"', '"0d"', "cadence: '0d' is not between 1d and 365d"),
        ('"7d"', '"0d"', "at `$.set[0].run[0]`"),
        (
            "2024-12-24",
            '"Easter"',
            "Expected `date | null`, got `str` - at `$.set[0].run[0].measure[1].cut`",
        ),
        ("^c1", "c(", "customers: 'c(' is no regular expression"),
        ("measure = [{}, ", "measure = [{ nam = 1 }, ", "at `$.set[0].run[0].measure[0]`"),
        ('name = "grocer"', 'name = "shop"', "two sets are called 'shop'"),
        ("[{}, {", "[{ name = 'some' }, {", "two measures are called 'shop, 2 weeks, some'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert WHOLE.count(old) == 1
    with pytest.raises(EvaluationError) as refused:
        read(tmp_path, WHOLE.replace(old, new))
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / 'sets.toml'}: ")


def test_runs_need_names_where_there_are_several(tmp_path: Path) -> None:
    run = '[[set.run]]\nhorizon = "28d"\ncadence = "28d"\n'
    with pytest.raises(EvaluationError, match="two runs are called 'grocer'"):
        read(tmp_path, f"{WHOLE}{run}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("set = []", "set: there is none"),
        ("[[set]]\nname = 'a'\ndemo = true\nrun = []", "run: there is none"),
        ("", "missing required field `set`"),
    ],
)
def test_there_is_something_to_measure(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"cannot read .*none\.toml: No such file"):
        read_sets(tmp_path / "none.toml")


def test_the_sets_of_the_documents_can_be_read() -> None:
    assert len(read_sets(ROOT / "docs" / "model-sets.toml")) > 1
