"""The Dockerfile's steps, taken one after the other without Docker."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.test_compose import dockerfile
from tests.deploy.tools import ROOT

PREFIX = "/opt/tenure"


def steps() -> list[tuple[str, str]]:
    """Return instruction and argument of each step of the first stage."""
    text = re.sub(r"\\\n\s*", "", dockerfile())
    lines = text.split("\nFROM ")[1].splitlines()[1:]
    return [(kind, rest) for kind, _, rest in (line.partition(" ") for line in lines) if rest]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_steps_make_an_environment_that_runs_alone(tmp_path: Path) -> None:
    source, prefix = tmp_path / "source", tmp_path / "tenure"
    source.mkdir()
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment = inherited | {"PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
    for kind, rest in steps():
        if kind == "ENV":
            pairs = dict(pair.split("=") for pair in rest.split())
            environment |= {
                name: value.replace(PREFIX, str(prefix)) for name, value in pairs.items()
            }
        elif kind == "COPY":
            *names, _ = rest.split()
            for name in names:
                _copy(ROOT / name, source / name)
        elif kind == "RUN" and rest.startswith("uv "):
            subprocess.run(rest.split(), cwd=source, env=environment, check=True)
    shutil.rmtree(source)  # the final stage has the environment alone
    assert _run(prefix, tmp_path, "tenure", "--version").startswith("tenure ")
    assert "TENURE_INGEST_PORT" in _run(prefix, tmp_path, "tenure", "settings", "--json")
    _run(prefix, tmp_path, "python", "-c", "import services.campaigner.bootstrap, psycopg")
    _run(prefix, tmp_path, "python", "-c", "import services.scorer.bootstrap")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _run(prefix: Path, cwd: Path, program: str, *arguments: str) -> str:
    return subprocess.run(
        [prefix / "bin" / program, *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
