"""The model's page: an admin chooses which version is served, and nobody else."""

import httpx
import pytest

from tests.console.conftest import Visit
from tests.console.deployment import Deployment, wait_for
from tests.console.test_campaigns import audit, confirm

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]


def pinned(deployment: Deployment) -> set[int | None]:
    """Return what is pinned in the partitions of the scorer."""
    status = httpx.get(f"{deployment.scorer}/status", trust_env=False).json()
    return {each["serving"]["pinned"] for each in status["partitions"].values()}


def test_an_admin_rolls_back_and_on_again(visit: Visit, deployment: Deployment) -> None:
    page = visit("admin")
    page.goto(f"{deployment.console}/model")
    page.get_by_label("Version to serve").fill("0")
    page.get_by_role("button", name="Serve this version").click()
    confirm(page, "Serve it", "it learned from wrong events")
    wait_for(lambda: pinned(deployment) == {0})
    assert audit(deployment)[0] == (
        "admin",
        "serve model",
        "version 0",
        "it learned from wrong events",
    )
    page.get_by_role("button", name="Serve the newest").click()
    confirm(page, "Serve it", "mended")
    wait_for(lambda: pinned(deployment) == {None})
    assert audit(deployment)[0] == ("admin", "serve model", "the newest version", "mended")


def test_an_operator_is_not_offered_it(visit: Visit, deployment: Deployment) -> None:
    page = visit("operator")
    page.goto(f"{deployment.console}/model")
    page.get_by_role("heading", name="Versions").wait_for()
    assert page.get_by_role("button", name="Serve this version").count() == 0
