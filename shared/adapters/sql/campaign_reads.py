"""What the campaigner reads back when it takes over a partition."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, select

from shared.adapters.sql.tables import armings, customers, units
from shared.domain.campaigns import Arming
from shared.domain.standings import Standings
from shared.domain.units import Seen, Unit

#: A score holds all of it, and more.
_seen_in: Final = msgspec.json.Decoder(Seen)


def read_standings(connection: Connection, partition: int) -> Standings:
    """Return the customers of a partition, and where they stand."""
    return Standings(
        _seen(connection, partition), _armings(connection, partition), _units(connection, partition)
    )


def _seen(connection: Connection, partition: int) -> dict[str, Seen]:
    query = select(customers.c.customer, customers.c.score)
    rows = connection.execute(query.where(customers.c.partition == partition))
    return {customer: _seen_in.decode(score) for customer, score in rows}


def _units(connection: Connection, partition: int) -> dict[tuple[str, str], Unit]:
    columns = [units.c[each] for each in Unit.__struct_fields__]
    query = select(*columns).where(units.c.partition == partition, units.c.retained.is_(None))
    found = [Unit(*row) for row in connection.execute(query)]
    return {(each.customer, each.campaign): each for each in found}


def _armings(connection: Connection, partition: int) -> dict[str, dict[str, Arming]]:
    c = armings.c
    query = select(c.customer, c.campaign, c.number, c.armed, c.enrolled_at, c.first_at)
    found: dict[str, dict[str, Arming]] = {}
    for customer, campaign, *arming in connection.execute(query.where(c.partition == partition)):
        found.setdefault(customer, {})[campaign] = Arming(*arming)
    return found
