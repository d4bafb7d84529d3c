"""How the console behaves: by keyboard, on a narrow screen, to who lost a role, without Kafka."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx
import pytest

from services.standalone.stack import environment
from shared.adapters.embedded_kafka import free_port
from tests.console.conftest import Visit, sign_in
from tests.console.deployment import ANNA, MOVER, Deployment, wait_for
from tests.console.test_campaigns import audit, held
from tests.console.test_pages import Shoot, expect_text
from tests.http import http

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

PAGES = ("/", "/customers", "/customers/anna", "/campaigns", "/campaigns/welcome", "/simulate",
         "/model", "/letters")  # fmt: skip
FOCUS = "(() => { const e = document.activeElement; return e.textContent || e.ariaLabel || ''; })()"


def test_the_keyboard_alone_is_enough(visit: Visit, deployment: Deployment) -> None:
    page = visit()
    page.goto(f"{deployment.console}/campaigns/welcome")
    wait_for(lambda: page.evaluate("document.activeElement.id") == "key")
    page.keyboard.type(deployment.keys["operator"])
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Pause").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == "Skip to the page"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == "Pause"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Enter")
    page.get_by_label("Reason").wait_for()
    wait_for(lambda: page.evaluate("document.activeElement.tagName") == "INPUT")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    wait_for(lambda: "by keyboard" in str(held(deployment)))
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("button", name="Resume").press("Enter")
    page.get_by_label("Reason").press("Enter")
    wait_for(lambda: held(deployment) is None)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_in_order(visit: Visit, deployment: Deployment, path: str) -> None:
    """One heading of the first level, a language, landmarks, names for fields; nothing too wide."""
    page = visit("admin")
    page.set_viewport_size({"width": 1024, "height": 700})
    page.goto(deployment.console + path)
    page.locator("h1").wait_for()
    wait_for(lambda: "Loading" not in page.locator(".page").inner_text())
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == "en-US"
    assert page.locator("header nav a[aria-current=page]").count() == 1
    assert page.get_by_role("main").count() == 1
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(width) <= 0
    for field in page.locator("input:visible, textarea:visible").all():
        labels = "e => e.ariaLabel || [...(e.labels || [])].map(x => x.textContent).join('')"
        assert field.evaluate(labels), field.evaluate("e => e.outerHTML")


def test_whoever_lost_a_role_is_refused_and_whoever_lost_the_key_is_out(
    visit: Visit, deployment: Deployment
) -> None:
    page = visit(MOVER)
    page.goto(f"{deployment.console}/campaigns/welcome")
    pause = page.get_by_role("button", name="Pause")
    pause.wait_for()
    before = audit(deployment)
    deployment.write_keys(mover="viewer")
    pause.click()
    page.get_by_label("Reason").press("Enter")
    page.get_by_text("it takes the role operator").wait_for()
    assert (held(deployment), audit(deployment)) == (None, before)
    hashes = dict(deployment.hashes)
    del hashes[MOVER]
    Deployment(deployment.settings, deployment.keys, hashes).write_keys(mover="viewer")
    page.get_by_label("API key").wait_for()
    assert "/login" in page.url


@pytest.fixture
def without_kafka(deployment: Deployment, tmp_path: Path) -> Iterator[str]:
    """Address of the console of a campaigner whose Kafka is away."""
    settings = deployment.settings.model_copy(
        update={"kafka_bootstrap_servers": "127.0.0.1:1", "campaigner_port": free_port()}
    )
    with TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.campaigner"], env=environment(settings), stderr=log
        )
        url = f"http://127.0.0.1:{settings.campaigner_port}"
        try:
            wait_for(lambda: _answers(url))
            yield f"{url}/console"
        finally:
            process.kill()
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        return http.get(f"{url}/livez").is_success
    except httpx.TransportError:
        return False


def test_without_kafka_there_is_what_the_database_knows(
    visit: Visit, deployment: Deployment, without_kafka: str, shoot: Shoot
) -> None:
    page = visit()
    sign_in(page, deployment, "viewer", without_kafka)
    page.get_by_text("Moves are left out: no Kafka answers at 127.0.0.1:1").wait_for()
    services = page.get_by_role("region", name="Services and whether they are ready")
    expect_text(services, lambda text: "not ready" in text)
    page.goto(f"{without_kafka}/customers/{ANNA}")
    page.get_by_text("Events and history are left out: no Kafka answers").wait_for()
    expect_text(page.get_by_role("region", name="Decisions"), lambda text: "welcome" in text)
    assert page.locator(".figure", has_text="Stage").inner_text().count("\n") >= 2
    shoot(page, "without-kafka-light")
    page.goto(f"{without_kafka}/letters")
    page.get_by_text("no Kafka answers").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_model_page_says_what_there_is_yet(visit: Visit, shoot: Shoot, scheme: str) -> None:
    page = visit("viewer", scheme)
    page.get_by_role("link", name="Model").click()
    page.get_by_text("No labels yet").first.wait_for()
    served: Any = page.locator(".figure", has_text="Served now").locator(".figure-value")
    expect_text(served, lambda text: text == "heuristic")
    shoot(page, f"model-{scheme}")
