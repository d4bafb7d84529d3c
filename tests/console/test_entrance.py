"""Who comes in, by which key, for how long, and who is told what."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.console.conftest import Visit
from tests.console.deployment import Deployment

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]


def test_nothing_is_shown_without_a_session(deployment: Deployment) -> None:
    with httpx.Client(trust_env=False) as client:
        for path in ("/", "/customers", "/customers/anna", "/campaigns", "/letters"):
            answer = client.get(deployment.console + path)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/console/login?next=")
        polled = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
        assert client.get(deployment.console + polled).status_code == 403


def test_a_key_opens_the_page_that_was_asked_for(visit: Visit, deployment: Deployment) -> None:
    page = visit()
    page.goto(f"{deployment.console}/customers")
    page.get_by_label("API key").fill(deployment.keys["viewer"])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Customers").wait_for()
    assert page.url == f"{deployment.console}/customers"
    assert page.get_by_text("viewer (viewer)").is_visible()


def test_a_wrong_key_is_told_so(
    visit: Visit, deployment: Deployment, shoot: Callable[[Any, str], None]
) -> None:
    page = visit()
    page.goto(f"{deployment.console}/login")
    shoot(page, "login-light")
    page.get_by_label("API key").fill("viewer.wrong")
    page.get_by_role("button", name="Sign in").click()
    assert "not known" in page.get_by_role("alert").inner_text()
    dark = visit(scheme="dark")
    dark.goto(f"{deployment.console}/login")
    shoot(dark, "login-dark")


def test_whoever_signs_out_is_out(visit: Visit, deployment: Deployment) -> None:
    page = visit("operator")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("API key").wait_for()
    page.goto(f"{deployment.console}/customers")
    assert page.get_by_label("API key").is_visible()


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_nobody_is_sent_elsewhere(deployment: Deployment, target: str) -> None:
    answer = httpx.post(
        f"{deployment.console}/login",
        data={"key": deployment.keys["viewer"], "next": target},
        trust_env=False,
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


def test_a_post_from_another_site_is_refused(deployment: Deployment) -> None:
    form = {"key": deployment.keys["viewer"]}
    with httpx.Client(trust_env=False, headers={"Origin": "https://evil.example"}) as client:
        for path in ("/login", "/logout"):
            assert client.post(deployment.console + path, data=form).status_code == 403
        assert client.get(f"{deployment.console}/").status_code == 303  # nobody was signed in


def test_the_cookie_is_for_this_path_and_for_no_script(deployment: Deployment) -> None:
    answer = httpx.post(
        f"{deployment.console}/login",
        data={"key": deployment.keys["viewer"]},
        trust_env=False,
    )
    cookie = answer.headers["set-cookie"].lower()
    assert all(each in cookie for each in ("httponly", "samesite=lax", "path=/console"))
    assert deployment.keys["viewer"] not in answer.headers["set-cookie"]
