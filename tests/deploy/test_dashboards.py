"""The dashboards: that Grafana gets what the code says, and that it asks for what exists."""

import json
import re
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from deploy.grafana.boards import BOARDS
from deploy.grafana.generate import FOLDER, rendered
from deploy.grafana.panels import Board
from shared import metrics
from tests.deploy.compose import ComposeFile
from tests.deploy.rules_files import ALERTS, RECORDED, unknown_names
from tests.deploy.tools import DEPLOY

EACH_BOARD = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)


def panels(board: Board) -> list[dict[str, Any]]:
    return [each for each in json.loads(rendered(board))["panels"] if each["type"] != "row"]


@EACH_BOARD
def test_the_files_are_what_the_code_makes(board: Board) -> None:
    """Otherwise run `make generated`."""
    assert (FOLDER / f"{board.uid}.json").read_text() == rendered(board)


def test_no_file_is_left_of_a_board_that_is_gone() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{board.uid}.json" for board in BOARDS}


@EACH_BOARD
def test_panels_say_what_they_show_and_lie_beside_each_other(board: Board) -> None:
    found = panels(board)
    ids = [panel["id"] for panel in json.loads(rendered(board))["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        assert panel["description"]
        assert panel["targets"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


@EACH_BOARD
def test_panels_ask_for_what_exists(board: Board) -> None:
    for panel in panels(board):
        for target in panel["targets"]:
            assert unknown_names(target["expr"]) == set(), panel["title"]
            assert target["datasource"]["uid"] == "${datasource}"


def test_no_metric_is_in_vain() -> None:
    """Each is on a dashboard, or an alert asks for it."""
    asked = "\n".join(
        [rendered(board) for board in BOARDS] + [rule.expr for rule in [*ALERTS, *RECORDED]]
    )
    families = [
        family.name
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
    ]
    assert [name for name in families if not re.search(rf"\b{name}", asked)] == []


def test_grafana_finds_the_dashboards_and_prometheus() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]
    provided = yaml.safe_load((provisioning / "dashboards" / "tenure.yml").read_text())
    mounts = {each.target: each.source for each in ComposeFile.read().service("grafana").mounts}
    (path,) = [provider["options"]["path"] for provider in provided["providers"]]
    assert mounts[path] == FOLDER
    assert mounts["/etc/grafana/provisioning"] == provisioning
