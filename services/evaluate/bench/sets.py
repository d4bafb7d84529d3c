"""The file of data sets: what is read, and what is measured of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import msgspec
from msgspec import Struct, field

from services.evaluate import asked
from services.evaluate.service import EvaluationError
from shared.domain.policy import DAY_MS


@contextmanager
def _of(name: str) -> Iterator[None]:
    """Say which field is wrong; msgspec adds where it stands."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


class Measure(Struct, frozen=True, forbid_unknown_fields=True):
    """One row of figures.

    Attributes
    ----------
    customers
        Only customers are counted in whose ids this regular expression is found.
    cut
        The whole base is scored as this day begins (UTC); without it, figures are prequential only.

    """

    name: str = ""
    customers: str = ""
    cut: date | None = None

    def __post_init__(self) -> None:
        """Check what is not said by types."""
        with _of("customers"):
            asked.pattern(self.customers)

    @property
    def cut_ms(self) -> int | None:
        """The cut in milliseconds since 1970."""
        if self.cut is None:
            return None
        return asked.time(self.cut.isoformat())


class Run(Struct, frozen=True, forbid_unknown_fields=True):
    """One backtest: horizon and cadence, like 13w and 28d."""

    horizon: str
    cadence: str
    name: str = ""
    measures: tuple[Measure, ...] = field(name="measure", default=(Measure(),))

    def __post_init__(self) -> None:
        """Check what is not said by types."""
        with _of("horizon"):
            asked.days(self.horizon, asked.MOST_HORIZON)
        with _of("cadence"):
            asked.days(self.cadence, asked.MOST_CADENCE)
        if not self.measures:
            raise ValueError("measure: there is none. Leave it out to measure all customers")

    @property
    def horizon_ms(self) -> int:
        """H in milliseconds."""
        return asked.days(self.horizon, asked.MOST_HORIZON) * DAY_MS

    @property
    def cadence_days(self) -> int:
        """Days between a customer's snapshots."""
        return asked.days(self.cadence, asked.MOST_CADENCE)

    @property
    def cuts(self) -> tuple[int, ...]:
        """All cuts of its measures, in milliseconds since 1970."""
        return tuple(sorted({each.cut_ms for each in self.measures if each.cut_ms is not None}))


class DataSet(Struct, frozen=True, forbid_unknown_fields=True):
    """A history, and the backtests on it: what is left out in turn.

    Attributes
    ----------
    file, mapping
        As of `tenure evaluate`; the file is named from the folder of data.
    demo
        The purchases of the demo's year in place of a file.

    """

    name: str
    runs: tuple[Run, ...] = field(name="run")
    file: str | None = None
    mapping: str | None = field(name="map", default=None)
    demo: bool = False

    def __post_init__(self) -> None:
        """Check what is not said by types."""
        if not self.name:
            raise ValueError("name: it is empty")
        if self.demo == (self.file is not None):
            raise ValueError("Say either `file` or `demo = true`")
        if self.demo and self.mapping is not None:
            raise ValueError("map: it is for files; leave it out")
        if not self.runs:
            raise ValueError("run: there is none. Add a [[set.run]] with horizon and cadence")

    def label(self, run: Run, measure: Measure | None = None) -> str:
        """Return what a backtest, or a measure of it, is called."""
        names = (self.name, run.name, measure.name if measure else "")
        return ", ".join(each for each in names if each)


class Sets(Struct, frozen=True, forbid_unknown_fields=True):
    """All of the file."""

    sets: tuple[DataSet, ...] = field(name="set")

    def __post_init__(self) -> None:
        """Check that there are some, each with a name of its own."""
        if not self.sets:
            raise ValueError("set: there is none")
        _differ("sets", (each.name for each in self.sets))
        _differ("runs", (each.label(run) for each in self.sets for run in each.runs))
        _differ(
            "measures",
            (
                each.label(run, measure)
                for each in self.sets
                for run in each.runs
                for measure in run.measures
            ),
        )


def read_sets(file: Path) -> tuple[DataSet, ...]:
    """Read a file of data sets.

    Raises
    ------
    EvaluationError
        It cannot be used; the message says where it is wrong.

    """
    try:
        return msgspec.toml.decode(file.read_bytes(), type=Sets).sets
    except OSError as error:
        raise EvaluationError(f"cannot read {file}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{file}: {error}") from None


def _differ(what: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"two {what} are called {twice[0]!r}. Give each a name of its own")
