"""Products in the read model: what each customer holds, and since when."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, Engine, func, select

from shared.adapters.sql.engine import reading
from shared.adapters.sql.tables import customers
from shared.domain.uptake import Held

_ROWS_AT_ONCE: Final = 5_000
#: More say hardly anything more: of a larger base, every so many-th holder is looked at.
MOST_CUSTOMERS: Final = 100_000
_c = customers.c
_encoder: Final = msgspec.json.Encoder()
_held: Final = msgspec.json.Decoder(dict[str, int])


def encode_held(held: Held | None) -> str | None:
    """Return what a customer holds as it is kept."""
    return _encoder.encode(held).decode() if held else None


def read_held(connection: Connection, partition: int) -> dict[str, Held]:
    """Return what a partition's customers hold, of those who hold anything."""
    query = select(_c.customer, _c.held).where(_c.partition == partition, _c.held.is_not(None))
    return {customer: _held.decode(text) for customer, text in connection.execute(query)}


class ProductStore:
    """Questions about products."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, customer: str) -> Held:
        """Return what a customer holds."""
        with reading(self._engine) as connection:
            text = connection.execute(select(_c.held).where(_c.customer == customer)).scalar()
        return _held.decode(text) if text else {}

    def holders(self) -> int:
        """Return how many customers hold anything."""
        query = select(func.count()).select_from(customers).where(_c.held.is_not(None))
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def held(self) -> list[Held]:
        """Return what customers hold, in the order of their ids; at most `MOST_CUSTOMERS`."""
        every = -(-self.holders() // MOST_CUSTOMERS) or 1
        query = select(_c.held).where(_c.held.is_not(None)).order_by(_c.customer)
        with reading(self._engine) as connection:
            rows = connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE))
            found = [_held.decode(row[0]) for number, row in enumerate(rows) if not number % every]
        return list(found)
