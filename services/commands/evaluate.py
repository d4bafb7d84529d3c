"""`tenure evaluate FILE`: how well a history would have been foreseen; in process, no broker."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from services.commands.history import HistoryFile, Mapping
from services.commands.progress import progress
from services.evaluate import asked
from services.evaluate.anchors import Anchors, check_batch_models
from services.evaluate.history import read_history
from services.evaluate.predictions import write_predictions
from services.evaluate.report import (
    EVERYBODY,
    Challenger,
    Cut,
    Figures,
    Report,
    Target,
    build_report,
)
from services.evaluate.service import Evaluated, EvaluationError, Span, evaluate, moment
from shared.adapters.event_spool import EventSpool
from shared.domain.customer import PENDING
from shared.domain.policy import DAY_MS, Policy
from shared.settings import load_settings

_FIGURES = ("auc", "pr_auc", "log_loss", "brier", "ece", "base_rate")


def evaluate_file(
    file: HistoryFile,
    *,
    mapping: Mapping = None,
    horizon: Annotated[
        str | None,
        typer.Option(help="Silence this long is churn: 28d, 13w [default: from the settings]"),
    ] = None,
    cadence: Annotated[
        str | None,
        typer.Option(help="Time between a customer's snapshots [default: from the settings]"),
    ] = None,
    cut: Annotated[
        str | None,
        typer.Option(
            help="Score the whole base at this time, with what was known by then (UTC without an "
            "offset).",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help="Leave out what came later [default: the end of the last event's day]",
            show_default=False,
        ),
    ] = None,
    customers: Annotated[
        str | None,
        typer.Option(
            help="Count only customers in whose id this regular expression is found; what is "
            "learned is learned of all.",
            show_default=False,
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Write what is said of each customer at the cut to this CSV file."),
    ] = None,
    anchors: Annotated[
        bool,
        typer.Option("--anchors", help="Beside MBG/NBD and LightGBM, retrained every 28 days."),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page with plots of AUC over time and of reliability."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell how well a history's churn would have been foreseen, event by event.

    The history is driven through the scorer's own code, and each prediction was made before its
    outcome was known.
    """
    began = time.perf_counter()
    if predictions is not None and cut is None:
        raise typer.BadParameter("--predictions needs --cut: when to predict")
    if anchors:
        check_batch_models()
    policy, counted = _policy(horizon, cadence), _pattern(customers)
    with EventSpool() as spool:
        read_history(file, mapping, spool, lambda line: typer.echo(line, err=True))
        at = _time("--cut", cut)
        span = _span(spool, until, at)
        with progress("events", len(spool)) as show:
            found = evaluate(
                spool.in_order(), policy, span, lambda done, now: show(done, moment(now)[:10])
            )
    _warn(found)
    if predictions is not None and at is not None:
        write_predictions(predictions, found.cuts[at])
    seconds = time.perf_counter() - began
    beside = Anchors(found.labels, policy.horizon_days, batch=anchors)
    report = build_report(found, beside, seconds, at, counted)
    if html is not None:
        from services.evaluate.html import write_page

        write_page(html, report, file.name)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        _print(report)


def _policy(horizon: str | None, cadence: str | None) -> Policy:
    policy = load_settings().policy()
    if horizon is not None:
        with _of("--horizon"):
            policy = replace(policy, horizon_ms=asked.days(horizon, asked.MOST_HORIZON) * DAY_MS)
    if cadence is not None:
        with _of("--cadence"):
            policy = replace(policy, cadence_days=asked.days(cadence, asked.MOST_CADENCE))
    return policy


def _pattern(customers: str | None) -> re.Pattern[str]:
    if customers is None:
        return EVERYBODY
    with _of("--customers"):
        return asked.pattern(customers)


def _time(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    with _of(option):
        return asked.time(text)


@contextmanager
def _of(option: str) -> Iterator[None]:
    """Say which option is wrong."""
    try:
        yield
    except ValueError as error:
        raise EvaluationError(f"{option} {error}") from None


def _span(spool: EventSpool, until: str | None, cut: int | None) -> Span:
    first, last = spool.span()
    cuts = () if cut is None else (cut,)
    return Span.of(first, last, until=_time("--until", until), cuts=cuts)


def _warn(found: Evaluated) -> None:
    """Say on stderr what of the figures is not as one might think."""
    if found.skipped:
        typer.echo(
            f"{found.skipped} snapshots were left out: a customer holds {PENDING} at a time. "
            "A longer --cadence leaves out none",
            err=True,
        )
    if any(cut.outcome is None for cut in found.cuts.values()):
        typer.echo(
            f"The horizon after the cut ends after {moment(found.span.until)}, where the record "
            "ends: what became of the customers is not known. If the record is complete up to a "
            "later time, say so with --until",
            err=True,
        )


def _print(report: Report) -> None:
    console = Console()
    console.print(
        f"{report.events:,} events of {report.customers:,} customers in {report.seconds:.1f} s; "
        f"horizon {report.horizon_days} days, a snapshot every {report.cadence_days} days"
    )
    if report.counted < report.customers:
        console.print(f"Counted are {report.counted:,} of them")
    targets: dict[str, Target | None] = {
        "Silent, prequential": report.prequential,
        "Closed, prequential": report.prequential_closed,
        "Silent, at the cut": report.cut,
        "Closed, at the cut": report.cut_closed,
        "Closed by the customer, prequential": report.prequential_voluntary,
        "Closed involuntarily, prequential": report.prequential_involuntary,
        "Closed by the customer, at the cut": report.cut_voluntary,
        "Closed involuntarily, at the cut": report.cut_involuntary,
    }
    for title, target in targets.items():
        if target is not None and target.n:
            console.print(_table(title, target))
            console.print(_reliability(target))
    for drift in report.drifts:
        console.print(
            f"Predictions got worse by {moment(drift.at)[:10]}: squared error {drift.before:.3f} "
            f"before, {drift.after:.3f} then"
        )
    console.print(_challenger(report.challenger))
    if isinstance(report.cut, Cut) and report.cut.spend is not None:
        spend = report.cut.spend
        console.print(
            f"Spend at the cut: {spend.predicted:,.0f} predicted, {spend.realised:,.0f} realised; "
            f"Spearman {_three(spend.spearman)}, the tenth expected to spend most "
            f"holds {_three(spend.top_decile_share)} of it.\n"
            f"Lifetime value at the cut: {spend.value:,.0f} in all; against what was then spent "
            f"Spearman {_three(spend.value_spearman)}, "
            f"top tenth {_three(spend.value_top_decile_share)}"
        )
    if isinstance(report.cut, Cut) and report.cut.visits is not None:
        visits = report.cut.visits
        console.print(
            f"Active days after the cut: {visits.predicted:,.0f} predicted, "
            f"{visits.realised:,.0f} came; Spearman {_three(visits.spearman)}, "
            f"off by {_three(visits.mean_error)} days a customer"
        )


def _challenger(found: Challenger) -> str:
    """Say what the challenger would have reached, and what the comparison came to."""
    compared = found.comparison
    figures = (found.shadow.auc, found.shadow.log_loss, found.shadow.ece)
    auc, loss, ece = map(_three, figures)
    said = [f"In the shadow: AUC {auc}, log loss {loss}, ECE {ece} (now {found.challenger})"]
    if compared["compared_horizons"]:
        mean, low, high = (
            f"{compared[each]:+.4f}" for each in ("difference", "difference_low", "difference_high")
        )
        horizons = f"{compared['compared_horizons']:.0f} horizons"
        said.append(f"Its log loss less the champion's by {horizons}: {mean} ({low} to {high})")
    promoted = "Promoted to champion on"
    said += [f"{promoted} {moment(one.at)[:10]}: {one.configuration}" for one in found.promotions]
    return "\n".join(said)


def _table(title: str, target: Target) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("", *_FIGURES, "n"):
        table.add_column(name.replace("_", " "), justify="right" if name else "left")
    rows: dict[str, Figures] = {
        "Tenure": target, "recent customers": target.recent_customers, **target.anchors
    }  # fmt: skip
    for name, each in rows.items():
        figures = [_three(getattr(each, figure)) for figure in _FIGURES]
        table.add_row(name.replace("_", " "), *figures, f"{each.n:,}")
    return table


def _reliability(target: Target) -> Table:
    table = Table("predicted", "came true", "n", title="Reliability", title_justify="left")
    for each in target.reliability:
        table.add_row(_three(each.predicted), _three(each.observed), f"{each.n:,}")
    return table


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
