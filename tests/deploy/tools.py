"""Programs that tests of the deployment need, and where its files are."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCS = ROOT / "docs"


def program(name: str) -> str:
    """Return the path of a program, or skip."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed; on Debian `apt-get install {PACKAGES[name]}`")
    return path


PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "prometheus": "prometheus",
    "promtool": "prometheus",
}


def run(name: str, *arguments: str | Path, cwd: Path = ROOT) -> str:
    """Run a program of Debian's to its end."""
    return to_the_end([program(name), *map(str, arguments)], cwd)


def to_the_end(command: list[str], cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end; its output is the error of the test when it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
