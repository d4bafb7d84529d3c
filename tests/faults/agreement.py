"""How many customers are in each stage, by everybody who counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.expected import folded
from tests.faults.services import Service
from tests.support.cluster import Cluster

Stages = dict[str, int]


@dataclass(frozen=True)
class Counted:
    """Customers by stage, those of stages that somebody is in.

    Attributes
    ----------
    scorers, campaigner
        In their metrics.
    sql
        In the read model.
    log
        In a fold of the log in this process, up to where the scorers' states stand.

    """

    scorers: Stages
    campaigner: Stages
    sql: Stages
    log: Stages

    @property
    def agree(self) -> bool:
        return self.scorers == self.campaigner == self.sql == self.log and bool(self.log)


def count(cluster: Cluster, scorers: Sequence[Service], campaigner: Service) -> Counted:
    """Count in each place; while time passes and gauges are old, they may differ."""
    offsets = {number: at for one in scorers for number, at in one.partitions().items()}
    log = folded(cluster, [offsets.get(number, 0) for number in range(cluster.settings.partitions)])
    page = campaigner.get("/v1/stages") or {"stages": {}}
    return Counted(
        scorers=_sum(*(_gauge(one, "tenure_customers") for one in scorers)),
        campaigner=_sum(_gauge(campaigner, "tenure_campaigner_customers")),
        sql=_sum(page["stages"]),
        log=_sum(*(one.partition.stages() for one in log)),
    )


def _gauge(service: Service, name: str) -> Stages:
    try:
        text = httpx.get(f"{service.url}/metrics", timeout=5, trust_env=False).text
    except httpx.TransportError:
        return {}
    return {
        sample.labels["stage"]: int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def _sum(*counts: Stages) -> Stages:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return {stage: number for stage, number in total.items() if number}
