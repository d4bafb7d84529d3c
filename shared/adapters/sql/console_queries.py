"""What the operator console asks of the database beyond the operator API. Only reads."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from msgspec import Struct
from sqlalchemy import Engine, and_, func, select

from shared.adapters.sql.engine import reading
from shared.adapters.sql.tables import (
    approvals,
    campaign_versions,
    customers,
    decisions,
    positions,
    units,
)
from shared.domain.campaign_outputs import Arm, Outcome
from shared.domain.outputs import Stage

#: Bands of the risk: one for each multiple of .05, at which scores are sent.
BANDS: Final = 20


class Heard(NamedTuple):
    """A customer in a list."""

    customer: str
    stage: Stage
    risk: float
    at: int


class Enrolment(Struct, frozen=True):
    """A customer's first enrolment in a campaign, which its effect is counted by.

    ``retained`` and the rest are ``None`` until the window has ended (``ends_at``, epoch ms).
    """

    campaign: str
    arm: Arm
    at: int
    ends_at: int
    retained: bool | None
    revenue_gained: float | None
    margin_gained: float | None
    opted_out: bool | None


class Version(Struct, frozen=True):
    """A version of a campaign: what it says, since when, by whom, and who approved it."""

    version: str
    document: str
    loaded_at: int
    author: str | None
    approved_by: str | None


class ConsoleQueries:
    """Questions of the console's pages."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def now(self) -> int | None:
        """Return the time of the base: the latest of all partitions' (epoch ms)."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.max(positions.c.at))).scalar()

    def risks(self) -> dict[Stage, list[int]]:
        """Return how many customers of each stage are in each of the `BANDS` of risk."""
        risk, edges = customers.c.risk, [n / BANDS for n in range(1, BANDS)]
        within = [
            risk < edges[0],
            *(and_(risk >= low, risk < high) for low, high in pairwise(edges)),
            risk >= edges[-1],
        ]
        counts = [func.count().filter(each) for each in within]
        query = select(customers.c.stage, *counts).group_by(customers.c.stage)
        with reading(self._engine) as connection:
            return {stage: list(found) for stage, *found in connection.execute(query)}

    def decided_since(self, at: int) -> dict[Outcome, int]:
        """Return how many decisions of crossings since a time (epoch ms) have each outcome."""
        query = (
            select(decisions.c.outcome, func.count())
            .where(decisions.c.at >= at)
            .group_by(decisions.c.outcome)
        )
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def heard_last(self, limit: int) -> list[Heard]:
        """Return the customers with the latest scores."""
        c = customers.c
        query = select(c.customer, c.stage, c.risk, c.at).order_by(c.at.desc(), c.customer)
        with reading(self._engine) as connection:
            return [Heard(*row) for row in connection.execute(query.limit(limit))]

    def beginning_with(self, text: str, limit: int) -> list[Heard]:
        """Return the first customers whose ids begin with a text."""
        c = customers.c
        query = select(c.customer, c.stage, c.risk, c.at).where(c.customer >= text)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(c.customer).limit(limit)).all()
        return [Heard(*row) for row in rows if row.customer.startswith(text)]

    def enrolments(self, customer: str) -> list[Enrolment]:
        """Return a customer's first enrolments, and what came of them."""
        columns = [units.c[each] for each in Enrolment.__struct_fields__]
        query = select(*columns).where(units.c.customer == customer).order_by(units.c.at)
        with reading(self._engine) as connection:
            return [Enrolment(**row) for row in connection.execute(query).mappings()]

    def versions(self, campaign: str, limit: int) -> list[Version]:
        """Return the versions of a campaign, the newest first."""
        c = campaign_versions.c
        approved = and_(approvals.c.campaign == c.campaign, approvals.c.version == c.version)
        query = (
            select(c.version, c.document, c.loaded_at, c.author, approvals.c.by)
            .join_from(campaign_versions, approvals, approved, isouter=True)
            .where(c.campaign == campaign)
            .order_by(c.loaded_at.desc(), c.version)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [Version(*row) for row in connection.execute(query)]
