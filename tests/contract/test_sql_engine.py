"""Opening databases: tables as described, migrations by several at once, and helpful refusals."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from shared.adapters.sql.engine import DatabaseError, open_database, reading
from shared.adapters.sql.tables import metadata


def test_migrations_make_the_tables_that_the_code_expects(database: Engine) -> None:
    with database.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_opening_again_changes_nothing(database_url: str) -> None:
    for _ in range(2):
        engine = open_database(database_url)
        assert set(metadata.tables) <= set(inspect(engine).get_table_names())
        engine.dispose()


def test_campaigners_that_start_together_migrate_once(database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(open_database, [database_url] * 4))
    with engines[0].connect() as connection:
        versions = connection.execute(text("SELECT version_num FROM alembic_version")).all()
    assert len(versions) == 1
    for engine in engines:
        engine.dispose()


def test_tables_of_a_newer_version_are_refused(database: Engine, database_url: str) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="newer Tenure"):
        open_database(database_url)


def test_a_reader_of_sqlite_does_not_wait_for_the_writer(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'tenure.db'}")
    with engine.begin() as writer, reading(engine) as reader:
        writer.execute(text("DELETE FROM customers"))
        assert reader.execute(text("SELECT count(*) FROM customers")).scalar() == 0
    engine.dispose()


def test_an_error_does_not_tell_of_customers(database: Engine) -> None:
    """It is logged, and shown by `/readyz`."""
    statement = text("INSERT INTO no_such_table VALUES (:customer)")
    with database.begin() as connection, pytest.raises(DBAPIError) as failed:
        connection.execute(statement, {"customer": "customer-1"})
    assert "no_such_table" in str(failed.value)
    assert "customer-1" not in str(failed.value)


def test_a_folder_for_the_database_is_made(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "tenure.db"
    open_database(f"sqlite:///{path}").dispose()
    assert path.exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("tenure.db", "not a URL"),
        ("mysql://host/tenure", "mysql"),
        ("postgresql://tenure:hidden@127.0.0.1:1/tenure", "cannot be used"),
        ("sqlite:////proc/tenure.db", "cannot be used"),
    ],
)
def test_a_refusal_says_what_to_do_and_hides_the_password(url: str, message: str) -> None:
    with pytest.raises(DatabaseError, match=message) as refused:
        open_database(url)
    assert "TENURE_DATABASE_URL" in str(refused.value)
    assert "hidden" not in str(refused.value)
