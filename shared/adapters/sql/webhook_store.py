"""What webhooks have to deliver: written with the outcome of the trigger, in its transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, delete, func, select, update

from shared.adapters.sql.bulk import upsert_rows
from shared.adapters.sql.engine import reading
from shared.adapters.sql.tables import decisions, webhook_deliveries, webhook_endpoints
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Settled
from shared.domain.webhooks import Endpoint, Standing

_decision: Final = msgspec.json.Decoder(Decision)
_c = webhook_deliveries.c


class Delivery(NamedTuple):
    """A trigger that an endpoint does not have, as far as we know; ``attempts`` failed so far."""

    decision: Decision
    attempts: int


class WebhookStore:
    """The database's side of webhooks.

    Parameters
    ----------
    engine
        An open database.
    endpoints
        Returns where triggers go now.

    """

    def __init__(self, engine: Engine, endpoints: Callable[[], Sequence[Endpoint]]) -> None:
        self._engine = engine
        self._endpoints = endpoints

    def add(self, connection: Connection, settled: Sequence[Settled], now: int) -> None:
        """Note what has to be delivered, in the transaction in which its outcome becomes final."""
        rows = [
            {
                "endpoint": endpoint.name,
                "decision": decision.id,
                "partition": each.row.partition,
                "attempts": 0,
                "next_at": now,
            }
            for each in settled
            if (decision := each.expired or each.row.decision) is not None
            for endpoint in self._endpoints()
            if endpoint.takes(decision)
        ]
        upsert_rows(connection, webhook_deliveries, rows, replace=False)

    def due(self, endpoint: str, partitions: Sequence[int], now: int, limit: int) -> list[Delivery]:
        """Return what an endpoint is to get now of some partitions, the longest due first."""
        query = (
            select(decisions.c.record, _c.attempts)
            .join(decisions, decisions.c.id == _c.decision)
            .where(_c.endpoint == endpoint, _c.partition.in_(partitions), _c.next_at <= now)
            .order_by(_c.next_at, decisions.c.seq)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [Delivery(_decision.decode(row[0]), row[1]) for row in connection.execute(query)]

    def done(self, endpoint: str, decision: str) -> None:
        """Forget a delivery: it arrived, or it is given up."""
        mine = (_c.endpoint == endpoint, _c.decision == decision)
        with self._engine.begin() as connection:
            connection.execute(delete(webhook_deliveries).where(*mine))

    def later(self, endpoint: str, decision: str, attempts: int, next_at: int) -> None:
        """Try a delivery again at a time (epoch ms)."""
        mine = (_c.endpoint == endpoint, _c.decision == decision)
        change = update(webhook_deliveries).where(*mine).values(attempts=attempts, next_at=next_at)
        with self._engine.begin() as connection:
            connection.execute(change)

    def standing(self, endpoint: Endpoint) -> Standing:
        """Return how an endpoint stands."""
        columns = [webhook_endpoints.c[each] for each in Standing.__struct_fields__]
        query = select(*columns).where(webhook_endpoints.c.endpoint == endpoint.name)
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        found = Standing(endpoint.url) if row is None else Standing(*row)
        return found if found.url == endpoint.url else Standing(endpoint.url)

    def stand(self, endpoint: str, standing: Standing) -> None:
        """Keep how an endpoint stands."""
        row = {"endpoint": endpoint, **msgspec.structs.asdict(standing)}
        with self._engine.begin() as connection:
            upsert_rows(connection, webhook_endpoints, [row])

    def waiting(self) -> dict[str, int]:
        """Return how many deliveries wait, by endpoint."""
        query = select(_c.endpoint, func.count()).group_by(_c.endpoint)
        with reading(self._engine) as connection:
            return {name: count for name, count in connection.execute(query)}  # noqa: C416  # rows
