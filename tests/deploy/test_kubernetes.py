"""The Kubernetes manifests: valid by Kubernetes' own schemas, and in agreement with the code."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from services.campaigner.campaign_file import read_campaigns
from services.cli import app
from shared import topics
from shared.adapters.http import GRACE_S
from shared.settings import LOOPBACK, Settings
from tests.deploy.test_compose import instructions
from tests.deploy.tools import DEPLOY, ROOT

FOLDER = DEPLOY / "kubernetes"
#: The oldest that is maintained, and the newest that the schemas know.
VERSIONS = ("1.34", kubernetes_validate.latest_version())
Object = dict[str, Any]


def documents(folder: Path) -> Iterator[Object]:
    """Yield the objects of a kustomization."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        yield from yaml.safe_load_all((folder / name).read_text())


OBJECTS = list(documents(FOLDER))
WORKLOADS = [one for one in OBJECTS if one["kind"] in ("Deployment", "StatefulSet", "Job")]
SERVICES = [one for one in WORKLOADS if one["kind"] != "Job"]
EACH_WORKLOAD = pytest.mark.parametrize(
    "workload", WORKLOADS, ids=lambda one: one["metadata"]["name"]
)
EACH_SERVICE = pytest.mark.parametrize(
    "workload", SERVICES, ids=lambda one: one["metadata"]["name"]
)


def settings_file() -> dict[str, str]:
    lines = (FOLDER / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def pod(workload: Object) -> Object:
    return workload["spec"]["template"]["spec"]


def container(workload: Object) -> Object:
    (only,) = pod(workload)["containers"]
    return only


def named(kind: str, name: str) -> Object:
    (found,) = [one for one in OBJECTS if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "manifest", OBJECTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}"
)
def test_kubernetes_knows_every_field(manifest: Object, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelling_is_noticed() -> None:
    manifest = named("PodDisruptionBudget", "scorer")
    wrong = manifest | {"spec": {"maxUnavailabel": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_every_file_is_part_of_the_kustomization() -> None:
    for folder in (FOLDER, FOLDER / "autoscaling", FOLDER / "monitoring"):
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        listed = {"kustomization.yaml", *kustomization["resources"]}
        for generator in kustomization.get("configMapGenerator", ()):
            listed |= {*generator.get("envs", ()), *generator.get("files", ())}
        assert {path.name for path in folder.iterdir() if path.is_file()} == listed


@EACH_WORKLOAD
def test_each_runs_a_command_of_the_image(workload: Object) -> None:
    (command,) = container(workload)["args"]
    assert command in typer.main.get_command(app).commands
    assert container(workload)["image"] == "tenure"


def test_the_image_is_of_this_version() -> None:
    import tomllib

    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert [image["newTag"] for image in kustomization["images"]] == [version]


def test_the_settings_are_settings_and_valid_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name.removeprefix("TENURE_").lower() for name in settings_file()} <= set(
        Settings.model_fields
    )
    for name, value in settings_file().items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    hosts = {settings.ingest_host, settings.scorer_host, settings.campaigner_host}
    assert not hosts & LOOPBACK
    assert settings.replication_factor == 3


@EACH_SERVICE
def test_variables_of_their_own_are_settings(workload: Object) -> None:
    for variable in container(workload).get("env", ()):
        assert variable["name"].removeprefix("TENURE_").lower() in Settings.model_fields
        assert "value" not in variable  # a name or a secret: values are in settings.env


@EACH_SERVICE
def test_ports_and_probes_are_the_services_own(workload: Object) -> None:
    name = workload["metadata"]["name"]
    (port,) = container(workload)["ports"]
    assert port["containerPort"] == Settings.model_fields[f"{name}_port"].default
    assert named("Service", name)["spec"]["ports"][0]["port"] == port["containerPort"]
    for probe, path in (("liveness", "/livez"), ("startup", "/livez"), ("readiness", "/readyz")):
        assert container(workload)[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "http"}


@EACH_SERVICE
def test_selectors_select_the_pods(workload: Object) -> None:
    name = workload["metadata"]["name"]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"] == labels
    assert named("Service", name)["spec"]["selector"] == labels
    budget = named("PodDisruptionBudget", name)["spec"]
    assert budget["selector"]["matchLabels"] == labels
    assert budget["maxUnavailable"] < workload["spec"]["replicas"]


@EACH_SERVICE
def test_files_that_settings_name_are_mounted(workload: Object) -> None:
    mounted = {mount["mountPath"] for mount in container(workload)["volumeMounts"]}
    wanted = {
        value.rpartition("/")[0]
        for variable, value in settings_file().items()
        if variable.endswith("_FILE") and reader_of(variable) == workload["metadata"]["name"]
    }
    assert mounted - {"/tmp"} == wanted  # noqa: S108  # in the container
    volumes = {volume["name"] for volume in pod(workload)["volumes"]}
    assert {mount["name"] for mount in container(workload)["volumeMounts"]} == volumes


def reader_of(variable: str) -> str:
    return "campaigner" if "CAMPAIGN" in variable else "ingest"


@EACH_WORKLOAD
def test_pods_may_do_little(workload: Object) -> None:
    security = pod(workload)["securityContext"]
    (user,) = instructions(2, "USER")
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == user
    assert security["runAsNonRoot"] is True
    assert pod(workload)["automountServiceAccountToken"] is False
    assert container(workload)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_scorers_member_id_is_its_own_and_stays() -> None:
    scorer = named("StatefulSet", "scorer")
    variables = {each["name"]: each for each in container(scorer)["env"]}
    source = variables["TENURE_SCORER_INSTANCE"]["valueFrom"]
    assert source == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert scorer["spec"]["serviceName"] == "scorer"
    assert named("Service", "scorer")["spec"]["clusterIP"] == "None"


def test_ingest_may_drain_before_it_is_killed() -> None:
    ingest = named("Deployment", "ingest")
    pause = int(container(ingest)["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = Settings.model_fields["ingest_delivery_timeout_s"].default
    assert pod(ingest)["terminationGracePeriodSeconds"] > pause + drain + GRACE_S


def test_scorers_scale_by_the_lag_of_their_group_up_to_one_a_partition() -> None:
    from services.scorer.stream import create_app

    (scaled,) = documents(FOLDER / "autoscaling")
    settings = Settings(partitions=int(settings_file()["TENURE_PARTITIONS"]))
    target = scaled["spec"]["scaleTargetRef"]
    assert named(target["kind"], target["name"])
    assert scaled["spec"]["maxReplicaCount"] == settings.partitions
    (trigger,) = scaled["spec"]["triggers"]
    asked = trigger["metadata"]
    assert asked["topic"] == settings.topic(topics.CUSTOMER_EVENTS.name)
    assert asked["consumerGroup"] == create_app(settings, None).conf.id  # type: ignore[arg-type]
    assert asked["bootstrapServers"] == settings_file()["TENURE_KAFKA_BOOTSTRAP_SERVERS"]


def patched(workload: Object) -> Object:
    """Return a workload as the component secure-kafka makes it."""
    component = yaml.safe_load((FOLDER / "secure-kafka" / "kustomization.yaml").read_text())
    (patch,) = component["patches"]
    assert workload["kind"] in patch["target"]["kind"].split("|")
    key, _, value = patch["target"]["labelSelector"].partition("=")
    assert workload["metadata"]["labels"][key] == value
    result = copy.deepcopy(workload)
    for step in yaml.safe_load(patch["patch"]):
        *way, last = step["path"].removeprefix("/").split("/")
        assert (step["op"], last) == ("add", "-")
        place: Any = result
        for name in way:
            place = place[int(name) if isinstance(place, list) else name]
        place.append(step["value"])
    return result


@EACH_WORKLOAD
def test_each_can_be_given_a_password_for_kafka(workload: Object) -> None:
    result = patched(workload)
    kubernetes_validate.validate(result, VERSIONS[0], strict=True)
    assert {"secretRef": {"name": "tenure-kafka"}} in container(result)["envFrom"]
    (folder,) = [
        each["mountPath"] for each in container(result)["volumeMounts"] if each["name"] == "kafka"
    ]
    guide = (ROOT / "docs" / "operations.md").read_text()
    assert f"TENURE_KAFKA_SSL_CA_FILE={folder}/ca.crt" in guide


def test_jobs_have_the_names_that_rules_select_by() -> None:
    (monitor,) = documents(FOLDER / "monitoring")
    label = monitor["spec"]["jobLabel"]
    jobs = {one["spec"]["template"]["metadata"]["labels"][label] for one in SERVICES}
    (selected,) = monitor["spec"]["selector"]["matchExpressions"]
    assert jobs == {"ingest", "scorer", "campaigner"} == set(selected["values"])


def test_no_secret_is_in_the_repository() -> None:
    assert not [one for one in OBJECTS if one["kind"] == "Secret"]
    wanted = {
        variable["valueFrom"]["secretKeyRef"]["key"]
        for workload in SERVICES
        for variable in container(workload).get("env", ())
        if "secretKeyRef" in variable["valueFrom"]
    }
    guide = (ROOT / "docs" / "operations.md").read_text()
    assert wanted == {"model-key", "erasure-key", "database-url", "control-salt", "console-secret"}
    assert all(f"--from-literal={key}=" in guide for key in wanted)


def test_the_campaigns_are_valid_and_contact_nobody_yet() -> None:
    book = read_campaigns(FOLDER / "campaigns.yaml")
    assert {campaign.state for campaign in book.campaigns} == {"draft"}
