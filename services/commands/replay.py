"""`tenure replay FILE`: history out of a file, through ingest, in the order of time."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer

from services.commands.history import HistoryFile, Mapping
from services.commands.progress import progress
from services.replay.client import IngestClient
from services.replay.pace import DaysPerSecond, EventsPerSecond, Pace, Unpaced
from services.replay.plan import Limits
from services.replay.service import Progress as Done
from services.replay.service import Replay
from shared.adapters.event_files import Bad, Good, read_events
from shared.adapters.event_spool import EventSpool
from shared.domain.errors import TenureError
from shared.domain.policy import DAY_MS
from shared.settings import load_settings

_SHOWN = 20


class BadLinesError(TenureError):
    """Lines of the file are no events, and nobody said to leave them out."""


class Rejects:
    """The lines that are left out: written down one by one, the first few also shown.

    Without a file they are only counted; then nothing may be sent.
    """

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file = file
        self.count = 0

    @property
    def keeps(self) -> bool:
        """Whether somebody asked for the lines to be left out and kept."""
        return self._file is not None

    def add(self, bad: Bad) -> None:
        """Take a line that is no event."""
        self.count += 1
        if self.count <= _SHOWN:
            remedy = f" {bad.remedy}." if bad.remedy else ""
            typer.echo(f"line {bad.line}: {bad.field}: {bad.reason}.{remedy}", err=True)
        elif self.count == _SHOWN + 1:
            typer.echo("...", err=True)
        if self._file is not None:
            self._file.write(msgspec.json.encode(bad) + b"\n")

    def sieve(self, lines: Iterator[Good | Bad]) -> Iterator[Good]:
        """Yield the events among the lines, and take the rest."""
        for line in lines:
            if isinstance(line, Bad):
                self.add(line)
            else:
                yield line


def replay(
    file: HistoryFile,
    *,
    mapping: Mapping = None,
    url: Annotated[
        str | None, typer.Option(help="Ingest's address [default: from the settings]")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="API key.", envvar="TENURE_API_KEY", show_default=False)
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="At most so many events a second.", min=0.001)
    ] = None,
    speed: Annotated[
        float | None, typer.Option(help="So many days of history a second.", min=0.001)
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", help="Leave out what was before (UTC).")
    ] = None,
    skip_bad: Annotated[
        Path | None,
        typer.Option(help="Leave bad lines out, and write them with their reasons to this file."),
    ] = None,
    ticks: Annotated[
        bool, typer.Option(help="Tell the passing of each day, so that silence is noticed.")
    ] = True,
) -> None:
    """Replay history through ingest: sorted by time, a day's silence included.

    Every line is checked before the first is sent. A time without an offset is UTC. An event
    without an id gets its line number: what is sent twice then counts once.
    """
    with ExitStack() as stack:
        rejects = Rejects(stack.enter_context(skip_bad.open("wb")) if skip_bad else None)
        spool = stack.enter_context(EventSpool())
        for event in rejects.sieve(read_events(file, mapping)):
            spool.add(event)
        if rejects.count and skip_bad is None:
            raise BadLinesError(
                f"{rejects.count} of {rejects.count + len(spool)} lines are no events, so nothing "
                "was sent. Mend them, or leave them out with --skip-bad FILE"
            )
        client = IngestClient(url or _default_url(), key=key)
        done = _run(spool, client, _pace(rate, speed), since=since, rejects=rejects, ticks=ticks)
    _report(done, rejects, skip_bad)


def _default_url() -> str:
    settings = load_settings()
    return f"http://{settings.ingest_host}:{settings.ingest_port}"


def _pace(rate: float | None, speed: float | None) -> Pace:
    if rate is not None and speed is not None:
        raise typer.BadParameter("give --rate or --speed, not both")
    if rate is not None:
        return EventsPerSecond(rate)
    return DaysPerSecond(speed) if speed is not None else Unpaced()


def _run(
    spool: EventSpool,
    client: IngestClient,
    pace: Pace,
    *,
    since: datetime | None,
    rejects: Rejects,
    ticks: bool,
) -> Done:
    start = None if since is None else round(since.replace(tzinfo=UTC).timestamp() * 1000)
    with progress("events", len(spool)) as show:
        sender = Replay(
            client,
            pace=pace,
            limits=Limits(tick_ms=DAY_MS if ticks else None),
            skip_refused=rejects.keeps,
            watch=lambda done: show(done.accepted + len(done.refused), _day(done.at)),
        )
        try:
            asyncio.run(_send(sender, client, spool.in_order(start)))
        except (TenureError, KeyboardInterrupt):
            typer.echo(_how_to_go_on(sender.progress), err=True)
            raise
    for bad in sender.progress.refused:
        rejects.add(bad)
    return sender.progress


async def _send(sender: Replay, client: IngestClient, events: Iterator[Good]) -> None:
    async with client:
        await sender.run(events)


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def _how_to_go_on(done: Done) -> str:
    if not done.at:
        return "Nothing was accepted."
    moment = datetime.fromtimestamp(done.at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{done.accepted} events were accepted. To go on, add --from {moment}"


def _report(done: Done, rejects: Rejects, skip_bad: Path | None) -> None:
    typer.echo(f"{done.accepted} events were accepted, up to {_day(done.at)}")
    if rejects.count:
        typer.echo(f"{rejects.count} lines were left out: see {skip_bad}")
