"""The declared metrics: how they are named, and who shows them."""

import pytest
from prometheus_client import Counter, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from shared import metrics

DECLARED = {
    name: metric for name, metric in vars(metrics).items() if isinstance(metric, MetricWrapperBase)
}
#: Units that Prometheus counts in, and what is counted.
UNITS = ("seconds", "bytes", "ratio", "currency", "nats", "records", "rows", "events", "info")
OF_ALL = ("tenure_build", "tenure_ready")
#: Gauges that count things or are flags, and bear the name of the thing.
THINGS = (
    "tenure_customers",
    "tenure_segment_customers",
    "tenure_customer_equity",
    "tenure_base_month_customers",
    "tenure_campaigner_customers",
    "tenure_campaigner_segment_customers",
    "tenure_campaigner_enrolled_customers",
    "tenure_campaigner_measured_customers",
    "tenure_campaigner_opted_out_customers",
    "tenure_campaigner_accepted_customers",
    "tenure_campaigner_complained_customers",
    "tenure_campaigner_offered_customers",
    "tenure_campaigner_offer_accepted_customers",
    "tenure_campaigner_file_valid",
    "tenure_campaigner_webhook_file_valid",
    "tenure_campaigner_webhook_working",
    "tenure_ingest_events_pending",
    "tenure_model_drifts",
    "tenure_model_labels",
    "tenure_model_promotions",
    "tenure_model_version",
    "tenure_model_warm",
    "tenure_scorer_partitions",
    *OF_ALL,
)


@pytest.mark.parametrize("name", DECLARED)
def test_names_begin_with_tenure_and_end_with_their_unit(name: str) -> None:
    (family,) = DECLARED[name].describe()
    assert family.name.startswith("tenure_")
    if not isinstance(DECLARED[name], Counter):
        assert family.name.endswith(UNITS) or family.name in THINGS
    assert family.documentation
    assert not {"customer", "customer_id", "subject"} & set(DECLARED[name]._labelnames)


@pytest.mark.parametrize("name", DECLARED)
def test_each_is_shown_by_the_one_service_that_it_is_of(name: str) -> None:
    (family,) = DECLARED[name].describe()
    showing = [
        service
        for service in metrics.SHOWN_BY
        if family.name in {one.name for one in metrics.of(service).collect()}
    ]
    assert len(showing) == (len(metrics.SHOWN_BY) if family.name in OF_ALL else 1)


@pytest.mark.parametrize("service", metrics.SHOWN_BY)
def test_the_process_itself_is_shown_by_every_service(service: str) -> None:
    page = generate_latest(metrics.of(service)).decode()
    assert 'tenure_build_info{version="' in page
    assert "process_start_time_seconds" in page
    assert "_created" not in page


def test_an_alert_sees_the_first_dead_letter_and_the_first_refusal() -> None:
    """A label's value that is not there before its first increment has no increase."""
    page = generate_latest(metrics.of("scorer")).decode()
    assert 'tenure_scorer_events_total{outcome="dead_letters"}' in page
    assert 'tenure_scorer_dead_letters_total{reason="field"}' in page
    assert 'tenure_ingest_events_refused_total{reason="unavailable"}' in (
        generate_latest(metrics.of("ingest")).decode()
    )


def test_every_reason_to_refuse_is_declared() -> None:
    from typing import get_args

    from services.ingest.refusal import Reason

    page = generate_latest(metrics.of("ingest")).decode()
    for reason in get_args(Reason):
        assert f'refused_total{{reason="{reason}"}}' in page
