"""Puts a scorer together; every port can be given, so that tests replace what they need to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Protocol, TypeVar

import faust
import structlog
from aiokafka.partitioner import murmur2

from services.scorer.models import KafkaModels
from services.scorer.ports import StateStore
from services.scorer.service import Scorer
from services.scorer.state_store import KafkaStateStore
from services.scorer.status import Status
from services.scorer.stream import create_app
from services.scorer.ticks import KafkaTicks
from services.scorer.trainer import Trainer
from shared.adapters.health import Health, health_server
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: sysexits.h: an internal software error; the supervisor starts the process again.
EXIT_SOFTWARE = 70


def owner_of(partitions: int) -> Callable[[str], int]:
    """Return the Java client's default partitioner for so many partitions."""
    return lambda customer: (murmur2(customer.encode()) & 0x7FFFFFFF) % partitions


def end_process(error: BaseException) -> None:
    """End now, without committing or answering anything: what is durable is right."""
    log.critical("the scorer cannot go on", exc_info=error)
    os._exit(EXIT_SOFTWARE)


async def run(
    settings: Settings,
    *,
    store: StateStore | None = None,
    fail: Callable[[BaseException], None] = end_process,
) -> None:
    """Run a scorer until SIGTERM or SIGINT."""
    async with contextlib.AsyncExitStack() as stack:
        ticks = await _started(stack, KafkaTicks(settings))
        partitions = await ticks.partitions()
        models = await _started(stack, KafkaModels(settings))
        scorer = Scorer(
            store=store or KafkaStateStore(settings),
            models=models,
            ticks=ticks,
            owner=owner_of(partitions),
            policy=settings.policy(),
            tick_after_s=settings.tick_after_s,
            fail=fail,
        )
        trainer = Trainer(settings, models, fail)
        app = create_app(settings, scorer)
        health, status = Health(), Status(app, scorer, trainer, settings)
        health.add_check("stream", status.unready)
        pages = {"/status": status.page}
        await stack.enter_async_context(
            health_server(health, settings.scorer_host, settings.scorer_port, pages=pages)
        )
        for forever in (scorer.tick_forever(), trainer.run(), status.watch_forever(fail)):
            _background(stack, forever, fail)
        app.finalize()
        await app.start()
        await _stop_signal(app)
        health.drain()
        await scorer.release()
        await app.stop()


class _Service(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


_S = TypeVar("_S", bound=_Service)


async def _started(stack: contextlib.AsyncExitStack, service: _S) -> _S:
    await service.start()
    stack.push_async_callback(service.stop)
    return service


def _background(
    stack: contextlib.AsyncExitStack,
    forever: Coroutine[None, None, None],
    fail: Callable[[BaseException], None],
) -> None:
    task = asyncio.create_task(forever)
    task.add_done_callback(partial(_ended, fail))
    stack.callback(task.cancel)


def _ended(fail: Callable[[BaseException], None], task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        fail(error)


async def _stop_signal(app: faust.App) -> None:
    """Wait for a signal to stop, or for Faust to give up."""
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    waiting = [asyncio.create_task(asked.wait()), asyncio.create_task(app.wait_until_stopped())]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    if app.crashed:
        raise RuntimeError("the stream crashed") from app.crash_reason
