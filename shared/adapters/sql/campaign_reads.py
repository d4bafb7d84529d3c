"""What the campaigner reads back when it takes over a partition."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, func, select

from shared.adapters.sql.base_store import read_booked
from shared.adapters.sql.lead_store import read_leads
from shared.adapters.sql.product_store import read_held
from shared.adapters.sql.tables import (
    armings,
    customers,
    decisions,
    memberships,
    positions,
    sweeps,
    units,
)
from shared.domain.campaign_outputs import Decision
from shared.domain.campaigns import Arming
from shared.domain.named_segments import Membership
from shared.domain.outputs import Score
from shared.domain.seen import Seen
from shared.domain.standings import LOOK_BACK_MS, Standings, Sweep
from shared.domain.units import Unit

_score: Final = msgspec.json.Decoder(Score)
_decision: Final = msgspec.json.Decoder(Decision)


def read_standings(connection: Connection, topic: str, partition: int) -> Standings:
    """Return the customers of a partition of a topic, and where they stand."""
    p = positions.c
    at = select(p.at).where(p.topic == topic, p.partition == partition)
    return Standings(
        at=connection.execute(at).scalar() or 0,
        seen=_seen(connection, partition),
        armings=_armings(connection, partition),
        units=_units(connection, partition),
        enrolments=_enrolments(connection, partition),
        deferred=_deferred(connection, partition),
        memberships=_memberships(connection, partition),
        swept=_swept(connection, partition),
        booked=read_booked(connection, partition),
        held=read_held(connection, partition),
        leads=read_leads(connection, partition),
    )


def read_score(connection: Connection, customer: str) -> Score:
    """Return a known customer's last score."""
    query = select(customers.c.score).where(customers.c.customer == customer)
    return _score.decode(connection.execute(query).scalar_one())


def read_page(connection: Connection, partition: int, after: str, limit: int) -> list[Score]:
    """Return last scores of a partition's customers behind one, in the order of ids."""
    c = customers.c
    query = select(c.score).where(c.partition == partition, c.customer > after)
    rows = connection.execute(query.order_by(c.customer).limit(limit))
    return [_score.decode(score) for (score,) in rows]


def _memberships(connection: Connection, partition: int) -> dict[str, dict[str, Membership]]:
    columns = [memberships.c[each] for each in Membership.__struct_fields__]
    query = select(memberships.c.customer, memberships.c.segment, *columns)
    found: dict[str, dict[str, Membership]] = {}
    for customer, segment, *known in connection.execute(
        query.where(memberships.c.partition == partition)
    ):
        found.setdefault(customer, {})[segment] = Membership(*known)
    return found


def _swept(connection: Connection, partition: int) -> Sweep:
    columns = [sweeps.c[each] for each in Sweep.__struct_fields__]
    row = connection.execute(select(*columns).where(sweeps.c.partition == partition)).one_or_none()
    return Sweep() if row is None else Sweep(*row)


def _seen(connection: Connection, partition: int) -> dict[str, Seen]:
    query = select(customers.c.customer, customers.c.score)
    rows = connection.execute(query.where(customers.c.partition == partition))
    return {customer: Seen.of(_score.decode(score)) for customer, score in rows}


def _armings(connection: Connection, partition: int) -> dict[str, dict[str, Arming]]:
    columns = [armings.c[each] for each in Arming.__struct_fields__]
    query = select(armings.c.customer, armings.c.campaign, *columns)
    found: dict[str, dict[str, Arming]] = {}
    rows = connection.execute(query.where(armings.c.partition == partition))
    for customer, campaign, *arming in rows:
        found.setdefault(customer, {})[campaign] = Arming(*arming)
    return found


def _units(connection: Connection, partition: int) -> dict[tuple[str, str], Unit]:
    columns = [units.c[each] for each in Unit.__struct_fields__]
    query = select(*columns).where(units.c.partition == partition, units.c.retained.is_(None))
    found = [Unit(*row) for row in connection.execute(query)]
    return {(each.customer, each.campaign): each for each in found}


def _enrolments(connection: Connection, partition: int) -> dict[str, tuple[int, ...]]:
    """Return the enrolments that caps may still count; by the customer who was enrolled last."""
    latest = (
        select(func.max(armings.c.enrolled_at))
        .where(armings.c.partition == partition)
        .scalar_subquery()
    )
    columns = (decisions.c.customer, decisions.c.at)
    query = _of_partition(columns, partition).where(
        decisions.c.outcome.in_(("fired", "held_out")), decisions.c.at > latest - LOOK_BACK_MS
    )
    found: dict[str, list[int]] = defaultdict(list)
    for customer, at in connection.execute(query.order_by(decisions.c.at)):
        found[customer].append(at)
    return {customer: tuple(times) for customer, times in found.items()}


def _deferred(connection: Connection, partition: int) -> dict[tuple[str, str], Decision]:
    query = _of_partition((decisions.c.record,), partition)
    rows = connection.execute(query.where(decisions.c.outcome == "deferred"))
    found = [_decision.decode(row.record) for row in rows]
    return {(each.customer, each.campaign): each for each in found}


def _of_partition(columns: tuple[ColumnElement[Any], ...], partition: int) -> Select[Any]:
    return (
        select(*columns)
        .join(customers, customers.c.customer == decisions.c.customer)
        .where(customers.c.partition == partition)
    )
