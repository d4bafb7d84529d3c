"""Parts of allowances: lent to a partition, used up by its decisions, given back by the expired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlalchemy import BigInteger, Connection, and_, bindparam, case, delete, func, select, update

from shared.adapters.sql.bulk import upsert_rows
from shared.adapters.sql.engine import alone
from shared.adapters.sql.tables import budgets
from shared.domain.budgets import CHANNEL, Due, lendable
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch


def lend(connection: Connection, partition: int, due: Due, needed: int) -> int:
    """Return what a partition has left of an allowance, lent more where it has less than needed.

    An allowance that was lowered takes back what was lent and not spent, each partition's as it
    asks: until all did, nothing more is lent.
    """
    (allowance, charge), c = due, budgets.c
    alone(connection, f"{charge.scope}/{charge.period}")
    period = and_(c.scope == charge.scope, c.period == charge.period)
    own = and_(period, c.partition == partition)
    row = connection.execute(select(c.lent, c.spent).where(own)).one_or_none()
    lent, spent = (0, 0) if row is None else (row.lent, row.spent)
    others = connection.execute(select(func.sum(c.lent)).where(period, ~own)).scalar()
    total = int(others or 0) + lent
    if total > allowance.most:
        total, lent = total - lent + spent, spent
    wanted = needed - (lent - spent)
    if wanted > 0:
        lent += lendable(allowance.most, total, wanted)
    key = {"scope": charge.scope, "period": charge.period, "partition": partition}
    if row is None:
        if charge.scope.startswith(CHANNEL):  # minutes that are over would add up
            past = and_(c.scope == charge.scope, c.partition == partition, c.period < charge.period)
            connection.execute(delete(budgets).where(past))
        upsert_rows(connection, budgets, [{**key, "lent": lent, "spent": spent}])
    elif lent != row.lent:
        connection.execute(update(budgets).where(own).values(lent=lent))
    return lent - spent


def take(connection: Connection, batches: Sequence[Batch]) -> None:
    """Use up what the decisions of batches cost."""
    _add(
        connection,
        Counter(
            {
                (*key, batch.lease.partition): amount
                for batch in batches
                for key, amount in batch.spent.items()
            }
        ),
    )


def give_back(connection: Connection, gone: Iterable[tuple[int, Decision]]) -> None:
    """Give back what decisions of partitions had used up, whose triggers did not leave in time."""
    amounts: Counter[tuple[str, str, int]] = Counter()
    for partition, decision in gone:
        for each in decision.charges:
            amounts[each.scope, each.period, partition] -= each.amount
    _add(connection, amounts)


def spent_in(
    connection: Connection, periods: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Return what was used up of (scope, period), millionths."""
    wanted, c = set(periods), budgets.c
    query = select(c.scope, c.period, func.sum(c.spent)).group_by(c.scope, c.period)
    query = query.where(c.scope.in_({scope for scope, _ in wanted}))
    rows = connection.execute(query.where(c.period.in_({period for _, period in wanted})))
    found = {(scope, period): int(spent) for scope, period, spent in rows}
    return {each: found.get(each, 0) for each in wanted}


def _add(connection: Connection, amounts: Counter[tuple[str, str, int]]) -> None:
    if not amounts:
        return
    c = budgets.c
    total = c.spent + bindparam("more", type_=BigInteger())
    change = (
        update(budgets)
        .where(c.scope == bindparam("whose"), c.period == bindparam("when"))
        .where(c.partition == bindparam("where"))
        # More than was lent is spent only by what a backup had forgotten: it counts all the same.
        .values(spent=total, lent=case((total > c.lent, total), else_=c.lent))
    )
    rows = [dict(zip(("whose", "when", "where"), key, strict=True)) for key in sorted(amounts)]
    for row, key in zip(rows, sorted(amounts), strict=True):
        connection.execute(change, {**row, "more": amounts[key]})
