"""Alert and recording rules as they are in their files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.metrics import MetricWrapperBase

from shared import metrics
from tests.deploy.tools import DEPLOY

RULES = DEPLOY / "prometheus" / "rules"
#: What Prometheus and the client library add by themselves.
FOREIGN = {
    "ALERTS",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "up",
}
_SUFFIXES = ("_total", "_bucket", "_count", "_sum", "_info", "")


@dataclass(frozen=True)
class Rule:
    """One rule of a file."""

    file: Path
    name: str
    expr: str
    rule: dict[str, Any]


def rules(kind: str) -> Iterator[Rule]:
    """Yield the rules of a kind, ``alert`` or ``record``."""
    for path in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if kind in rule:
                    yield Rule(path, rule[kind], rule["expr"], rule)


ALERTS = list(rules("alert"))
RECORDED = list(rules("record"))


def unknown_names(expr: str) -> set[str]:
    """Return the names in an expression that nobody declares, shows or records."""
    known = FOREIGN | {rule.name for rule in RECORDED}
    return {name for name in names(expr) if name not in known and not _is_declared(name)}


def names(expr: str) -> set[str]:
    """Return the names of series that an expression selects."""
    plain = re.sub(r'"[^"]*"', '""', expr)
    selected = re.findall(r"[a-zA-Z_:][\w:]*(?=\{)", plain)
    return {*selected, *re.findall(r"\btenure[\w:]*", plain)}


_FAMILIES = {
    family.name: type(metric)
    for metric in vars(metrics).values()
    if isinstance(metric, MetricWrapperBase)
    for family in metric.describe()
}


def _is_declared(name: str) -> bool:
    return any(name == family + suffix for family in _FAMILIES for suffix in _SUFFIXES)
