"""What people see: figures, a customer who changes while one looks, and texts as they are."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.console.conftest import Visit
from tests.console.deployment import (
    ANNA,
    HOSTILE,
    NEWCOMER,
    Deployment,
    account,
    purchase,
    wait_for,
)

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

Shoot = Callable[[Any, str], None]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_overview_shows_the_base(visit: Visit, shoot: Shoot, scheme: str) -> None:
    page = visit("viewer", scheme)
    customers = page.locator(".figure", has_text="Customers").locator(".figure-value")
    expect_text(customers, lambda text: text.isdigit() and int(text) >= len(HOSTILE) + 2)
    assert page.get_by_role("img", name="Customers in each stage").is_visible()
    services = page.get_by_role("region", name="Services and whether they are ready")
    wait_for(lambda: services.locator("[data-kind=good]").count() == 3)
    decided = page.get_by_role("region", name="Decisions by outcome")
    expect_text(decided, lambda text: "fired" in text)
    page.get_by_role("img", name="Moves between stages").wait_for()
    shoot(page, f"overview-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_customer_has_a_page(
    visit: Visit, shoot: Shoot, scheme: str, deployment: Deployment
) -> None:
    page = visit("viewer", scheme)
    page.goto(f"{deployment.console}/customers")
    page.get_by_role("link", name=ANNA, exact=True).wait_for()
    shoot(page, f"customers-{scheme}")
    page.get_by_label("Customer id").fill(ANNA)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=ANNA).wait_for()
    timeline = page.get_by_role("region", name="What happened")
    expect_text(timeline, lambda text: text.count("purchase: 25.00") == 5 and "fired" in text)
    assert "plan changed" in timeline.inner_text()
    facts = page.get_by_role("region", name="What is known")
    expect_text(facts, lambda text: "<i>gold</i>" in text)
    shoot(page, f"customer-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_months_show_what_came_and_how_revenue_moved(
    visit: Visit, shoot: Shoot, scheme: str, deployment: Deployment
) -> None:
    page = visit("viewer", scheme)
    page.get_by_role("link", name="Months", exact=True).click()
    moves = page.get_by_role("region", name="Who came and went each month")
    whole = deployment.get("/v1/base/months").json()["parts"][0]["months"][-1]
    expect_text(moves, lambda text: whole["month"] in text and f"{whole['closing']:,}" in text)
    page.get_by_role("img", name=re.compile("Recurring revenue at the end")).wait_for()
    cash = page.get_by_role("region", name="Cash expected in the next months")
    expect_text(cash, lambda text: "onboarding" in text)
    shoot(page, f"months-{scheme}")
    page.get_by_label("Months of").click()
    page.get_by_role("option", name="plan").click()
    expect_text(moves, lambda text: "<i>gold</i>" in text)


def test_a_customer_appears_while_one_looks(visit: Visit, deployment: Deployment) -> None:
    page = visit("viewer")
    page.goto(f"{deployment.console}/customers/{NEWCOMER}")
    page.get_by_text("No score of this id yet").wait_for()
    deployment.post(purchase(NEWCOMER, 1, category="device"))
    timeline = page.get_by_role("region", name="What happened")
    expect_text(timeline, lambda text: "purchase: 25.00, device" in text)
    stage = page.locator(".figure", has_text="Stage").locator(".figure-value")
    expect_text(stage, lambda text: text == "onboarding")
    deployment.post(account(NEWCOMER, 2, status="closed", voluntary=True))
    expect_text(stage, lambda text: text == "lapsed")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_becomes_markup(visit: Visit, deployment: Deployment, name: str) -> None:
    page = visit("viewer")
    page.goto(f"{deployment.console}/customers")
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, exact=True).wait_for()
    timeline = page.get_by_role("region", name="What happened")
    expect_text(timeline, lambda text: "<b>tea</b>" in text and "shop <i>of</i> tests" in text)
    facts = page.get_by_role("region", name="What is known")
    expect_text(facts, lambda text: "<u>x" in text and "{{y}}" in text)
    for markup in ("b", "i", "u", "img"):
        assert page.locator(f".page {markup}").count() == 0
    assert page.evaluate("window.hacked") is None


def expect_text(place: Any, holds: Callable[[str], bool]) -> None:  # noqa: ANN401
    """Wait until a place's text is as it should be."""
    place.wait_for()
    wait_for(lambda: holds(place.inner_text()), 15)
