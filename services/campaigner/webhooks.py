"""Triggers to webhooks, as Standard Webhooks has it: signed, retried, each endpoint for itself.

What is to be delivered stands in SQL since the transaction in which the trigger's outcome became
final, which is after Kafka had it. Each endpoint has a thread of its own: one that hangs keeps
nobody waiting but itself, and never Kafka. At least once, under the decision's id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from random import SystemRandom
from threading import Event, Thread
from typing import Final, NamedTuple

import httpx
import msgspec
import structlog
from standardwebhooks import Webhook

from services.campaigner.messages import rfc3339
from services.campaigner.ports import Clock
from services.campaigner.webhook_file import LiveWebhooks
from shared import metrics
from shared.adapters.sql.webhook_store import Delivery, WebhookStore
from shared.adapters.webhook_transport import ForbiddenAddressError, checked_client
from shared.domain.campaign_outputs import Decision, trigger_of
from shared.domain.campaign_state import Lease
from shared.domain.controls import Controls
from shared.domain.webhooks import Endpoint, Standing, failed, next_try

log = structlog.get_logger(__name__)

_PAGE: Final = 100
_IDLE_S: Final = 1.0
#: Between two looks at the file that names the endpoints.
_LOOK_S: Final = 1.0
_RETRY_S: Final = 5.0
#: An endpoint that is waited for when we stop is left behind: what it got, it gets again.
_GRACE_S: Final = 2.0
_random: Final = SystemRandom().random


class _Answer(NamedTuple):
    """What came of a try; ``status`` is ``None`` where nobody answered."""

    status: int | None
    reason: str

    @property
    def delivered(self) -> bool:
        """Whether the endpoint has it."""
        return self.status is not None and httpx.codes.is_success(self.status)


class Deliveries:
    """Delivers to one endpoint.

    Parameters
    ----------
    endpoint, store
        Where to, and what.
    leases, controls
        Return the partitions that are owned now, and what people have stopped.
    clock, random
        Epoch milliseconds; numbers in [0, 1).

    """

    def __init__(
        self,
        endpoint: Endpoint,
        store: WebhookStore,
        *,
        leases: Callable[[], list[Lease]],
        controls: Callable[[], Controls],
        clock: Clock,
        random: Callable[[], float] = _random,
    ) -> None:
        self._endpoint = endpoint
        self._store = store
        self._leases = leases
        self._controls = controls
        self._clock = clock
        self._random = random
        self._http = checked_client(allow_private=endpoint.allow_private, ca_file=endpoint.ca_file)
        self._webhook = Webhook(endpoint.secret)

    def run(self, stop: Event) -> None:
        """Deliver until ``stop`` is set."""
        with self._http:
            while not stop.is_set():
                try:
                    tried = self.deliver(stop)
                except Exception:
                    log.exception("webhook: the database does not answer, trying again")
                    stop.wait(_RETRY_S)
                else:
                    stop.wait(0 if tried else _IDLE_S)

    def deliver(self, stop: Event) -> int:
        """Try what is due once, and return how much that was."""
        name, standing = self._endpoint.name, self._store.standing(self._endpoint)
        metrics.WEBHOOK_WORKING.labels(name).set(standing.disabled_at is None)
        partitions = [each.partition for each in self._leases()]
        controls, tried = self._controls(), 0
        for each in self._store.due(name, partitions, self._clock(), _PAGE):
            if stop.is_set():
                break
            if self._clock() > each.decision.expires_at:
                self._end(each.decision, "expired")
            elif standing.disabled_at is None and not controls.keeps(each.decision):
                standing = self._try(each, standing)
            else:
                continue
            tried += 1
        return tried

    def _try(self, delivery: Delivery, standing: Standing) -> Standing:
        answer = self._send(delivery.decision, self._clock())
        if not answer.delivered:
            return self._fail(delivery, standing, answer)
        self._end(delivery.decision, "delivered")
        if standing.failures == 0:
            return standing
        self._store.stand(self._endpoint.name, Standing(self._endpoint.url))
        return Standing(self._endpoint.url)

    def _send(self, decision: Decision, now: int) -> _Answer:
        event = {
            "type": "tenure.trigger",
            "timestamp": rfc3339(decision.decided_at),
            "data": trigger_of(decision),
        }
        body = msgspec.json.encode(event)
        at = datetime.fromtimestamp(now // 1000, UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": decision.id,
            "webhook-timestamp": str(now // 1000),
            "webhook-signature": self._webhook.sign(decision.id, at, body.decode()),
        }
        url = self._endpoint.url
        try:
            # The body of the answer is not read: however long it is, we do not wait for it.
            with self._http.stream("POST", url, content=body, headers=headers) as answer:
                return _Answer(answer.status_code, f"answered {answer.status_code}")
        except (httpx.HTTPError, ForbiddenAddressError) as error:
            return _Answer(None, f"{type(error).__name__}: {error}")

    def _fail(self, delivery: Delivery, standing: Standing, answer: _Answer) -> Standing:
        name, decision, now = self._endpoint.name, delivery.decision, self._clock()
        attempts = delivery.attempts + 1
        again = next_try(attempts, now, self._random())
        log.warning("webhook failed", endpoint=name, decision=decision.id, reason=answer.reason)
        if again is None:
            self._end(decision, "given_up")
        else:
            metrics.WEBHOOK_TRIES.labels(name, "failed").inc()
            self._store.later(name, decision.id, attempts, again)
        after = failed(standing, answer.status, answer.reason, now)
        self._store.stand(name, after)
        if after.disabled_at is not None:
            metrics.WEBHOOK_WORKING.labels(name).set(0)
            log.error("webhook disabled", endpoint=name, reason=after.reason)
        return after

    def _end(self, decision: Decision, how: str) -> None:
        self._store.done(self._endpoint.name, decision.id)
        metrics.WEBHOOK_TRIES.labels(self._endpoint.name, how).inc()


class _Working(NamedTuple):
    thread: Thread
    stop: Event


class DeliverAll:
    """Delivers to each endpoint in a thread of its own, and follows the file that names them.

    Parameters
    ----------
    webhooks
        The file.
    deliveries
        Returns what delivers to an endpoint.
    every_s
        Between two looks at the file.

    """

    def __init__(
        self,
        webhooks: LiveWebhooks,
        deliveries: Callable[[Endpoint], Deliveries],
        *,
        every_s: float = _LOOK_S,
    ) -> None:
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._every_s = every_s
        self._working: dict[Endpoint, _Working] = {}

    def run(self, stop: Event) -> None:
        """Deliver until ``stop`` is set."""
        while True:
            self._follow()
            if stop.wait(self._every_s):
                break
            self._webhooks.look()
        self._end(list(self._working))

    def _follow(self) -> None:
        """Have a thread for each endpoint as it is now, and none for what it was."""
        wanted = self._webhooks.endpoints
        self._end([each for each in self._working if each not in wanted])
        for each in wanted:
            if each not in self._working:
                log.info("webhook", endpoint=each.name, url=each.url)
                stop = Event()
                run = self._deliveries(each).run
                thread = Thread(target=run, args=(stop,), name="webhook", daemon=True)
                thread.start()
                self._working[each] = _Working(thread, stop)

    def _end(self, endpoints: Sequence[Endpoint]) -> None:
        gone = [(each, self._working.pop(each)) for each in endpoints]
        for _, working in gone:
            working.stop.set()
        for endpoint, working in gone:
            working.thread.join(_GRACE_S)
            if all(each.name != endpoint.name for each in self._webhooks.endpoints):
                with suppress(KeyError):  # it never came to a try
                    metrics.WEBHOOK_WORKING.remove(endpoint.name)
