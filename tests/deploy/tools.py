"""Programs that tests of the deployment need, and where its files are."""

import shutil
import subprocess
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
    """Run a program to its end; its output is the error of the test when it fails."""
    done = subprocess.run(
        [program(name), *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
