"""`tenure model`: which versions of the model there are, and which one is to be served."""

from __future__ import annotations

import asyncio
import getpass
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.commands.scorer_status import ScorerUnreachableError, partitions_of
from shared.domain.churn import configuration_of
from shared.domain.errors import TenureError
from shared.domain.evaluation import Prequential
from shared.domain.learner import Snapshot
from shared.domain.markets import Markets
from shared.schemas.control_events import pin_event
from shared.settings import Settings, load_settings

app = typer.Typer(help="List the churn model's versions, and choose one.", no_args_is_help=True)

Url = Annotated[str | None, typer.Option(help="A scorer's address [default: the settings'].")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Version = Annotated[int, typer.Argument(help="A version; 0 is the heuristic.", min=0)]
Reason = Annotated[str, typer.Option(help="Why; kept in the log.")]

#: Of control events.
SOURCE = "tenure/cli"


class NoSuchModelError(TenureError):
    """A version that is not there, or cannot be trusted."""


@app.command("list")
def list_models(*, url: Url = None, as_json: AsJson = False) -> None:
    """List the versions that can be served, the newest last, and which are in use."""
    snapshots = _snapshots(load_settings())
    in_use = _in_use(url)
    if as_json:
        versions = [_summary(each) for each in snapshots.values()]
        typer.echo(msgspec.json.encode({"versions": versions, "in_use": in_use}).decode())
        return
    table = Table(
        "version", "labels until", "labels", "AUC", "log loss", "ECE", "challenger", "served by",
        box=None,
    )  # fmt: skip
    for each in snapshots.values():
        found = _summary(each)
        figures = [f"{found[name]:.3f}" for name in ("auc", "log_loss", "ece")]
        shadow = str(each.comparison.difference()) + (" promoted" if _promoted(each) else "")
        use = _use(each.version, in_use)
        table.add_row(str(each.version), found["at"], f"{each.labels:,}", *figures, shadow, use)
    Console().print(table)
    for line in _remarks(snapshots, in_use):
        typer.echo(line)


@app.command()
def show(version: Version, *, as_json: AsJson = False) -> None:
    """Show how good a version was when it was published, in all, by probability and by market."""
    snapshot = _wanted(_snapshots(load_settings()), version)
    found = _summary(snapshot) | {
        "reliability": _metrics(snapshot).recent().reliability(),
        "markets": Markets.load(snapshot.markets).report(),
    }
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    table = Table("what", "", box=None, show_header=False)
    for name, value in (found | found["challenger"]).items():
        if not isinstance(value, list | dict):
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)
    reliability = Table("labels", "mean predicted", "came true", box=None)
    for labels, predicted, observed in found["reliability"]:
        reliability.add_row(f"{labels:,}", f"{predicted:.3f}", f"{observed:.3f}")
    Console().print(reliability)
    Console().print(_by_market(found["markets"]))


def _by_market(markets: dict[str, dict[str, float]]) -> Table:
    table = Table("market", "labels", "silent", "AUC", "log loss", "ECE", box=None)
    for market, found in markets.items():
        figures = [f"{found[name]:.3f}" for name in ("base_rate", "auc", "log_loss", "ece")]
        table.add_row(escape(market), f"{found['n']:,}", *figures)
    return table


@app.command()
def rollback(version: Version, *, reason: Reason) -> None:
    """Serve an older version from now on, until `tenure model unpin`."""
    _pin(version, reason)


@app.command()
def pin(version: Version, *, reason: Reason = "") -> None:
    """Serve this version, whatever the trainer publishes, until `tenure model unpin`."""
    _pin(version, reason)


@app.command()
def unpin(*, reason: Reason = "") -> None:
    """Serve the newest version again."""
    told = _tell(None, reason)
    typer.echo(f"The log of {told} partitions says so: the newest version is served again.")


def _pin(version: int, reason: str) -> None:
    if version:
        _wanted(_snapshots(load_settings()), version)
    told = _tell(version, reason)
    typer.echo(
        f"The log of {told} partitions says so: version {version} is served until "
        "`tenure model unpin`. The trainer goes on learning."
    )


def _tell(version: int | None, reason: str) -> int:
    from shared.adapters.control_log import tell_every_partition

    at = time.time_ns() // 1_000_000
    event = pin_event(version, at, getpass.getuser(), reason, SOURCE)
    return asyncio.run(tell_every_partition(load_settings(), event, pinned=version))


def _snapshots(settings: Settings) -> dict[int, Snapshot]:
    """Return the trusted versions by number, the oldest first."""
    from services.scorer.models import KafkaModels
    from shared.adapters.kafka_connection import try_access

    async def read() -> dict[int, Snapshot]:
        await try_access(settings)
        models = KafkaModels(settings)
        try:
            await models.start()
            return {one.version: _slim(one) async for one in models.each()}
        finally:
            await models.stop()

    return asyncio.run(read())


def _slim(snapshot: Snapshot) -> Snapshot:
    """Leave out what nobody is shown: of each of hundreds of versions it may be megabytes."""
    model, challenger = (
        {name: value for name, value in each.items() if name in {"version", "configuration"}}
        for each in (snapshot.model, snapshot.challenger)
    )
    return replace(snapshot, model=model, challenger=challenger, drift={})


def _wanted(snapshots: dict[int, Snapshot], version: int) -> Snapshot:
    if version not in snapshots:
        known = f"from {min(snapshots)} to {max(snapshots)}" if snapshots else "not any yet"
        raise NoSuchModelError(
            f"no version {version} that can be trusted: there are {known}. "
            "`tenure model list` shows them"
        )
    return snapshots[version]


def _metrics(snapshot: Snapshot) -> Prequential:
    return Prequential.load(snapshot.metrics)


def _summary(snapshot: Snapshot) -> dict[str, Any]:
    """Return how good a version was over the labels before it.

    Over all labels since the first, what it learned of late would not show.
    """
    at = datetime.fromtimestamp(snapshot.at / 1000, UTC)
    return {
        "version": snapshot.version,
        "at": f"{at:%Y-%m-%d %H:%M}",
        "labels": snapshot.labels,
        **_metrics(snapshot).recent().report(),
        "configuration": _configuration(snapshot.model),
        "challenger": {
            "challenger": _configuration(snapshot.challenger),
            **snapshot.comparison.report(),
            "promotions": len(snapshot.promotions),
        },
    }


def _configuration(model: dict[str, Any]) -> str | None:
    """Return how a dumped model learns; None where there is none, as in the first snapshots."""
    return str(configuration_of(model)) if model else None


def _promoted(snapshot: Snapshot) -> bool:
    """Tell whether it is the first version of a challenger that took the champion's place."""
    return any(each.version == snapshot.version for each in snapshot.promotions)


def _in_use(url: str | None) -> dict[str, Any] | None:
    """Return what each partition serves; None where no scorer answers."""
    try:
        found = partitions_of(url)
    except ScorerUnreachableError:
        return None
    return {
        number: {"version": each["model"], "pinned": each["serving"]["pinned"]}
        for number, each in found.items()
    }


def _use(version: int, in_use: dict[str, Any] | None) -> str:
    serving = [each for each in (in_use or {}).values() if each["version"] == version]
    return f"{len(serving)} of {len(in_use or {})} partitions" if serving else ""


def _remarks(snapshots: dict[int, Snapshot], in_use: dict[str, Any] | None) -> list[str]:
    remarks = []
    if not snapshots:
        remarks.append("No version yet: the stated heuristic is served (version 0).")
    if in_use is None:
        remarks.append("No scorer answers, so nobody says which is served. --url names one.")
    pinned = {each["pinned"] for each in (in_use or {}).values()} - {None}
    if pinned:
        remarks.append(
            f"Pinned: {', '.join(map(str, sorted(pinned)))}. `tenure model unpin` ends it."
        )
    return remarks
