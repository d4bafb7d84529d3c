"""Start everything, make everybody known, post, and wait for the last trigger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from services.latency.load import Load, Sender, post, seeds
from services.latency.watch import MissingError, Quantiles, Watch
from services.standalone.stack import Stack, throwaway

CAMPAIGNS: Final = "campaigns.yaml"
#: Welcomes who was known before and buys for the first time. Nobody is held out: a trigger each.
WELCOME: Final = """
campaigns:
- name: welcome
  state: live
  trigger: {enters: [onboarding], from: [prospect]}
  channel: email
  offer: introduction
  control: 0
"""
_SETTLED_S: Final = 120.0
_TIMEOUT_S: Final = 30.0

Say = Callable[[str], None]


async def measure(load: Load, say: Say = lambda _: None) -> list[Quantiles]:
    """Run a load through a Tenure of its own, and return how long its events took.

    Raises
    ------
    TenureError
        Something did not start, was not accepted, or did not come out.

    """
    files = {CAMPAIGNS: WELCOME}
    place = throwaway(files=files, campaigns_file=Path(CAMPAIGNS), log_level="WARNING")
    async with (
        Stack(place, say) as stack,
        Sender(stack.url("ingest")) as sender,
        _operator(stack) as operator,
    ):
        say(f"Making {load.customers + load.probes:,} customers known")
        for body in seeds(load):
            await sender.send(body)
        await _known(operator, load.customers + load.probes)
        say(f"{load.rate:,} events/s for {load.warm_up_s} + {load.seconds} s")
        return await _run(stack, sender, operator, load)


async def _run(
    stack: Stack, sender: Sender, operator: httpx.AsyncClient, load: Load
) -> list[Quantiles]:
    watch, stop = Watch(), asyncio.Event()
    watching = [
        asyncio.create_task(watch.follow(stack.settings, stop)),
        asyncio.create_task(watch.ask(operator, stop)),
    ]
    try:
        await post(sender, load, watch)
        await watch.drained()
    finally:
        stop.set()
        await asyncio.gather(*watching)
    return watch.quantiles()


def _operator(stack: Stack) -> httpx.AsyncClient:
    url = stack.url("campaigner")
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=_TIMEOUT_S)


async def _known(operator: httpx.AsyncClient, customers: int) -> None:
    """Return when the campaigner knows everybody."""
    try:
        async with asyncio.timeout(_SETTLED_S):
            while True:
                stages = (await operator.get("/v1/stages")).json()["stages"]
                if sum(stages.values()) >= customers:
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise MissingError(
            f"not all of {customers:,} customers were known within {_SETTLED_S:.0f} s: this "
            "machine does not keep up. Ask for fewer with --customers."
        ) from None
