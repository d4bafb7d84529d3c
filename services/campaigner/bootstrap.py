"""Chooses what the campaigner runs on, and runs it: consume, publish, answer, stop."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread

import structlog

from services.campaigner.bus import KafkaBus
from services.campaigner.console.http import AddConsole
from services.campaigner.console.parts import Parts
from services.campaigner.consumer import ScoreConsumer
from services.campaigner.controls.erasure import Eraser
from services.campaigner.controls.http import ControlApi, add_controls
from services.campaigner.erased import erased
from services.campaigner.gauges import Gauges
from services.campaigner.http import Api, create_app
from services.campaigner.messages import SOURCE
from services.campaigner.ports import Clock, Hook, no_hook
from services.campaigner.products import NextProducts
from services.campaigner.publisher import Publisher
from services.campaigner.quintiles import Quintiles
from services.campaigner.recall import recall
from services.campaigner.rules import LiveRules
from services.campaigner.service import Campaigner
from services.campaigner.webhook_file import LiveWebhooks
from services.campaigner.webhooks import DeliverAll, Deliveries
from shared.adapters.api_keys import Doorkeeper, doorkeeper
from shared.adapters.control_log import tell_every_partition
from shared.adapters.health import Health
from shared.adapters.http import HttpServer
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.console_queries import ConsoleQueries
from shared.adapters.sql.control_store import ControlStore
from shared.adapters.sql.engine import Database, open_database
from shared.adapters.sql.webhook_store import WebhookStore
from shared.adapters.tracing import Traces, open_traces
from shared.domain.rfm import Boundaries
from shared.schemas.control_events import boundaries_event
from shared.settings import Settings
from shared.topics import CUSTOMER_SCORES

log = structlog.get_logger(__name__)

#: sysexits.h: an internal software error; the supervisor starts the process again.
EXIT_SOFTWARE = 70

Work = Callable[[Event], None]


def wall_clock() -> int:
    """Return the time, epoch milliseconds."""
    return time.time_ns() // 1_000_000


def end_process(error: BaseException) -> None:
    """End now: what is committed is right, and the next start goes on from there."""
    log.critical("the campaigner cannot go on", exc_info=error)
    os._exit(EXIT_SOFTWARE)


@dataclass
class Campaigning:
    """A runnable campaigner.

    Attributes
    ----------
    health, server
        ``server.port`` is the one listened on, once running.
    consumer, publisher, gauges
        What works in threads of its own.

    """

    health: Health
    server: HttpServer
    database: Database
    bus: KafkaBus
    consumer: ScoreConsumer
    publisher: Publisher
    gauges: Gauges
    fail: Callable[[BaseException], None]
    webhooks: DeliverAll
    traces: Traces
    quintiles: Quintiles
    products: NextProducts

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set.

        Raises
        ------
        ListenError
            The address cannot be listened on.

        """
        ending = Event()
        works: dict[str, Work] = {"scores": self.consumer.run, "outbox": self.publisher.run}
        works["gauges"] = self.gauges.run
        works["webhooks"] = self.webhooks.run
        works["quintiles"] = self.quintiles.run
        works["products"] = self.products.run
        threads = [self._thread(name, work, ending) for name, work in works.items()]
        async with self.server:
            for thread in threads:
                thread.start()
            log.info("listening", port=self.server.port)
            await stop.wait()
            self.health.drain()
            ending.set()
            self.publisher.wake()
            await asyncio.to_thread(self._join, threads)
        log.info("stopped")

    def _thread(self, name: str, work: Work, ending: Event) -> Thread:
        def run() -> None:
            try:
                work(ending)
            except BaseException as error:  # noqa: BLE001  # a thread that is gone does no work
                self.fail(error)

        return Thread(target=run, name=name, daemon=True)

    def _join(self, threads: list[Thread]) -> None:
        for thread in threads:
            thread.join()
        self.bus.close()
        self.database.dispose()
        self.traces.close()


def _tell(settings: Settings, found: Boundaries) -> None:
    """Append boundaries of quintiles to the log of every partition."""
    asyncio.run(tell_every_partition(settings, boundaries_event(found, SOURCE)))


def build(
    settings: Settings,
    *,
    keys: Doorkeeper | None = None,
    console: AddConsole | None = None,
    clock: Clock = wall_clock,
    hook: Hook = no_hook,
    fail: Callable[[BaseException], None] = end_process,
) -> Campaigning:
    """Return a campaigner for these settings; call it where its event loop runs.

    Parameters
    ----------
    settings
        Kafka, database, campaign file, and where to listen.
    keys, clock
        Instead of the keys file and the wall clock.
    console
        Adds the operator console; ``None`` for none, as there is at most one in a process.
    hook
        Called with a name at places where a crash is interesting; for tests.
    fail
        Called with what ended a thread.

    Raises
    ------
    DatabaseError, CampaignFileError, WebhookFileError, KeysFileError, TracesError
        What is configured cannot be used.

    """
    keys = keys or doorkeeper(
        settings.campaigner_host,
        settings.campaigner_keys_file,
        setting="TENURE_CAMPAIGNER_KEYS_FILE",
    )
    traces = open_traces(settings, "campaigner")
    database = open_database(settings.database_url)
    source = settings.topic(CUSTOMER_SCORES.name)
    endpoints = LiveWebhooks(settings.webhooks_file)
    webhooks = WebhookStore(database, lambda: endpoints.endpoints)
    store = CampaignStore(database, source, hook=hook, deliver=webhooks.add)
    controls = ControlStore(database, clock)
    eraser = Eraser(settings, controls, clock)
    rules = LiveRules(
        settings.campaigns_file,
        settings.control_salt,
        keep=lambda book: controls.keep_versions(
            book.documents(), book.rails_document(), book.rails.author
        ),
        controls=controls.controls,
    )
    campaigner = Campaigner(
        store,
        rules,
        clock=clock,
        owner=f"{socket.gethostname()}/{os.getpid()}",
        # A bus is for one thread; this one is the publisher's no more than the other is ours.
        recall=partial(recall, KafkaBus(settings)),
        erased=partial(erased, KafkaBus(settings)),
        name=eraser.name,
        hook=hook,
        traces=traces,
    )
    bus = KafkaBus(settings)
    publisher = Publisher(
        store,
        bus,
        campaigner.leases,
        release=campaigner.release_enrolments,
        controls=controls.controls,
        told=campaigner.told,
        clock=clock,
        source=source,
        hook=hook,
        traces=traces,
    )
    campaigner.on_decided(publisher.wake)
    consumer = ScoreConsumer(settings, campaigner)
    queries = CampaignQueries(database)
    gauges = Gauges(store, queries, campaigner.leases, clock, lambda: rules.book)
    health = Health()
    health.add_check("scores", lambda: consumer.problem)
    health.add_check("outbox", lambda: publisher.problem)
    health.add_check("database", lambda: gauges.problem)
    products = NextProducts(queries.products, queries.now)
    api = Api(
        queries, lambda: rules.book, controls.controls, policy=settings.policy(), products=products
    )
    app = create_app(api, keys, health)
    add_controls(
        app,
        ControlApi(
            controls,
            lambda: rules.book,
            lambda name: keys.named(name) is not None,
            eraser=eraser,
        ),
        keys,
    )
    if console is not None:
        console(
            app,
            Parts(
                settings=settings,
                queries=queries,
                products=products,
                console_queries=ConsoleQueries(database),
                controls=controls,
                book=lambda: rules.book,
                knows=lambda name: keys.named(name) is not None,
                health=health,
                clock=clock,
            ),
            keys,
        )
    server = HttpServer(
        app, settings.campaigner_host, settings.campaigner_port, pages=console is not None
    )
    deliver = partial(
        Deliveries,
        store=webhooks,
        leases=campaigner.leases,
        controls=controls.controls,
        clock=clock,
    )
    return Campaigning(
        health,
        server,
        database,
        bus,
        consumer,
        publisher,
        gauges,
        fail,
        DeliverAll(endpoints, deliver),
        traces,
        Quintiles(queries.segments, campaigner.leases, partial(_tell, settings)),
        products,
    )
