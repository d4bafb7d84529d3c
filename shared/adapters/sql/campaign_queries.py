"""What operators ask of the campaigner's database. Reading holds up no writer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Engine, Integer, case, cast, func, select

from shared.adapters.sql.base_store import BaseStore
from shared.adapters.sql.budget_store import spent_in
from shared.adapters.sql.engine import reading
from shared.adapters.sql.lead_store import LeadStore
from shared.adapters.sql.product_store import ProductStore
from shared.adapters.sql.segment_store import SegmentStore
from shared.adapters.sql.tables import customers, decisions, positions, units
from shared.domain.acquisition import Acquired
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
_acquired = msgspec.json.Decoder(Acquired)
_ROWS_AT_ONCE: Final = 5_000
#: What is known of a unit once it is measured: yes or no, and amounts.
_FLAGS: Final = (units.c.retained, units.c.opted_out, units.c.has_accepted, units.c.has_complained)
_AMOUNTS: Final = (
    units.c.revenue_gained, units.c.margin_gained, units.c.clv_gained, units.c.rating,
)  # fmt: skip
_COLUMNS: Final = (decisions.c.record, decisions.c.settled_at)


class CampaignQueries:
    """Questions about customers and decisions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: Questions about segments.
        self.segments = SegmentStore(engine)
        #: Questions about what customers hold, and about leads.
        self.products = ProductStore(engine)
        self.leads = LeadStore(engine)
        #: Questions about the base over time.
        self.base = BaseStore(engine)

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

    def acquired(self) -> list[Acquired]:
        """Return what cohorts and sources ask of every customer's last score."""
        query = select(customers.c.score).execution_options(yield_per=_ROWS_AT_ONCE)
        with reading(self._engine) as connection:
            return [_acquired.decode(score) for (score,) in connection.execute(query)]

    def now(self) -> int:
        """Return the time of the base: the latest of all partitions' (epoch ms), 0 before any."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.max(positions.c.at))).scalar() or 0

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
        """Return the sums of each campaign's units, by offer, control share and arm."""
        groups = (units.c.campaign, units.c.arm, units.c.control_share, units.c.offer)
        query = select(*groups, *_sums()).group_by(*groups).order_by(*groups)
        if campaign is not None:
            query = query.where(units.c.campaign == campaign)
        found: dict[str, list[UnitSums]] = {}
        with reading(self._engine) as connection:
            for name, arm, share, offer, *sums in connection.execute(query):
                found.setdefault(name, []).append(_unit_sums(arm, share, offer, sums))
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
    measured = c.retained.is_not(None)
    cost = c.cost + case((c.has_accepted, c.acceptance_cost), else_=0.0)
    told = [
        each for known in _FLAGS for each in (func.count(known), func.sum(cast(known, Integer)))
    ]
    gained = [
        each
        for known in _AMOUNTS
        for each in (func.count(known), func.sum(known), func.sum(known * known))
    ]
    return [func.count(), func.sum(cost).filter(measured), *told, *gained]


def _unit_sums(arm: Arm, share: float, offer: str, sums: Sequence[float | None]) -> UnitSums:
    enrolled, cost, *rest = (each or 0.0 for each in sums)
    flags, amounts = rest[: 2 * len(_FLAGS)], rest[2 * len(_FLAGS) :]
    # The square of 0 is 0, and of 1 is 1.
    retained, opted_out, accepted, complained = (
        Sample(int(n), float(total), float(total)) for n, total in _by(2, flags)
    )
    revenue, margin, clv, rating = (
        Sample(int(n), total, squares) for n, total, squares in _by(3, amounts)
    )
    return UnitSums(
        arm=arm,
        control_share=share,
        enrolled=int(enrolled),
        retained=retained,
        revenue=revenue,
        margin=margin,
        cost=cost,
        opted_out=opted_out,
        clv=clv,
        accepted=accepted,
        complained=complained,
        rating=rating,
        offer=offer,
    )


def _by(size: int, values: Sequence[float]) -> Iterator[Sequence[float]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _older_than(decision_id: str) -> ColumnElement[bool]:
    place = select(decisions.c.seq).where(decisions.c.id == decision_id).scalar_subquery()
    return decisions.c.seq < place


def _decoded(record: str, settled_at: int | None) -> StoredDecision:
    return msgspec.structs.replace(_stored.decode(record), settled_at=settled_at)
