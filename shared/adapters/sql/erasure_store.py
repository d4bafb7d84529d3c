"""How a customer leaves the database: every table that names customers, and what hangs on those.

Units stay, since uplift is counted in them, under names that mean nothing. One whose window had not
ended is measured as it stands: who asks to be erased is not retained, in both arms alike.

The months of the base name nobody: what was paid stays in them, and who was in the base leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection, delete, select, update

from shared.adapters.sql.base_store import take_out
from shared.adapters.sql.tables import decisions, metadata, outbox, units, webhook_deliveries

#: A unit of whom nothing more will be known.
_LOST: Final = {
    "retained": False,
    "revenue_gained": 0.0,
    "margin_gained": 0.0,
    "clv_gained": 0.0,
    "opted_out": True,
    "has_accepted": False,
    "has_complained": False,
}


def forget(connection: Connection, customers: Collection[str]) -> None:
    """Forget customers; does nothing to those who are not there."""
    for customer in dict.fromkeys(customers):
        take_out(connection, customer)
        _forget_decisions(connection, customer)
        _forget_units(connection, customer)
        for table in metadata.sorted_tables:
            if "customer" in table.c:
                connection.execute(delete(table).where(table.c.customer == customer))


def forget_all(connection: Connection, is_erased: Callable[[str], bool]) -> int:
    """Forget everybody of whom ``is_erased`` is true; return how many there were."""
    known: set[str] = set()
    for table in metadata.sorted_tables:
        if "customer" in table.c:
            known |= set(connection.execute(select(table.c.customer).distinct()).scalars())
    gone = sorted(filter(is_erased, known))
    forget(connection, gone)
    return len(gone)


def _forget_decisions(connection: Connection, customer: str) -> None:
    """Take back what waits for Kafka or for an endpoint; rows of decisions go with the customer."""
    made = select(decisions.c.id).where(decisions.c.customer == customer)
    for table in (outbox, webhook_deliveries):
        connection.execute(delete(table).where(table.c.decision.in_(made)))


def _forget_units(connection: Connection, customer: str) -> None:
    """Take the name off units, and the decision's id, which can be computed from the name."""
    mine = units.c.customer == customer
    connection.execute(update(units).where(mine, units.c.retained.is_(None)).values(_LOST))
    for campaign in connection.execute(select(units.c.campaign).where(mine)).scalars().all():
        nobody = {"customer": f"erased-{uuid4()}", "decision": str(uuid4())}
        change = update(units).where(mine, units.c.campaign == campaign)
        connection.execute(change.values(nobody))
