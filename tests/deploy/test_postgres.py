"""The script that makes role and database, on a real PostgreSQL."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from shared.adapters.sql.engine import open_database
from tests.deploy.compose import ComposeFile
from tests.deploy.database import SCRIPT, application_database, binaries, connected
from tests.documents.pages import spans


@pytest.fixture
def application(postgres: str, tmp_path: Path) -> Iterator[URL]:
    with application_database(postgres, tmp_path) as url:
        yield url


def test_the_image_is_of_the_version_that_is_tested(postgres: str) -> None:
    with connected(postgres) as connection:
        version = connection.execute(text("SHOW server_version")).scalar_one()
    assert ComposeFile.read().service("postgres").image == f"postgres:{version.split()[0]}"


def test_the_application_makes_its_tables_and_is_no_superuser(application: URL) -> None:
    open_database(application.render_as_string(hide_password=False)).dispose()
    with connected(application) as connection:
        superuser = connection.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = user"))
        assert superuser.scalar_one() is False
        assert connection.execute(text("SELECT count(*) FROM decisions")).scalar_one() == 0
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("CREATE ROLE another"))


def test_nobody_else_may_connect(application: URL, postgres: str) -> None:
    stranger = f"stranger_{secrets.token_hex(4)}"
    with connected(postgres) as admin:
        admin.execute(text(f"CREATE ROLE {stranger} LOGIN PASSWORD 'x'"))
        try:
            with (
                pytest.raises(OperationalError, match="permission denied"),
                connected(application.set(username=stranger, password="x")),
            ):
                pass
        finally:
            admin.execute(text(f"DROP ROLE {stranger}"))


def test_a_missing_password_ends_the_script() -> None:
    done = subprocess.run(
        [SCRIPT], env={"PATH": os.environ["PATH"]}, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"TENURE_DATABASE_PASSWORD" in done.stderr


def test_a_backup_is_restored(application: URL, tmp_path: Path) -> None:
    """As docs/operations.md says it: dump, lose the tables, restore; what guards them is back."""
    open_database(application.render_as_string(hide_password=False)).dispose()
    with connected(application) as connection:
        connection.execute(
            text("INSERT INTO suppressions (customer, at, by, reason) VALUES ('anna', 5, 'me', '')")
        )
    database_command("pg_dump", application, tmp_path)
    with connected(application) as connection:
        connection.execute(text("DROP TABLE audit"))
        connection.execute(text("DELETE FROM suppressions"))
    database_command("pg_restore", application, tmp_path)
    with connected(application) as connection:
        assert connection.execute(text("SELECT customer FROM suppressions")).scalars().all() == [
            "anna"
        ]
        with pytest.raises(DBAPIError, match="audit"):
            connection.execute(text("DELETE FROM audit"))


def database_command(program: str, url: URL, folder: Path) -> None:
    """Run what the guide says, for this database in place of the one named `tenure`."""
    (command,) = [each for each in spans() if each.startswith(f"{program} ")]
    assert "--dbname=tenure" in command
    words = command.replace("--dbname=tenure", f"--dbname={url.database}").split()
    environment = {
        "PGHOST": str(url.query.get("host") or url.host),
        "PGUSER": str(url.username),
        "PGPASSWORD": str(url.password),
    }
    subprocess.run([binaries() / program, *words[1:]], cwd=folder, env=environment, check=True)
