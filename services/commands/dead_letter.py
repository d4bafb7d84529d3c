"""`tenure dead-letter`: read what could not be processed, repair it, send it once more."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.dead_letters.box import LetterBox
from services.dead_letters.letters import Letter, State
from services.dead_letters.service import Outcome, UnknownLetterError, chosen, resend
from services.replay.client import IngestClient, Retries
from shared.adapters.event_files import Bad
from shared.settings import Settings, load_settings
from shared.topics import CUSTOMER_EVENTS

dead_letter = typer.Typer(
    name="dead-letter",
    help="Read, repair and replay what could not be processed.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@dead_letter.command("list")
def list_letters(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that were accepted since.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the oldest first: what is wrong, where it came from, what became of it."""
    letters = asyncio.run(_letters(load_settings())).values()
    found = [each for each in letters if everything or each.state is not State.ACCEPTED]
    if as_json:
        typer.echo(json.dumps([_described(each) for each in found], indent=2))
        return
    table = Table("Letter", "Written", "Field", "What is wrong", "From", "State")
    for each in found:
        facts = each.facts
        texts = (facts.get("field", ""), facts.get("reason", ""), each.origin, each.state)
        table.add_row(str(each.number), _time(each.at), *map(Text, texts))
    Console().print(table)
    counts = Counter(each.state for each in letters)
    typer.echo(", ".join(f"{counts[state]} {state}" for state in State))


@dead_letter.command()
def show(
    number: Annotated[int, typer.Argument(help="The letter, as `list` shows it.")],
    *,
    save: Annotated[
        Path | None, typer.Option(help="Write its bytes to this file, to be repaired.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a dead letter: what is wrong, what to do about it, and what it says."""
    (letter,) = chosen(asyncio.run(_letters(load_settings())), [number])
    if save is not None:
        save.write_bytes(letter.value)
    if as_json:
        typer.echo(json.dumps(_described(letter) | {"value": letter.text}, indent=2))
        return
    described = _described(letter)
    for name, value in described.items():
        typer.echo(f"{name:>9}  {value}")
    typer.echo(f"\n{letter.text}")


@dead_letter.command()
def replay(
    numbers: Annotated[list[int] | None, typer.Argument(help="Letters to send.")] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="All that were not accepted yet.")
    ] = False,
    repaired: Annotated[
        Path | None, typer.Option("--with", help="Send this file in place of the one letter.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what was accepted, or may have been.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="Ingest's address [default: from the settings].")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="API key.", envvar="TENURE_API_KEY", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters through ingest, which checks them, and note what became of each.

    Exit code 1 when some are still bad, or were left out.
    """
    wanted = list(numbers or ())
    if bool(wanted) == everything or (repaired is not None and len(wanted) != 1):
        raise UnknownLetterError(
            "Say which: numbers, or --all; with --with FILE exactly one number"
        )
    settings = load_settings()
    address = url or f"http://{settings.ingest_host}:{settings.ingest_port}"
    ingest = IngestClient(address, key=key, retries=Retries(patience_s=10))
    value = None if repaired is None else repaired.read_bytes()
    outcome = asyncio.run(_replay(settings, ingest, wanted, value, again=again))
    _report(outcome, as_json=as_json)
    if outcome.refused or outcome.left:
        raise typer.Exit(1)


async def _letters(settings: Settings) -> dict[int, Letter]:
    async with LetterBox(settings) as box:
        return await box.letters()


async def _replay(
    settings: Settings,
    ingest: IngestClient,
    numbers: list[int],
    value: bytes | None,
    *,
    again: bool,
) -> Outcome:
    async with LetterBox(settings) as box, ingest:
        letters = await box.letters()
        open_ = [each for each in letters.values() if again or each.state is not State.ACCEPTED]
        wanted = chosen(letters, numbers) if numbers else open_
        source = settings.topic(CUSTOMER_EVENTS.name)
        return await resend(wanted, box, ingest, source=source, repaired=value, again=again)


def _described(letter: Letter) -> dict[str, Any]:
    return {
        "number": letter.number,
        "at": _time(letter.at),
        **letter.facts,
        "bytes": len(letter.value),
        "state": letter.state,
    }


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")


def _report(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        bad = {number: list(map(_problem, some)) for number, some in outcome.refused.items()}
        found = {"accepted": outcome.accepted, "refused": bad, "left": outcome.left}
        typer.echo(json.dumps(found, indent=2))
        return
    for number, problems in outcome.refused.items():
        for each in problems:
            typer.echo(f"{number}: {each.field}: {each.reason}. {each.remedy}", err=True)
    for number, reason in outcome.left.items():
        typer.echo(f"{number}: left out, {reason}", err=True)
    counts = (len(outcome.accepted), len(outcome.refused), len(outcome.left))
    typer.echo("{} accepted, {} still bad, {} left out".format(*counts))


def _problem(bad: Bad) -> dict[str, str]:
    return {"field": bad.field, "reason": bad.reason, "remedy": bad.remedy}
