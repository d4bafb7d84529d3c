"""Dead letters: read, repaired by somebody who may, and gone through ingest into the state."""

import json

import pytest

from tests.console.conftest import Visit
from tests.console.deployment import Deployment, purchase, wait_for
from tests.console.test_campaigns import audit
from tests.console.test_pages import Shoot, expect_text

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

BAD = "<script>window.hacked=1</script>"


def bad_event(customer: str) -> bytes:
    return json.dumps(purchase(customer, 1, amount=BAD)).encode()


def test_a_letter_is_repaired_and_replayed(
    visit: Visit, deployment: Deployment, shoot: Shoot
) -> None:
    deployment.write(bad_event("repaired"))
    page = visit("operator")
    page.get_by_role("link", name="Dead letters").click()
    row = page.locator("tbody tr", has_text="data.amount").first
    row.wait_for()
    assert "open" in row.inner_text()
    shoot(page, "letters-light")
    row.get_by_role("link").click()
    text = page.get_by_label("Bytes, as they were sent")
    wait_for(lambda: BAD in text.input_value())
    shoot(page, "letter-light")
    page.get_by_role("button", name="Replay through ingest").click()
    page.get_by_text("data.amount:").first.wait_for()  # it is still as bad
    text.fill(text.input_value().replace(json.dumps(BAD), "25"))
    page.get_by_role("button", name="Replay through ingest").click()
    page.get_by_text("was accepted").wait_for()
    wait_for(lambda: deployment.knows("repaired"))
    assert [each[:2] for each in audit(deployment)[:2]] == [("operator", "replay")] * 2
    state = page.get_by_role("region", name="What is known of the letter")
    expect_text(state, lambda shown: "accepted" in shown)
    page.get_by_role("button", name="Replay through ingest").click()
    page.get_by_text("was not sent: it was accepted before").wait_for()
    assert page.evaluate("window.hacked") is None


def test_a_viewer_reads_and_no_more(visit: Visit, deployment: Deployment, shoot: Shoot) -> None:
    deployment.write(bad_event("unrepaired"))
    page = visit("viewer", "dark")
    page.goto(f"{deployment.console}/letters")
    page.locator("tbody tr", has_text="open").first.wait_for()
    shoot(page, "letters-dark")
    page.locator("tbody tr", has_text="open").first.get_by_role("link").click()
    text = page.get_by_label("Bytes, as they were sent")
    wait_for(lambda: BAD in text.input_value())
    assert not text.is_editable()
    assert page.locator(".page .button:visible").count() == 0
    shoot(page, "letter-dark")


def test_a_letter_that_never_was_says_so(visit: Visit, deployment: Deployment) -> None:
    page = visit("viewer")
    page.goto(f"{deployment.console}/letters/99999")
    page.get_by_text("There is no dead letter 99999").wait_for()
