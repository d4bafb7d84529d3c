"""What operators ask of the campaigner's database. Reading holds up no writer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Engine, Integer, cast, func, select

from shared.adapters.sql.budget_store import spent_in
from shared.adapters.sql.engine import reading
from shared.adapters.sql.tables import customers, decisions, units
from shared.domain.base_report import Member
from shared.domain.campaign_outputs import Arm, Decision, Outcome
from shared.domain.campaign_report import UnitSums
from shared.domain.outputs import Stage
from shared.domain.uplift import Sample


class StoredDecision(Decision, frozen=True):
    """A decision as stored.

    ``settled_at`` (epoch ms) is when its outcome became final: Kafka has it. ``None`` before.
    """

    settled_at: int | None = None


_stored = msgspec.json.Decoder(StoredDecision)
_member = msgspec.json.Decoder(Member)
_ROWS_AT_ONCE: Final = 5_000
_COLUMNS: Final = (decisions.c.record, decisions.c.settled_at)


class CampaignQueries:
    """Questions about customers and decisions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def profile(self, customer: str) -> str | None:
        """Return a customer's last score as JSON, ``None`` if unknown."""
        query = select(customers.c.score).where(customers.c.customer == customer)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar()

    def stages(self) -> dict[Stage, int]:
        """Return how many customers are in each stage."""
        query = select(customers.c.stage, func.count()).group_by(customers.c.stage)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return {row[0]: row[1] for row in rows}

    def members(self) -> list[Member]:
        """Return what the base report asks of every customer's last score."""
        query = select(customers.c.score).execution_options(yield_per=_ROWS_AT_ONCE)
        with reading(self._engine) as connection:
            return [_member.decode(score) for (score,) in connection.execute(query)]

    def outcomes(self) -> dict[str, dict[Outcome, int]]:
        """Return how many decisions of each campaign have each outcome."""
        names = (decisions.c.campaign, decisions.c.outcome)
        query = select(*names, func.count()).group_by(*names)
        counts: dict[str, dict[Outcome, int]] = {}
        with reading(self._engine) as connection:
            for campaign, outcome, count in connection.execute(query):
                counts.setdefault(campaign, {})[outcome] = count
        return counts

    def unit_sums(self, campaign: str | None = None) -> dict[str, list[UnitSums]]:
        """Return the sums of each campaign's units, by control share and arm."""
        groups = (units.c.campaign, units.c.arm, units.c.control_share)
        query = select(*groups, *_sums()).group_by(*groups).order_by(*groups)
        if campaign is not None:
            query = query.where(units.c.campaign == campaign)
        found: dict[str, list[UnitSums]] = {}
        with reading(self._engine) as connection:
            for name, arm, share, *sums in connection.execute(query):
                found.setdefault(name, []).append(_unit_sums(arm, share, *sums))
        return found

    def spent(self, periods: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Return what was used up of budgets by (scope, period), in millionths."""
        with reading(self._engine) as connection:
            return spent_in(connection, periods)

    def decision(self, decision_id: str) -> StoredDecision | None:
        """Return a decision, ``None`` if unknown."""
        with reading(self._engine) as connection:
            query = select(*_COLUMNS).where(decisions.c.id == decision_id)
            row = connection.execute(query).one_or_none()
        return None if row is None else _decoded(*row)

    def decisions(
        self,
        *,
        customer: str | None = None,
        campaign: str | None = None,
        outcome: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[StoredDecision]:
        """Return decisions, the newest first.

        Parameters
        ----------
        customer, campaign, outcome
            Only those.
        after
            Only those that are older than the decision of this id.
        limit
            At most so many.

        """
        wanted = {"customer": customer, "campaign": campaign, "outcome": outcome}
        conditions = [decisions.c[name] == value for name, value in wanted.items() if value]
        if after is not None:
            conditions.append(_older_than(after))
        query = select(*_COLUMNS).where(*conditions).order_by(decisions.c.seq.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [_decoded(*row) for row in connection.execute(query)]


def _sums() -> list[ColumnElement[Any]]:
    """Return what is summed up over units; those that are not measured yet are NULL."""
    c = units.c
    retained, measured = cast(c.retained, Integer), c.retained.is_not(None)
    sums = [
        func.sum(each)
        for gain in (c.revenue_gained, c.margin_gained)
        for each in (gain, gain * gain)
    ]
    cost = func.sum(c.cost).filter(measured)
    gone = cast(c.opted_out, Integer)
    opted_out = (func.count(gone), func.sum(gone))
    return [func.count(), func.count(retained), func.sum(retained), *sums, cost, *opted_out]


def _unit_sums(
    arm: Arm, share: float, enrolled: int, measured: int, retained: int | None, *rest: float | None
) -> UnitSums:
    stayed = float(retained or 0)
    revenue, revenue_squares, margin, margin_squares, cost, known, gone = (
        each or 0.0 for each in rest
    )
    return UnitSums(
        arm=arm,
        control_share=share,
        enrolled=enrolled,
        retained=Sample(measured, stayed, stayed),
        revenue=Sample(measured, revenue, revenue_squares),
        margin=Sample(measured, margin, margin_squares),
        cost=cost,
        opted_out=Sample(int(known), gone, gone),
    )


def _older_than(decision_id: str) -> ColumnElement[bool]:
    place = select(decisions.c.seq).where(decisions.c.id == decision_id).scalar_subquery()
    return decisions.c.seq < place


def _decoded(record: str, settled_at: int | None) -> StoredDecision:
    return msgspec.structs.replace(_stored.decode(record), settled_at=settled_at)
