"""Without the extra the campaigner runs, and says how to get the console."""

import subprocess
import sys

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from services.campaigner.console import http
from shared.adapters.api_keys import OpenDoor
from tests.unit.console.test_questions import parts


async def test_the_page_says_how_to_get_it(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nicegui", None)
    app = FastAPI()
    http.add_console(app, parts(database), OpenDoor())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/console")
    assert answer.status_code == 501
    assert "pip install &#39;tenure[console]&#39;" in answer.text or (
        "pip install 'tenure[console]'" in answer.text
    )


def test_nothing_else_needs_it() -> None:
    code = (
        "import sys; sys.modules['nicegui'] = None; import services.campaigner.__main__;"
        "import services.cli"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
