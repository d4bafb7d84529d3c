"""The base over time in SQL: sums by month, each partition in rows of its own.

Whoever owns a partition adds to its rows in the transaction that moves its position, so a score
counts once however often it is delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine, func, select

from shared.adapters.sql.bulk import upsert_rows
from shared.adapters.sql.engine import reading
from shared.adapters.sql.tables import base_months, customers, positions
from shared.domain.base_book import Booked, Cell, Changes, MonthsBy, Sums, erased
from shared.domain.campaign_state import Batch
from shared.domain.outputs import Stage

_b = base_months.c
_cell: Final = (_b.month, _b.kept_by, _b.name)
_sums: Final = tuple(_b[each] for each in Sums._fields)
_encoder: Final = msgspec.json.Encoder()
_booked: Final = msgspec.json.Decoder(Booked)


def encode_booked(booked: Booked) -> str:
    """Return what was booked of a customer as it is kept."""
    return _encoder.encode(booked).decode()


def book(connection: Connection, batches: Sequence[Batch]) -> None:
    """Add what batches of distinct partitions change in the base."""
    for batch in batches:
        _add(connection, batch.lease.partition, batch.base)


def read_booked(connection: Connection, partition: int) -> dict[str, Booked]:
    """Return what was booked of a partition's customers; nothing of those before it was kept."""
    query = select(customers.c.customer, customers.c.booked)
    found = query.where(customers.c.partition == partition, customers.c.booked.is_not(None))
    return {customer: _booked.decode(text) for customer, text in connection.execute(found)}


def take_out(connection: Connection, customer: str) -> None:
    """Have a customer who is erased leave the base, at the partition's time."""
    c = customers.c
    at = select(func.max(positions.c.at)).where(positions.c.partition == c.partition)
    query = select(c.partition, c.booked, func.coalesce(at.scalar_subquery(), c.at))
    row = connection.execute(query.where(c.customer == customer)).one_or_none()
    if row is not None and row[1] is not None:
        _add(connection, row[0], erased(_booked.decode(row[1]), row[2]))


class BaseStore:
    """Questions about the base over time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cells(self, by: MonthsBy) -> dict[Cell, Sums]:
        """Return all that happened, in each part of the base and month."""
        query = select(*_cell, *(func.sum(each) for each in _sums)).where(_b.kept_by == by)
        with reading(self._engine) as connection:
            rows = connection.execute(query.group_by(*_cell)).all()
        return {Cell(*row[:3]): Sums(*map(int, row[3:])) for row in rows}

    def equity(self) -> dict[Stage, float]:
        """Return customer equity by stage: the sum of lifetime values."""
        c = customers.c
        query = select(c.stage, func.sum(c.clv)).group_by(c.stage)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return {row[0]: row[1] for row in rows}


def _add(connection: Connection, partition: int, changes: Changes) -> None:
    if not changes:
        return
    months = {each.month for each in changes}
    query = select(*_cell, *_sums).where(_b.partition == partition, _b.month.in_(months))
    stored = {Cell(*row[:3]): Sums(*row[3:]) for row in connection.execute(query)}
    rows = [
        {
            "month": cell.month,
            "kept_by": cell.by,
            "name": cell.name,
            "partition": partition,
            **stored.get(cell, Sums()).plus(sums)._asdict(),
        }
        for cell, sums in sorted(changes.items())
    ]
    upsert_rows(connection, base_months, rows)
