"""How many customers are in each stage and segment, by everybody who counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from shared.domain.rfm import SEGMENTS
from tests.faults.expected import folded
from tests.faults.services import Service
from tests.http import http
from tests.support.cluster import Cluster

#: By what is counted (stage, segment) and its name.
Counts = dict[tuple[str, str], int]


@dataclass(frozen=True)
class Counted:
    """Customers by stage and by segment, of those that somebody is in.

    Attributes
    ----------
    scorers, campaigner
        In their metrics.
    sql
        In the read model.
    log
        In a fold of the log in this process, up to where the scorers' states stand.

    """

    scorers: Counts
    campaigner: Counts
    sql: Counts
    log: Counts

    @property
    def agree(self) -> bool:
        """Whether all count the same, and somebody is in a segment."""
        same = self.scorers == self.campaigner == self.sql == self.log
        return same and any(of == "segment" for of, _ in self.log)


def count(cluster: Cluster, scorers: Sequence[Service], campaigner: Service) -> Counted:
    """Count in each place; while time passes and gauges are old, they may differ."""
    offsets = {number: at for one in scorers for number, at in one.partitions().items()}
    log = folded(cluster, [offsets.get(number, 0) for number in range(cluster.settings.partitions)])
    stages = (campaigner.get("/v1/stages") or {"stages": {}})["stages"]
    segments = (campaigner.get("/v1/segments") or {"segments": {}})["segments"]
    return Counted(
        scorers=_sum(*(gauges(one, "tenure_customers", "tenure_segment_") for one in scorers)),
        campaigner=_sum(
            gauges(campaigner, "tenure_campaigner_customers", "tenure_campaigner_segment_")
        ),
        sql=_sum(_named("stage", stages), _named("segment", segments)),
        log=_sum(
            *(_named("stage", one.partition.stages()) for one in log),
            *(_named("segment", one.partition.segments()) for one in log),
        ),
    )


def gauges(service: Service, *names: str) -> Counts:
    """Return gauges of customers by stage and by segment, whose names begin so."""
    try:
        text = http.get(f"{service.url}/metrics", timeout=5).text
    except httpx.TransportError:
        return {}
    return {
        label: int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(names)
        for label in sample.labels.items()
    }


def _named(of: str, counts: Mapping[str, int]) -> Counts:
    return {(of, name): number for name, number in counts.items()}


def _sum(*counts: Counts) -> Counts:
    """Add up, but for segments that scorers do not count."""
    total: Counter[tuple[str, str]] = Counter()
    for each in counts:
        total.update(each)
    return {
        (of, name): number
        for (of, name), number in total.items()
        if number and (of == "stage" or name in SEGMENTS)
    }
