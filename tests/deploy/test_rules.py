"""Alert rules: that they load, fire when they should and only then, and lead to a runbook."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.rules_files import ALERTS, RECORDED, RULES, Rule, unknown_names
from tests.deploy.tools import DEPLOY, DOCS, ROOT, run

TESTS = Path(__file__).parent / "rules"
TEST_FILES = sorted(path for path in TESTS.glob("*.yml") if (RULES / path.name).exists())


def test_prometheus_takes_the_configuration() -> None:
    run("promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml")


def test_alertmanager_takes_its_configuration() -> None:
    run("amtool", "check-config", DEPLOY / "alertmanager" / "alertmanager.yml")


@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_alerts_go_to_whom_their_severity_names(severity: str) -> None:
    config = DEPLOY / "alertmanager" / "alertmanager.yml"
    run(
        "amtool",
        *("config", "routes", "test", f"--config.file={config}"),
        *(f"--verify.receivers={severity}", f"severity={severity}"),
    )


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(path: Path) -> None:
    run("promtool", "test", "rules", path.name, cwd=TESTS)


def test_each_file_of_rules_has_tests() -> None:
    assert {path.name for path in TEST_FILES} == {rule.file.name for rule in ALERTS}


def cases() -> dict[str, set[bool]]:
    """Return for each alert whether it was expected to fire and expected not to."""
    found: dict[str, set[bool]] = {}
    for path in TEST_FILES:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("alert_rule_test", ()):
                found.setdefault(case["alertname"], set()).add(bool(case.get("exp_alerts")))
    return found


@pytest.mark.parametrize("name", sorted({rule.name for rule in ALERTS}))
def test_each_alert_is_seen_to_fire_and_not_to(name: str) -> None:
    assert cases()[name] == {True, False}


@pytest.mark.parametrize("rule", [*ALERTS, *RECORDED], ids=lambda rule: rule.name)
def test_rules_ask_for_what_exists(rule: Rule) -> None:
    assert unknown_names(rule.expr) == set()


def test_what_is_recorded_is_asked_for() -> None:
    asked = "".join(rule.expr for rule in ALERTS)
    assert [rule.name for rule in RECORDED if rule.name not in asked] == []


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule.name)
def test_each_alert_leads_to_its_section_of_a_runbook(rule: Rule) -> None:
    assert rule.rule["labels"]["severity"] in {"page", "ticket"}
    link = rule.rule["annotations"]["runbook_url"]
    assert link == f"docs/runbooks/{rule.file.stem}.md#{rule.name.lower()}"
    headings = re.findall(r"^## (\w+)$", (ROOT / link.partition("#")[0]).read_text(), re.MULTILINE)
    assert rule.name in headings


def test_runbooks_have_no_section_of_an_alert_that_is_gone() -> None:
    headings = {
        heading
        for path in (DOCS / "runbooks").glob("*.md")
        for heading in re.findall(r"^## (Tenure\w+)$", path.read_text(), re.MULTILINE)
    }
    assert headings == {rule.name for rule in ALERTS}


def test_a_misspelt_metric_is_noticed() -> None:
    assert unknown_names('rate(tenure_ingest_requets_total{job="ingest"}[5m])') == {
        "tenure_ingest_requets_total"
    }
    assert unknown_names("sum(tenure_scorer_lag) > 3") == {"tenure_scorer_lag"}
