"""`tenure flows`: how customers move between stages, from the log of transitions."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from aiokafka import TopicPartition
from rich.console import Console
from rich.table import Table

from services.scorer.state_store import read_to_end
from shared import topics
from shared.adapters.kafka_connection import try_access
from shared.domain.flows import Flows
from shared.domain.flows import flows as added_up
from shared.domain.lifecycle import STAGES
from shared.domain.outputs import Transition
from shared.settings import Settings, load_settings

_decode = msgspec.json.Decoder(Transition).decode


def flows(
    *,
    since: Annotated[
        datetime | None, typer.Option(help="Leave out earlier moves (UTC).", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show moves between stages, how long a stage lasted, and how many were won back."""
    start = 0 if since is None else round(since.replace(tzinfo=UTC).timestamp() * 1000)
    moves = asyncio.run(read_moves(load_settings()))
    found = added_up(each for each in moves if each.at >= start)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _print(found)


async def read_moves(settings: Settings) -> list[Transition]:
    """Return the transitions that the topic holds now.

    Raises
    ------
    KafkaAccessError
        With the reason and the remedy.

    """
    await try_access(settings)
    name, moves = settings.topic(topics.LIFECYCLE_TRANSITIONS.name), list[Transition]()
    for number in range(settings.partitions):
        async with aclosing(read_to_end(settings, TopicPartition(name, number))) as records:
            moves += [_decode(value) async for _, value in records if value is not None]
    return moves


def _print(found: Flows) -> None:
    if found.first is None or found.last is None:
        typer.echo("No moves between stages in that time.")
        return
    table = Table("left", "times", "median days", *STAGES, box=None, pad_edge=False)
    for each in found.stages:
        counts = [f"{each.to[stage]:,}" if stage in each.to else "" for stage in STAGES]
        table.add_row(each.stage, f"{each.moves:,}", f"{each.median_days:,.1f}", *counts)
    Console().print(table)
    typer.echo(
        f"{found.customers:,} customers moved, {_day(found.first)} to {_day(found.last)}. "
        f"Lapsed {found.lapsed:,} times, won back {found.won_back:,} of them{_reach(found)}."
    )


def _reach(found: Flows) -> str:
    if found.win_back_reach is None or found.median_days_to_win_back is None:
        return ""
    return f" ({found.win_back_reach:.1%}, after {found.median_days_to_win_back:,.1f} days)"


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
