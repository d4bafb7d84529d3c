"""Many rows in one statement.

PostgreSQL gets one array a column (``unnest``): that is several times faster than a statement a
row. psycopg's own ``executemany`` is avoided for another reason as well: it pipelines, and behind
a pipeline PostgreSQL 18 was seen to forget its ``idle_in_transaction_session_timeout``, without
which a paused process keeps its locks.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, String, Table, Text, bindparam, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

Row = dict[str, Any]


def insert_rows(connection: Connection, table: Table, rows: list[Row]) -> None:
    """Insert rows, all with the same columns, in their order."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(insert(table).from_select(list(rows[0]), _unnest(table, rows)))
    else:
        connection.execute(insert(table), rows)


def upsert_rows(
    connection: Connection, table: Table, rows: list[Row], *, replace: bool = True
) -> None:
    """Insert rows of distinct primary keys; one that is there already is replaced, or stays."""
    if not rows:
        return
    # The two databases share the syntax, but each dialect has its own class for it.
    if connection.dialect.name == "postgresql":
        new = postgresql.insert(table).from_select(list(rows[0]), _unnest(table, rows))
        connection.execute(_on_conflict(new, table, rows[0], replace=replace))
    else:
        fresh = sqlite.insert(table)
        connection.execute(_on_conflict(fresh, table, rows[0], replace=replace), rows)


def _on_conflict(new: Any, table: Table, row: Row, *, replace: bool) -> Any:  # noqa: ANN401
    keys = list(table.primary_key)
    if not replace:
        return new.on_conflict_do_nothing(index_elements=keys)
    values = {name: new.excluded[name] for name in row if not table.c[name].primary_key}
    return new.on_conflict_do_update(index_elements=keys, set_=values)


def _unnest(table: Table, rows: list[Row]) -> Any:  # noqa: ANN401
    """Return a SELECT of the rows, which travel as one array a column."""
    names = list(rows[0])
    arrays = [
        bindparam(name, [row[name] for row in rows], postgresql.ARRAY(_uncut(table.c[name].type)))
        for name in names
    ]
    source = func.unnest(*arrays).table_valued(*names).render_derived()
    return select(*(source.c[name] for name in names))


def _uncut(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type to cast to: a cast to VARCHAR(n) would cut in silence what is longer."""
    return Text() if isinstance(kind, String) else kind
