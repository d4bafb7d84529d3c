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
from services.scorer.source_log import KafkaSourceLog
from services.scorer.state_store import KafkaStateStore
from services.scorer.status import Status
from services.scorer.stream import create_app
from services.scorer.ticks import KafkaTicks
from services.scorer.trainer import Trainer
from services.scorer.upkeep import Upkeep, pinned_versions
from shared import metrics, topics
from shared.adapters.health import Health, health_server
from shared.adapters.kafka_admin import topic_admin
from shared.adapters.tracing import open_traces
from shared.domain.errors import TenureError
from shared.domain.scoring import cold_model
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: sysexits.h: an internal software error; the supervisor starts the process again.
EXIT_SOFTWARE = 70


class UnfitTopicsError(TenureError):
    """Topics are missing, or their partitions do not fit together."""


class StreamCrashedError(TenureError):
    """Faust gave up."""


def owner_of(partitions: int) -> Callable[[str], int]:
    """Return the Java client's default partitioner for so many partitions."""
    return lambda customer: (murmur2(customer.encode()) & 0x7FFFFFFF) % partitions


def require_topics(settings: Settings) -> None:
    """Check that what the scorer reads and writes is there; blocks for as long as Kafka takes.

    Raises
    ------
    UnfitTopicsError
        Naming each topic and what to do about it.

    """
    events = settings.topic(topics.CUSTOMER_EVENTS.name)
    with topic_admin(settings) as admin:
        differences = admin.check().differences
    unfit = [
        f"{one.topic}: {one.what}, expected {one.expected}. {one.remedy}"
        for one in differences
        # How many partitions customer-events has is its own affair: the others follow it.
        if one.what == "missing" or (one.what == "partitions" and one.topic != events)
    ]
    if unfit:
        raise UnfitTopicsError("Kafka's topics do not fit.\n" + "\n".join(unfit))


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
    """Run a scorer until SIGTERM or SIGINT.

    Raises
    ------
    UnfitTopicsError
        Topics are missing, or do not fit together; nothing was started.

    """
    await asyncio.to_thread(require_topics, settings)
    # Imports River, which takes seconds: before the group counts on us, and off the event loop.
    await asyncio.to_thread(cold_model, settings.horizon_days)
    async with contextlib.AsyncExitStack() as stack:
        ticks = await _started(stack, KafkaTicks(settings))
        models = await _started(stack, KafkaModels(settings))
        source = await _started(stack, KafkaSourceLog(settings))
        traces = open_traces(settings, "scorer")
        stack.callback(traces.close)
        scorer = Scorer(
            store=store or KafkaStateStore(settings),
            models=models,
            source=source,
            ticks=ticks,
            owner=owner_of(await ticks.partitions()),
            policy=settings.policy(),
            tick_after_s=settings.tick_after_s,
            fail=fail,
            traces=traces,
        )
        upkeep = Upkeep(models, source, lambda: pinned_versions(scorer))
        trainer = Trainer(settings, models, upkeep)
        app = create_app(settings, scorer)
        health, status = Health(), Status(app, scorer, trainer, settings)
        health.add_check("stream", status.unready)
        health.add_check("kafka", lambda: status.outage)
        pages = {"/status": status.page}
        await stack.enter_async_context(
            health_server(
                health,
                settings.scorer_host,
                settings.scorer_port,
                pages=pages,
                registry=metrics.of("scorer"),
            )
        )
        watches = status.watch_forever(fail), status.knock_forever()
        for forever in (scorer.tick_forever(), trainer.run(), *watches):
            _background(stack, forever, fail)
        app.finalize()
        await _serve(app, fail)
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
    stack.push_async_callback(_cancelled, task)


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and see it out, before what it uses is closed."""
    task.cancel()
    await asyncio.wait([task])


def _ended(fail: Callable[[BaseException], None], task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        fail(error)


async def _serve(app: faust.App, fail: Callable[[BaseException], None]) -> None:
    """Run the stream until a signal asks to stop; a stream that crashed ends the process."""
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    try:
        await app.start()
        await _first(asked.wait(), app.wait_until_stopped())
        _raise_crash(app)
    except Exception as error:
        # Faust's threads would keep the process from ending by itself.
        fail(error)
        raise


def _raise_crash(app: faust.App) -> None:
    if app.crashed:
        raise StreamCrashedError(repr(app.crash_reason)) from app.crash_reason


async def _first(*waits: Coroutine[None, None, object]) -> None:
    """Wait for the first, and drop the others."""
    tasks = [asyncio.create_task(one) for one in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
