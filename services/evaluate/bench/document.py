"""The tables of a bench, as a document in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from services.evaluate.bench.choice import differences, means
from services.evaluate.bench.findings import OURS, Bench, Beside, LeftOut, Measured, Promise, Row
from services.evaluate.bench.promises import ECE, ECE_LONG, ECE_PLANS, LONG, SLACK
from services.evaluate.bench.rows import DEPLOYED
from services.evaluate.report import Figures

#: Who is told of, and how documents call them.
SILENCE: Final = {
    OURS: "ours",
    "lightgbm": "LightGBM",
    "lightgbm_plan": "LightGBM, given plan and its age",
    "mbg_nbd": "MBG/NBD",
    "heuristic": "heuristic",
}
CLOSED: Final = {name: SILENCE[name] for name in (OURS, "lightgbm", "lightgbm_plan")}
FIGURES: Final = ("auc", "log_loss", "ece")
_CALLED: Final = {"auc": "AUC", "log_loss": "log loss", "ece": "ECE"}
_NONE: Final = "-"

Cells = Sequence[str]


def document(bench: Bench) -> str:
    """Return the document."""
    sections = (
        _introduction(bench),
        _silence(bench),
        _closed(bench),
        _promises(bench),
        _configurations(bench),
        _left_out(bench),
        _times(bench),
    )
    return "\n".join(sections)


def _introduction(bench: Bench) -> str:
    return f"""\
Made by `{bench.command}`; what is written here by hand is lost. How the model works, and what follows from these tables: [model.md](model.md).

# The churn model's tables

One configuration for all: {bench.champion}. AUC / log loss / ECE (ten bins). Prequential: each snapshot with the probability that was served when it was taken, once its horizon is over. At a cut: the whole base as that day begins, with what was known by then, measured by the horizon after it. LightGBM (200 trees on the same snapshots) and MBG/NBD are trained anew every 28 days and at the cut, on all that was known by then, and say what the heuristic says until they can. Where only some customers are counted, all were learned of, by each.
"""  # noqa: E501 - a paragraph is a line


def _silence(bench: Bench) -> str:
    rows = [
        [name, *_described(beside), *_best(beside, SILENCE)]
        for name, _, beside in _both(bench.measures)
    ]
    return f"## Silence\n\nThe best of each figure is bold.\n\n{_beside_table(SILENCE, rows)}"


def _closed(bench: Bench) -> str:
    rows = [
        [_at(each), *_described(each.said.closed_at_cut), *_best(each.said.closed_at_cut, CLOSED)]
        for each in bench.measures
        if each.said.closed_at_cut and each.said.closed_at_cut[OURS].base_rate
    ]
    told = _beside_table(CLOSED, rows) if rows else "No account was closed after a cut.\n"
    return f"## Accounts closed, at the cut\n\n{told}"


def _beside_table(names: dict[str, str], rows: Iterable[Cells]) -> str:
    return _table(["", "customers or labels", "base rate", *names.values()], rows)


def _described(beside: Beside) -> Cells:
    ours = beside[OURS]
    return [f"{ours.n:,}", _short(ours.base_rate)]


def _best(beside: Beside, names: Iterable[str]) -> list[str]:
    """Return the figures of each, those bold that are best as far as they are written."""
    told = {name: beside[name] for name in names if name in beside}
    best = {figure: _best_of(figure, told.values()) for figure in FIGURES}

    def cell(found: Figures) -> str:
        written = {figure: _short(getattr(found, figure)) for figure in FIGURES}
        return " / ".join(
            f"**{each}**" if each == best[figure] else each for figure, each in written.items()
        )

    return [cell(told[name]) if name in told else _NONE for name in names]


def _best_of(figure: str, told: Iterable[Figures]) -> str | None:
    found = [value for each in told if (value := getattr(each, figure)) is not None]
    pick: Callable[[list[float]], float] = max if figure == "auc" else min
    return _short(pick(found)) if found else None


def _promises(bench: Bench) -> str:
    columns = list(dict.fromkeys(map(_column, bench.promises)))
    rows = [
        [name, *(_kept(found.get(column)) for column in columns)]
        for name, found in _by_figures(bench).items()
    ]
    counts = [_count(each for each in bench.promises if _column(each) == one) for one in columns]
    text = f"""\
## Which promises hold

AUC at least that of the others; log loss at most LightGBM's + {_short(SLACK)}; ECE at most {_short(ECE)}, with horizons longer than {LONG} days {_short(ECE_LONG)}, and at cuts of customers on plans {_short(ECE_PLANS)}. Beside each is how far the figure is on the right side of its bound (+) or on the wrong one (-), before rounding.
"""  # noqa: E501 - a paragraph is a line
    return f"{text}\n{_table(['', *columns], [*rows, ['hold', *counts]])}"


def _by_figures(bench: Bench) -> dict[str, dict[str, Promise]]:
    """Return promises by the row and the column of their table."""
    kept: dict[tuple[str, bool], dict[str, Promise]] = {}
    for each in bench.promises:
        kept.setdefault((each.measure, each.at_cut), {})[_column(each)] = each
    return {
        label: kept.get((measured.name, at_cut), {})
        for measured in bench.measures
        for label, at_cut in _names(measured)
    }


def _column(promise: Promise) -> str:
    beside = [SILENCE[promise.beside]] if promise.beside else []
    return ": ".join([_CALLED[promise.figure], *beside])


def _kept(promise: Promise | None) -> str:
    if promise is None:
        return _NONE
    return f"{'yes' if promise.holds else '**no**'} {_signed(promise.distance)}"


def _count(promises: Iterable[Promise]) -> str:
    holds = [each.holds for each in promises]
    return f"{sum(holds)} of {len(holds)}"


def _configurations(bench: Bench) -> str:
    cut = [each for each in bench.measures if each.cut is not None]
    text = """\
## Configurations

Each row changes one thing of the configuration that is deployed; log loss / ECE. The last column: log loss less that of the one deployed, the mean over sets (a set's is the mean over its figures, prequential and at cuts alike).
"""  # noqa: E501 - a paragraph is a line
    prequential = _rows_table(bench, bench.measures, lambda row: row.prequential)
    if not cut:
        return f"{text}\n### Prequential\n\n{prequential}"
    at_cut = _rows_table(bench, cut, lambda row: row.at_cut)
    return f"{text}\n### Prequential\n\n{prequential}\n### At the cut\n\n{at_cut}"


def _rows_table(
    bench: Bench, measures: list[Measured], pick: Callable[[Row], Figures | None]
) -> str:
    mean = means(differences(bench.measures))
    rows = [
        [
            name,
            *(_loss_and_ece(pick(each.rows[name])) for each in measures),
            _signed(mean[name]) if name in mean else _NONE,
        ]
        for name in _configured(bench)
    ]
    return _table(["", *(each.name for each in measures), "log loss, all"], rows)


def _configured(bench: Bench) -> list[str]:
    return list(bench.measures[0].rows)


def _left_out(bench: Bench) -> str:
    text = """\
## Each set left out in turn

Which configuration the other sets choose: that with the lowest mean over them, as above. Then what it says of the set left out, beside the one deployed: log loss / ECE.
"""  # noqa: E501 - a paragraph is a line
    if not bench.left_out:
        return f"{text}\nThere are no two sets.\n"
    head = [
        "left out", "the others choose", "log loss on them", "on it", "figures of it", "chosen",
        DEPLOYED,
    ]  # fmt: skip
    return (
        f"{text}\n{_table(head, [row for each in bench.left_out for row in _without(bench, each)])}"
    )


def _without(bench: Bench, left: LeftOut) -> Iterator[Cells]:
    first = [left.data_set, left.row, _signed(left.others), _signed(left.here)]
    for measured in bench.measures:
        if measured.data_set == left.data_set:
            chosen, deployed = measured.rows[left.row], measured.rows[DEPLOYED]
            for name, at_cut in _names(measured):
                pair = [each.at_cut if at_cut else each.prequential for each in (chosen, deployed)]
                yield [*first, name, *map(_loss_and_ece, pair)]
                first = [""] * len(first)


def _times(bench: Bench) -> str:
    rows = [
        [
            each.run, f"{each.events:,}", f"{each.customers:,}", f"{each.deployed:.1f}",
            _NONE if each.others is None else f"{each.others:.1f}", f"{each.anchors:.1f}",
        ]
        for each in bench.times
    ]  # fmt: skip
    head = ["seconds", "events", "customers", DEPLOYED, "other configurations", "LightGBM, MBG/NBD"]
    text = (
        f"All of it took {bench.seconds / 60:.1f} minutes with {bench.processes} processes. "
        "Of one backtest, without reading the file:"
    )
    return f"## Times\n\n{text}\n\n{_table(head, rows)}"


def _both(measures: Iterable[Measured]) -> Iterator[tuple[str, bool, Beside]]:
    """Yield what is said prequentially and at the cut, with its name."""
    for each in measures:
        for name, at_cut in _names(each):
            yield name, at_cut, each.said.at_cut if at_cut else each.said.prequential


def _names(measured: Measured) -> Iterator[tuple[str, bool]]:
    """Yield what its rows are called, and whether they are at the cut."""
    yield f"{measured.name}, prequential", False
    if measured.cut is not None:
        yield _at(measured), True


def _at(measured: Measured) -> str:
    return f"{measured.name}, cut {measured.cut}"


def _loss_and_ece(found: Figures | None) -> str:
    return f"{_short(found.log_loss)} / {_short(found.ece)}" if found else _NONE


def _short(value: float | None) -> str:
    """Write a figure as tables do: without a zero before the point."""
    if value is None:
        return _NONE
    return f"{value:.3f}".removeprefix("0")


def _signed(value: float) -> str:
    text = f"{value:+.4f}"
    return text[0] + text[1:].removeprefix("0")


def _table(head: Cells, rows: Iterable[Cells]) -> str:
    lines = [_line(head), "|" + "---|" * len(head) + "\n", *map(_line, rows)]
    return "".join(lines)


def _line(cells: Cells) -> str:
    return "|" + "".join(f"{_cell(each)} |" for each in cells) + "\n"


def _cell(text: str) -> str:
    return f" {text}".rstrip().replace("|", "\\|")
