"""Write docs/metrics.md, the table of every metric: ``python -m deploy.metrics_page``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from shared import metrics

PAGE: Final = Path(__file__).parents[1] / "docs" / "metrics.md"

_INTRODUCTION: Final = """\
# Metrics

What each service shows at `/metrics`, beside what the Prometheus client adds about the process
(`process_...`, `python_...`). Times are seconds, sizes bytes, shares ratios. A counter's name ends
in `_total`; of a histogram there are `_bucket`, `_sum` and `_count`. No metric has a customer in
its labels.

Dashboards are in `deploy/grafana`, alerts in `deploy/prometheus/rules`, and what to do about them
in [runbooks](runbooks). `make generated` writes this page from `shared/metrics.py`.
"""
_OF_ALL: Final = "Every service"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


def page() -> str:
    """Return the page as Markdown."""
    sections = "\n".join(_section(*each) for each in _by_service().items())
    return f"{_INTRODUCTION}\n{sections}"


def _section(title: str, declared: list[MetricWrapperBase]) -> str:
    rows = "\n".join(_row(metric) for metric in declared)
    return f"## {title}\n\n| metric | kind | labels | what |\n|---|---|---|---|\n{rows}\n"


def _row(metric: MetricWrapperBase) -> str:
    (family,) = metric.describe()
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001  # nothing public tells them
    return f"| `{_exposed(family)}` | {family.type} | {labels} | {family.documentation} |"


def _exposed(family: Metric) -> str:
    """Return the name under which Prometheus has it."""
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    return family.name + suffix


def _by_service() -> dict[str, list[MetricWrapperBase]]:
    found: dict[str, list[MetricWrapperBase]] = {
        title: [] for title in (_OF_ALL, *map(str.capitalize, metrics.SHOWN_BY))
    }
    for metric in _declared():
        (family,) = metric.describe()
        found[_service_of(family.name)].append(metric)
    return found


def _declared() -> Iterator[MetricWrapperBase]:
    """Yield all metrics in the order of their declaration."""
    for value in vars(metrics).values():
        if isinstance(value, MetricWrapperBase):
            yield value


def _service_of(name: str) -> str:
    for service, prefixes in metrics.SHOWN_BY.items():
        if name.startswith(prefixes):
            return service.capitalize()
    return _OF_ALL


if __name__ == "__main__":
    main()
