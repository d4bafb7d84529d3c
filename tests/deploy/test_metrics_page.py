"""docs/metrics.md against the code."""

from deploy.metrics_page import PAGE, page
from shared import metrics


def test_the_page_lists_every_metric() -> None:
    """Otherwise run `make generated`."""
    assert PAGE.read_text() == page()


def test_names_are_those_that_prometheus_has() -> None:
    text = page()
    assert "| `tenure_ingest_events_accepted_total` | counter |  |" in text
    assert "| `tenure_ingest_requests_total` | counter | `route`, `status` |" in text
    assert "| `tenure_build_info` | info |" in text
    assert text.index("## Scorer") < text.index("`tenure_model_warm`") < text.index("## Campaigner")
    assert text.count("\n## ") == 1 + len(metrics.SHOWN_BY)
