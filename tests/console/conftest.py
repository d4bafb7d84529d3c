"""A real Chromium in front of a real deployment. No page may ask any other host for anything."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest

from shared.adapters.embedded_kafka import EmbeddedKafka
from tests.console.deployment import Deployment, deployed

ARTEFACTS = Path(__file__).parents[2] / "test-artefacts" / "console"
SIZE = {"width": 1366, "height": 860}


@pytest.fixture(scope="package")
def deployment(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("console")
    with deployed(kafka.bootstrap_servers, "console-", folder) as found:
        yield found


# Playwright keeps this thread's event loop running: it must end before other tests want their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    pytest.importorskip("nicegui", reason="needs the extra `console`")
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    # Chromium refuses its sandbox to root; what it shows is our own.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, args=flags)
        yield started
        started.close()


class Visit(Protocol):
    def __call__(self, role: str | None = None, scheme: str = "light") -> Any: ...  # noqa: ANN401


@pytest.fixture
def visit(browser: Any, deployment: Deployment) -> Iterator[Visit]:  # noqa: ANN401
    """Return pages of visitors, signed in by role; checks in the end what they asked for."""
    contexts: list[Any] = []
    foreign: list[str] = []
    errors: list[str] = []

    def open_page(role: str | None = None, scheme: str = "light") -> Any:  # noqa: ANN401
        context = browser.new_context(viewport=SIZE, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)

        def check(route: Any) -> None:  # noqa: ANN401
            if urlsplit(route.request.url).hostname == "127.0.0.1":
                route.continue_()
            else:
                foreign.append(route.request.url)
                route.abort()

        def check_socket(socket: Any) -> None:  # noqa: ANN401
            if urlsplit(socket.url).hostname != "127.0.0.1":
                foreign.append(socket.url)

        page.route("**/*", check)
        page.on("websocket", check_socket)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if role is not None:
            sign_in(page, deployment, role)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert foreign == []
    assert errors == []


def sign_in(
    page: Any,  # noqa: ANN401
    deployment: Deployment,
    role: str,
    console: str = "",
) -> None:
    page.goto(f"{console or deployment.console}/login")
    page.get_by_label("API key").fill(deployment.keys[role])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview").wait_for()


@pytest.fixture
def shoot() -> Callable[[Any, str], None]:
    """Keep a picture of a page for people to look at."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)

    def take(page: Any, name: str) -> None:  # noqa: ANN401
        page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)

    return take
