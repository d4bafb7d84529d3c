"""Decisions as they were made, for who looks at the past: simulations and exports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from sqlalchemy import Engine, select

from shared.adapters.sql.engine import reading
from shared.adapters.sql.tables import decisions, suppressions
from shared.domain.campaign_outputs import Decision
from shared.domain.simulation import Made

_decision: Final = msgspec.json.Decoder(Decision)
_PAGE: Final = 5_000


def decisions_between(engine: Engine, since: int | None, until: int) -> Iterator[Made]:
    """Yield decisions whose time is in [since, until), epoch ms, in the order they were made."""
    query = select(decisions.c.record, decisions.c.settled_at).where(decisions.c.at < until)
    if since is not None:
        query = query.where(decisions.c.at >= since)
    with reading(engine) as connection:
        rows = connection.execution_options(yield_per=_PAGE).execute(
            query.order_by(decisions.c.seq)
        )
        for record, settled_at in rows:
            yield Made(_decision.decode(record), settled_at)


def suppressed_customers(engine: Engine) -> frozenset[str]:
    """Return the customers on the suppression list."""
    with reading(engine) as connection:
        return frozenset(connection.execute(select(suppressions.c.customer)).scalars())
