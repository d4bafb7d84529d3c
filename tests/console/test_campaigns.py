"""Campaigns in the console: what each role may do, what that leaves behind, the past tried anew."""

import re
from typing import Any

import pytest

from tests.console.conftest import Visit
from tests.console.deployment import BELA, Deployment, wait_for
from tests.console.test_pages import Shoot, expect_text

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]


def held(deployment: Deployment, name: str = "welcome") -> str | None:
    found = deployment.get("/v1/campaigns").json()["campaigns"]
    return next(each["held"] for each in found if each["name"] == name)


def audit(deployment: Deployment) -> list[tuple[str, str, str, str]]:
    changes = deployment.get("/v1/audit?limit=50").json()["changes"]
    return [
        (each["by"], each["action"], each["subject"], each["detail"].get("reason", ""))
        for each in changes
    ]


def confirm(page: Any, button: str, reason: str) -> None:  # noqa: ANN401
    dialog = page.get_by_role("dialog").last
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=button, exact=True).click()
    dialog.wait_for(state="detached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_campaigns_are_listed(
    visit: Visit, deployment: Deployment, shoot: Shoot, scheme: str
) -> None:
    page = visit("admin", scheme)
    page.get_by_role("link", name="Campaigns").click()
    table = page.get_by_role("region", name="Campaigns in force")
    expect_text(table, lambda text: "welcome" in text and "waits for approval" in text)
    shoot(page, f"campaigns-{scheme}")
    page.get_by_role("link", name="welcome").click()
    expect_text(
        page.get_by_role("region", name="What the campaign file says"),
        lambda text: "<b onmouseover=window.hacked=1>ten percent" in text,
    )
    expect_text(page.get_by_role("region", name="Both arms"), lambda text: "contacted" in text)
    shoot(page, f"campaign-{scheme}")
    assert page.locator(".page b").count() == 0


def test_an_operator_pauses_and_resumes(visit: Visit, deployment: Deployment) -> None:
    page = visit("operator")
    page.goto(f"{deployment.console}/campaigns/welcome")
    page.get_by_role("button", name="Pause").click()
    confirm(page, "Pause", "a <b>mistake</b> in the text")
    wait_for(lambda: held(deployment) is not None)
    page.get_by_text("by operator: a <b>mistake</b> in the text").first.wait_for()
    assert audit(deployment)[0] == (
        "operator", "pause", "welcome", "a <b>mistake</b> in the text",
    )  # fmt: skip
    page.get_by_role("button", name="Resume").click()
    confirm(page, "Resume", "mended")
    wait_for(lambda: held(deployment) is None)
    assert audit(deployment)[0] == ("operator", "resume", "welcome", "mended")


def test_whoever_cancels_has_changed_nothing(visit: Visit, deployment: Deployment) -> None:
    before = audit(deployment)
    page = visit("operator")
    page.goto(f"{deployment.console}/campaigns")
    page.get_by_role("button", name="Stop all campaigns").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").wait_for(state="detached")
    assert held(deployment) is None
    assert audit(deployment) == before


def test_the_switch_of_all_is_for_operators_and_back_for_admins(
    visit: Visit, deployment: Deployment
) -> None:
    operator = visit("operator")
    operator.goto(f"{deployment.console}/campaigns")
    operator.get_by_role("button", name="Stop all campaigns").click()
    confirm(operator, "Stop all", "wrong prices")
    wait_for(lambda: "wrong prices" in str(held(deployment, "second-look")))
    operator.get_by_text("All campaigns are stopped by operator").wait_for()
    assert operator.get_by_role("button", name="Resume all").count() == 0
    admin = visit("admin")
    admin.goto(f"{deployment.console}/campaigns")
    admin.get_by_role("button", name="Resume all campaigns").click()
    confirm(admin, "Resume all", "prices are right")
    wait_for(lambda: held(deployment) is None)
    assert [each[:3] for each in audit(deployment)[:2]] == [
        ("admin", "resume", "*"), ("operator", "pause", "*"),
    ]  # fmt: skip


def test_a_customer_is_suppressed_and_admins_alone_undo_it(
    visit: Visit, deployment: Deployment
) -> None:
    def listed() -> list[str]:
        found = deployment.get("/v1/suppressions").json()["suppressions"]
        return [each["customer"] for each in found]

    operator, admin = visit("operator"), visit("admin")
    for page in (operator, admin):
        page.goto(f"{deployment.console}/customers/{BELA}")
    operator.get_by_role("button", name="Suppress", exact=True).click()
    confirm(operator, "Suppress", "asked us to")
    wait_for(lambda: listed() == [BELA])
    operator.get_by_text("on the suppression list").first.wait_for()
    assert operator.get_by_role("button", name="Take off").count() == 0
    admin.get_by_role("button", name="Take off the suppression list").click()
    confirm(admin, "Take off", "asked us back")
    wait_for(lambda: listed() == [])
    assert [each[:2] for each in audit(deployment)[:2]] == [
        ("admin", "unsuppress"), ("operator", "suppress"),
    ]  # fmt: skip


def test_an_admin_approves_what_another_wrote(visit: Visit, deployment: Deployment) -> None:
    def approved() -> bool:
        found = deployment.get("/v1/campaigns").json()["campaigns"]
        return next(each["approved"] for each in found if each["name"] == "second-look")

    assert not approved()
    page = visit("admin")
    page.goto(f"{deployment.console}/campaigns/second-look")
    page.get_by_role("button", name="Approve").click()
    wait_for(approved)
    (by, action, subject, _) = audit(deployment)[0]
    assert (by, action, subject) == ("admin", "approve", "second-look")
    versions = page.get_by_role("region", name="Versions")
    expect_text(versions, lambda text: re.search(r"mia\s+admin", text) is not None)


@pytest.mark.parametrize(
    ("role", "path", "buttons"),
    [
        ("viewer", "/campaigns", set[str]()),
        ("viewer", "/campaigns/welcome", set[str]()),
        ("viewer", "/customers/anna", set[str]()),
        ("operator", "/campaigns", {"Stop all campaigns"}),
        ("operator", "/campaigns/welcome", {"Pause"}),
        ("admin", "/campaigns/welcome", {"Pause"}),
    ],
)
def test_nobody_is_offered_what_they_may_not_do(
    visit: Visit, deployment: Deployment, role: str, path: str, buttons: set[str]
) -> None:
    page = visit(role)
    page.goto(deployment.console + path)
    expect_text(page.locator(".page"), lambda text: "welcome" in text and "Loading" not in text)
    shown = {each.inner_text() for each in page.locator(".page .button:visible").all()}
    assert shown - {"Try campaigns on the past", "Look further back"} == buttons


def test_the_past_is_tried_on_other_rules(
    visit: Visit, deployment: Deployment, shoot: Shoot
) -> None:
    page = visit("viewer")
    page.goto(f"{deployment.console}/simulate")
    page.get_by_label("From").fill("2020-01-01")
    page.get_by_role("button", name="Try it").click()
    page.get_by_text("scores, 2020-01-01 to").wait_for(timeout=60_000)
    fired = page.get_by_role("region", name="Decisions as they were made")
    expect_text(fired, lambda text: "happened" in text and "simulated" in text)
    shoot(page, "simulate-light")
    file = page.get_by_label("Campaign file")
    file.fill(file.input_value().replace("state: live", "state: liv"))
    page.get_by_role("button", name="Try it").click()
    problem = page.locator(".banner:visible")
    expect_text(problem, lambda text: "line 7" in text and "state" in text)
    page.get_by_label("From").fill("2099-01-01")
    page.get_by_role("button", name="Try it").click()
    expect_text(problem, lambda text: "first day must be before" in text)
    dark = visit("viewer", "dark")
    dark.goto(f"{deployment.console}/simulate")
    dark.get_by_label("Campaign file").wait_for()
    shoot(dark, "simulate-dark")


def test_a_campaign_that_is_none_says_so(visit: Visit, deployment: Deployment) -> None:
    page = visit("viewer")
    page.goto(f"{deployment.console}/campaigns/nobody")
    page.get_by_text("No such campaign is in force").wait_for()
