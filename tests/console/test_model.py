"""The model's page: an admin chooses which version is served, and nobody else."""

import pytest
from kafka import KafkaProducer
from msgspec import structs

from shared.domain.challenger import Comparison, Promotion
from shared.domain.configuration import CHALLENGER, CHAMPION
from shared.domain.learner import Snapshot
from shared.schemas.snapshots import SIGNATURE_HEADER, encode_snapshot, snapshot_key
from shared.topics import CHURN_MODELS
from tests.console.conftest import Visit
from tests.console.deployment import Deployment, wait_for
from tests.console.test_campaigns import audit, confirm
from tests.console.test_pages import Shoot, expect_text
from tests.http import http
from tests.unit.schemas.test_snapshots import snapshot

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]


def pinned(deployment: Deployment) -> set[int | None]:
    """Return what is pinned in the partitions of the scorer."""
    status = http.get(f"{deployment.scorer}/status").json()
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


def publish(deployment: Deployment, found: Snapshot) -> None:
    """Put a version on the topic, which no scorer is told to serve."""
    settings = deployment.settings
    key = snapshot_key("churn", found.version)
    value, signature = encode_snapshot(key, found, settings.model_key.get_secret_value().encode())
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    headers = [(SIGNATURE_HEADER, signature)]
    producer.send(settings.topic(CHURN_MODELS.name), value, key, headers, partition=0).get(30)
    producer.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_challenger_is_shown_beside_the_champion(
    visit: Visit, deployment: Deployment, shoot: Shoot, scheme: str
) -> None:
    comparison = Comparison(labels=1_000, champion=500.0, challenger=400.0)
    comparison.horizons, comparison.total, comparison.squares = 4, -0.4, 0.04
    promotion = Promotion(0, 3, 10, str(CHAMPION), comparison.difference())
    newest = structs.replace(snapshot(), version=4, comparison=comparison, promotions=[promotion])
    publish(deployment, newest)
    page = visit("viewer", scheme)
    page.goto(f"{deployment.console}/model")
    both = page.get_by_role("region", name="How champion and challenger learn")
    expect_text(both, lambda text: str(CHAMPION) in text and str(CHALLENGER) in text)
    expect_text(both, lambda text: "0.5000" in text and "0.4000" in text)
    promoted = page.get_by_role("region", name="Challengers that took the champion's place")
    expect_text(
        promoted, lambda text: "1970-01-01" in text and str(comparison.difference()) in text
    )
    page.get_by_text("Version 4: challenger less champion -0.1000").wait_for()
    shoot(page, f"challenger-{scheme}")


def test_an_operator_is_not_offered_it(visit: Visit, deployment: Deployment) -> None:
    page = visit("operator")
    page.goto(f"{deployment.console}/model")
    page.get_by_role("heading", name="Versions").wait_for()
    assert page.get_by_role("button", name="Serve this version").count() == 0
