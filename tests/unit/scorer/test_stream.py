"""The Faust application, without a broker."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from services.scorer.stream import create_app
from shared.settings import load_settings


def test_nothing_is_written_where_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust makes a directory for tables on every start; a container's may be read-only."""
    monkeypatch.chdir(tmp_path)
    app = create_app(load_settings(), SimpleNamespace())
    app.finalize()
    app._create_directories()
    assert list(tmp_path.iterdir()) == []
