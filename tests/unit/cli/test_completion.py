"""What a shell is told when somebody presses Tab."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("tenure camp", "campaigns"),
        ("tenure campaigns pa", "pause"),
        ("tenure up --da", "--data-dir"),
    ],
)
def test_commands_and_options_are_completed(typed: str, told: str) -> None:
    asked = {
        "_TENURE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("tenure")],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told in done.stdout.split()
