"""docker-compose.yml and the image, against the code: names, ports, commands, files."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import typer
import yaml

from services.campaigner.campaign_file import read_campaigns
from services.cli import app
from shared.adapters.api_keys import ANYONE, KeyRing, read_keys
from shared.adapters.kafka_distribution import KAFKA_VERSION
from shared.settings import LOOPBACK, Settings
from tests.deploy.compose import (
    OWN_KAFKA,
    PATH,
    ComposeFile,
    Service,
    VariableError,
    variables,
)
from tests.deploy.tools import DEPLOY, DOCS, ROOT

FILE = ComposeFile.read()
OURS = [service for service in FILE.services if service.is_tenure]
RUN_BY_TENURE = [service for service in OURS if service.name != "load"]
EACH = pytest.mark.parametrize("service", FILE.services, ids=lambda service: service.name)
EACH_OF_OURS = pytest.mark.parametrize("service", OURS, ids=lambda service: service.name)
#: Variables of other programs, and of the command line.
OTHERS = {"TENURE_API_KEY", "TENURE_DATABASE_PASSWORD"}
#: What has to be said of a Kafka of one's own.
OWN = {"TENURE_KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092", "TENURE_REPLICATION_FACTOR": "3"}
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}


@pytest.mark.parametrize("path", [PATH, OWN_KAFKA], ids=lambda path: path.name)
def test_it_is_a_compose_file(path: Path) -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_the_schema_notices_a_misspelling() -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    document = yaml.safe_load(PATH.read_text())
    document["services"]["ingest"]["evironment"] = {}
    with pytest.raises(jsonschema.ValidationError, match="evironment"):
        jsonschema.Draft202012Validator(schema).validate(document)


@EACH
def test_images_have_a_full_version(service: Service) -> None:
    name, _, tag = service.image.rpartition(":")
    assert name
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?", tag)


def test_versions_are_those_that_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {service.image for service in OURS} == {f"tenure:{project['version']}"}
    assert FILE.service("kafka").image == f"apache/kafka:{KAFKA_VERSION}"


@EACH_OF_OURS
def test_each_variable_is_a_setting(service: Service) -> None:
    names = {name.removeprefix("TENURE_").lower() for name in service.environment}
    assert names - set(Settings.model_fields) <= {
        name.removeprefix("TENURE_").lower() for name in OTHERS
    }


@pytest.mark.parametrize("service", RUN_BY_TENURE, ids=lambda service: service.name)
def test_each_environment_makes_valid_settings(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    Settings()


def test_the_broker_starts_unless_there_is_a_kafka_of_ones_own() -> None:
    file = ComposeFile.read(OWN, OWN_KAFKA)
    assert FILE.started - file.started == {"kafka"}
    # Compose refuses a file in which something needs what is not started.
    needed = {
        (name, needs)
        for name in file.started
        for needs, how in file.service(name).own.get("depends_on", {}).items()
        if how.get("required", True)
    }
    assert {needs for _, needs in needed} <= file.started
    assert ("ingest", "topics") in needed
    assert FILE.service("topics").own["depends_on"]["kafka"]["condition"] == "service_healthy"


@pytest.mark.parametrize("missing", OWN)
def test_a_kafka_of_ones_own_is_named_and_has_a_number_of_replicas(missing: str) -> None:
    """The defaults are those of the file's broker, which nobody would reach, or lose data with."""
    with pytest.raises(VariableError, match=missing):
        ComposeFile.read(OWN | {missing: ""}, OWN_KAFKA)


def test_the_guide_and_the_file_say_how_the_broker_is_left_out() -> None:
    line = f"COMPOSE_FILE={PATH.name}:{OWN_KAFKA.relative_to(ROOT)}\n"
    assert line in OWN_KAFKA.read_text()
    assert line in (DOCS / "operations.md").read_text()


def test_whatever_is_said_of_kafka_reaches_every_service() -> None:
    """From the environment or `.env`."""
    own = {
        "TENURE_TOPIC_PREFIX": "crm-",
        "TENURE_KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9093",
        "TENURE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "TENURE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
        "TENURE_KAFKA_SASL_USERNAME": "tenure",
        "TENURE_KAFKA_SASL_PASSWORD": "secret",
        "TENURE_KAFKA_SSL_CA_FILE": "/etc/kafka/ca.crt",
        "TENURE_KAFKA_SSL_CERT_FILE": "/etc/kafka/tenure.crt",
        "TENURE_KAFKA_SSL_KEY_FILE": "/etc/kafka/tenure.key",
        "TENURE_KAFKA_SSL_KEY_PASSWORD": "secret",
    }
    named = {f"TENURE_{name}".upper() for name in Settings.model_fields if name.startswith("kafka")}
    assert set(own) == named | {"TENURE_TOPIC_PREFIX"}
    file = ComposeFile.read(own | {"TENURE_REPLICATION_FACTOR": "3"}, OWN_KAFKA)
    for service in (file.service(each.name) for each in RUN_BY_TENURE):
        assert own.items() <= service.environment.items()
        assert service.environment["TENURE_REPLICATION_FACTOR"] == "3"
        assert "/etc/kafka" in {mount.target for mount in service.mounts}
    assert not (named - {"TENURE_KAFKA_BOOTSTRAP_SERVERS"}) & set(OURS[0].environment)


def test_defaults_are_those_of_the_settings() -> None:
    """So that a person who reads either knows both; but for the broker, which is the file's own."""
    for name, default in variables().items():
        if name == "TENURE_KAFKA_BOOTSTRAP_SERVERS":
            continue
        field = name.removeprefix("TENURE_").lower()
        if name.startswith("TENURE_") and field in DEFAULTS:
            value = DEFAULTS[field]
            plain = getattr(value, "get_secret_value", lambda value=value: value)()
            assert default == str(plain), name


@pytest.mark.parametrize("service", RUN_BY_TENURE, ids=lambda service: service.name)
def test_each_command_is_one_of_the_command_line(service: Service) -> None:
    (command,) = service.command
    assert command in typer.main.get_command(app).commands
    assert service.name.rstrip("-23") == command


@pytest.mark.parametrize("name", ["ingest", "scorer", "scorer-2", "scorer-3", "campaigner"])
def test_ports_are_those_that_the_service_listens_on(name: str) -> None:
    service, kind = FILE.service(name), name.rstrip("-23")
    port = DEFAULTS[f"{kind}_port"]
    assert service.environment[f"TENURE_{kind.upper()}_HOST"] not in LOOPBACK
    assert all(published.target == port for published in service.ports)
    assert f"http://127.0.0.1:{port}/readyz" in service.health[-1]
    assert f"EXPOSE {DEFAULTS['ingest_port']} {DEFAULTS['scorer_port']} " in dockerfile()
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = [each for each in scraped["scrape_configs"] if each["job_name"] == kind]
    assert [each["port"] for each in job["dns_sd_configs"]] == [port]
    (names,) = [each["names"] for each in job["dns_sd_configs"]]
    assert set(names) <= {name, *_aliases(service)}


def _aliases(service: Service) -> list[str]:
    return service.own.get("networks", {}).get("default", {}).get("aliases", [])


@EACH
def test_what_is_published_is_published_to_this_machine_alone(service: Service) -> None:
    assert all(port.address in LOOPBACK for port in service.ports)


def test_no_two_services_want_the_same_port() -> None:
    ports = [port.port for service in FILE.services for port in service.ports]
    assert len(set(ports)) == len(ports)


@EACH
def test_what_is_mounted_exists_and_stays_as_it_is(service: Service) -> None:
    for mount in service.mounts:
        assert mount.source.exists(), mount
        assert mount.read_only, mount
    assert set(service.volumes) <= set(FILE.document["volumes"])


def test_each_volume_is_used() -> None:
    used = {volume for service in FILE.services for volume in service.volumes}
    assert used == set(FILE.document["volumes"])


@EACH_OF_OURS
def test_settings_name_files_that_are_mounted(service: Service) -> None:
    targets = {mount.target: mount.source for mount in service.mounts}
    for name, value in service.environment.items():
        if name.endswith("_FILE"):
            folder, _, file = value.rpartition("/")
            assert (targets[folder] / file).is_file()


@EACH
def test_services_wait_for_what_they_need(service: Service) -> None:
    for name, condition in service.own.get("depends_on", {}).items():
        if condition["condition"] == "service_healthy":
            assert FILE.service(name).health
    mentioned = "\n".join(service.environment.values())
    if f"{service.name}:" not in mentioned and "kafka:9092" in mentioned:
        assert set(service.own["depends_on"]) & {"kafka", "topics"}


def test_others_are_called_by_names_and_ports_that_they_have() -> None:
    ingest = FILE.service("ingest")
    assert f"http://ingest:{ingest.ports[0].target}" in FILE.service("load").command
    listeners = FILE.service("kafka").environment["KAFKA_ADVERTISED_LISTENERS"]
    assert "INTERNAL://kafka:9092" in listeners.split(",")
    host = listeners.split("HOST://")[1]
    (published,) = FILE.service("kafka").ports
    assert host == f"{published.address}:{published.port}"
    source = (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text()
    assert "http://prometheus:9090" in source
    assert FILE.service("prometheus").ports[0].target == 9090
    assert FILE.service("alertmanager").ports[0].target == 9093
    assert "alertmanager:9093" in (DEPLOY / "prometheus" / "prometheus.yml").read_text()


def test_scorers_are_told_apart() -> None:
    """Two with the same name would shut each other out for ever."""
    scorers = [service for service in OURS if service.command == ["scorer"]]
    names = [service.environment["TENURE_SCORER_INSTANCE"] for service in scorers]
    assert len(set(names)) == len(scorers) == 3
    assert all("scorer" in _aliases(service) for service in scorers)
    assert len(scorers) <= int(scorers[0].environment["TENURE_PARTITIONS"])


@EACH_OF_OURS
def test_ours_may_do_little(service: Service) -> None:
    assert service.own["read_only"] is True
    assert service.own["tmpfs"] == ["/tmp"]  # noqa: S108  # in the container
    assert service.own["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service.own["security_opt"]


def test_the_stop_waits_for_the_drain() -> None:
    from shared.adapters.http import GRACE_S

    seconds = int(FILE.service("ingest").own["stop_grace_period"].rstrip("s"))
    assert seconds > DEFAULTS["ingest_delivery_timeout_s"] + GRACE_S


def test_the_development_key_opens_everything_and_is_the_loads() -> None:
    ring = KeyRing(read_keys(DEPLOY / "compose" / "keys.yaml"))
    key = FILE.service("load").environment["TENURE_API_KEY"]
    caller = ring.authenticate(f"Bearer {key}")
    assert set(caller.allowed) == set(ANYONE.allowed)
    assert caller.speaks_for("//load.tenure/live")
    assert key in (DEPLOY / "compose" / "keys.yaml").read_text()


def test_the_campaigns_that_it_starts_with_are_valid() -> None:
    assert read_campaigns(DEPLOY / "compose" / "campaigns.yaml")


def test_no_password_is_in_the_file_but_for_development() -> None:
    for name, default in variables().items():
        if re.search(r"PASSWORD|KEY$", name):
            assert "development" in (default or "")


# ---- the image


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text()


def instructions(stage: int, kind: str) -> list[str]:
    text = re.sub(r"\\\n\s*", "", dockerfile())
    lines = text.split("\nFROM ")[stage].splitlines()
    return [line.removeprefix(f"{kind} ") for line in lines if line.startswith(f"{kind} ")]


def test_both_stages_have_the_same_python_and_it_is_one_of_ours() -> None:
    bases = re.findall(r"^FROM (\S+)", dockerfile(), re.MULTILINE)
    assert len(set(bases)) == 1
    version = re.fullmatch(r"python:3\.(\d+)\.\d+-slim-bookworm", bases[0])
    assert version
    assert 11 <= int(version[1]) < 14


def test_the_image_has_the_uv_of_the_lock() -> None:
    (version,) = re.findall(r'name = "uv"\nversion = "(.+)"', (ROOT / "uv.lock").read_text())
    assert f"uv=={version}" in dockerfile()


def test_the_image_is_not_run_by_root() -> None:
    (user,) = instructions(2, "USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)


def test_what_is_copied_is_let_into_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for line in instructions(1, "COPY"):
        for source in line.split()[:-1]:
            assert f"!{source}" in ignored
            assert (ROOT / source).exists()
