"""Open a database: a URL in, an engine with its tables up to date out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from shared.domain.errors import TenureError

#: What the services call it, who need not know the library.
Database = Engine

#: How long a statement waits for another's lock, in seconds.
LOCK_TIMEOUT_S: Final = 30
#: A paused campaigner must not keep a partition's row locked: PostgreSQL ends its session.
_IDLE_IN_TRANSACTION_MS: Final = 15_000
#: Any number, as long as every campaigner takes the same: who holds it migrates.
_MIGRATION_LOCK: Final = 7_365_102
_NAMED_LOCKS: Final = 7_365_103

#: An error is logged, and `/readyz` tells it: with the statement, but without the customers in it.
_DISCREET: Final[dict[str, Any]] = {"hide_parameters": True}

_READ_ONLY: Final = "tenure_read_only"
_EXAMPLES: Final = "`sqlite:///tenure.db` or `postgresql://user:password@host/database`"


class DatabaseError(TenureError):
    """The database cannot be used; the message says why and what to do."""


def open_database(url: str) -> Engine:
    """Connect to a database, and create or migrate its tables.

    Parameters
    ----------
    url
        SQLAlchemy URL: ``sqlite:///file`` or ``postgresql://...``.

    Raises
    ------
    DatabaseError
        The URL names no database we know, none answers, or its tables are newer than this code.

    """
    engine = _engine(_parse(url))
    try:
        migrate(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        raise _unusable(engine.url, error) from error
    except DatabaseError:
        engine.dispose()
        raise
    return engine


def open_existing(url: str) -> Engine:
    """Connect to a database whose tables are up to date, and change nothing about it.

    Raises
    ------
    DatabaseError
        There is none, or its tables are of another version.

    """
    found, wanted = table_versions(url)
    if found != wanted:
        raise DatabaseError(
            f"The tables of TENURE_DATABASE_URL are of version {found}, wanted is {wanted}. Name "
            "the campaigner's database, and have a campaigner of this version start with it once."
        )
    return _engine(_parse(url))


def migrate(engine: Engine) -> None:
    """Bring the tables up to date; several processes may do so at once.

    Raises
    ------
    DatabaseError
        The tables are newer than this code.

    """
    config = _migrations()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            lock = text("SELECT pg_advisory_xact_lock(:key)")
            connection.execute(lock, {"key": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise DatabaseError(
                f"The tables are of another version ({error}). A newer Tenure migrated them: "
                "run that version, or restore the backup from before."
            ) from error


def table_versions(url: str) -> tuple[str | None, str]:
    """Return the version of a database's tables, ``None`` without any, and that of this code.

    Changes nothing; a file that is not there is not made.

    Raises
    ------
    DatabaseError
        The URL names no database we know, or none answers.

    """
    parsed = _parse(url)
    wanted = str(ScriptDirectory.from_config(_migrations()).get_current_head())
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        return None, wanted
    engine = _engine(parsed)
    try:
        with reading(engine) as connection:
            return MigrationContext.configure(connection).get_current_revision(), wanted
    except SQLAlchemyError as error:
        raise _unusable(parsed, error) from error
    finally:
        engine.dispose()


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", "shared.adapters:migrations")
    return config


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that only reads: on SQLite it waits for no writer."""
    with engine.connect().execution_options(**{_READ_ONLY: True}) as connection:
        yield connection


def alone(connection: Connection, what: str) -> None:
    """Wait until no other transaction is at something of this name, and keep others from it.

    SQLite has one writer at a time anyhow.
    """
    if connection.dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(:kind, hashtext(:what))")
        connection.execute(lock, {"kind": _NAMED_LOCKS, "what": what})


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        # The text may hold a password, so it is not repeated.
        raise DatabaseError(f"TENURE_DATABASE_URL is not a URL. Use {_EXAMPLES}.") from None
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        raise DatabaseError(
            f"TENURE_DATABASE_URL names the database {parsed.drivername!r}. Use {_EXAMPLES}."
        )
    return parsed


def _engine(url: URL) -> Engine:
    try:
        return _postgres(url) if url.get_backend_name() == "postgresql" else _sqlite(url)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise DatabaseError(
            f"The driver for {url.get_backend_name()} is missing ({error}). "
            'Install it: pip install "tenure[postgres]".'
        ) from None


def _postgres(url: URL) -> Engine:
    options = (
        f"-c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_MS}"
        f" -c lock_timeout={LOCK_TIMEOUT_S * 1000}"
    )
    return create_engine(url, connect_args={"options": options}, pool_pre_ping=True, **_DISCREET)


def _sqlite(url: URL) -> Engine:
    arguments: dict[str, Any] = {"connect_args": {"timeout": LOCK_TIMEOUT_S}, **_DISCREET}
    if url.database in (None, "", ":memory:"):
        # Each connection would be a database of its own.
        arguments |= {"poolclass": StaticPool}
        arguments["connect_args"]["check_same_thread"] = False
    else:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, **arguments)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, in `_begin_sqlite`
    connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait
    connection.execute("PRAGMA synchronous = FULL")  # a commit outlives a power cut


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock first: a transaction that reads and then writes cannot wait for it."""
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _unusable(url: URL, error: SQLAlchemyError) -> DatabaseError:
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return DatabaseError(
        f"The database {url.render_as_string(hide_password=True)} cannot be used: {cause}. "
        "Check TENURE_DATABASE_URL, and that the database runs and lets this user in."
    )
