"""`tenure up`: broker and services on this machine, until Control-C."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from services.standalone.stack import Place, Stack
from shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from services.demo.data import Slice

BROKERS = "TENURE_KAFKA_BOOTSTRAP_SERVERS"
_PATHS = ("ingest_keys_file", "campaigner_keys_file", "campaigns_file")


def up(
    *,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything is kept [default: TENURE_DATA_DIR].")
    ] = None,
    broker_port: Annotated[
        int, typer.Option(help="Port of the embedded Kafka.", min=1, max=65535)
    ] = 9092,
    demo: Annotated[
        bool, typer.Option("--demo", help="Replay the demo's year first, if there is no data yet.")
    ] = False,
    days: Annotated[
        int | None, typer.Option(help="Only the first days of the demo's year.", min=1)
    ] = None,
    households: Annotated[
        int | None, typer.Option(help="Only so many of its households.", min=1)
    ] = None,
) -> None:
    """Run broker and services on this machine until Control-C; what they know stays.

    Starts its own Kafka unless TENURE_KAFKA_BOOTSTRAP_SERVERS names one. A service that crashes is
    started again. History that is replayed reaches nobody: its crossings have expired.
    """
    from services.demo.data import Slice
    from services.standalone.run import run

    console = Console()
    part = Slice(days, households) if demo else None
    place = lasting(load_settings(), data_dir, broker_port)
    try:
        run(_serve(place, console, part))
    except KeyboardInterrupt:
        console.print("Stopped. `tenure up` goes on where it was.")


def lasting(settings: Settings, data_dir: Path | None, broker_port: int) -> Place:
    """Return the place that the settings describe; services run in it, so paths are absolute."""
    directory = (data_dir or settings.data_dir).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    paths = {name: getattr(settings, name) for name in _PATHS}
    found = {name: path.absolute() for name, path in paths.items() if path is not None}
    return Place(
        settings.model_copy(update=found | {"data_dir": directory}),
        directory,
        broker_port=broker_port,
        own_broker=BROKERS not in os.environ,
    )


async def _serve(place: Place, console: Console, part: Slice | None) -> None:
    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    async with Stack(place, say) as stack:
        if part is not None:
            await _replay_demo(stack, console, part)
        say(welcome(stack, place))
        await asyncio.Event().wait()


async def _replay_demo(stack: Stack, console: Console, part: Slice) -> None:
    from services.demo.screen import screen
    from services.demo.service import replay_once

    with screen(console) as shown:
        await replay_once(stack, shown, part)


def welcome(stack: Stack, place: Place) -> str:
    """Say where things are, and what to try next."""
    ingest, campaigner = stack.url("ingest"), stack.url("campaigner")
    return f"""
Tenure is up; Control-C ends it, and what it knows stays in {place.directory}.
  ingest      {ingest}   POST /v1/events, /openapi.json, /metrics
  scorer      {stack.url("scorer")}   /status, /metrics
  console     {campaigner}/console   in a browser
  campaigner  {campaigner}   /v1/customers/ID, /v1/decisions, /openapi.json, /metrics
  Kafka       {stack.settings.kafka_bootstrap_servers}

Post an event, and look at the customer:
  curl {ingest}/v1/events -H 'Content-Type: application/cloudevents+json' -d '
    {{"specversion": "1.0", "type": "tenure.purchase", "source": "shop", "id": "1",
     "subject": "c-1", "time": "'$(date -u +%FT%TZ)'", "data": {{"amount": 25}}}}'
  curl {campaigner}/v1/customers/c-1
  {campaigner}/console/customers/c-1   the same in a browser, live
Replay history of your own:
  tenure replay FILE --map subject=customer,time=ts,amount=total
"""
