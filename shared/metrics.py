"""Every metric of Tenure, declared in this one place; tests hold docs/metrics.md to it.

Names follow Prometheus: the unit is in the name, counters end in ``_total``, times are seconds.
Count per batch and not per event: a labelled increment costs about a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
    disable_created_metrics,
)

#: From a fast local answer to one that waited for the whole delivery timeout, in seconds.
_LATENCY: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30)
#: From a single event to the largest batches, in events.
_BATCH: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)

# When counters began is what `process_start_time_seconds` tells, without a series for each.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: Which service shows what: all metrics are declared in every process, and one that a service has
#: nothing to do with would stand there as 0.
SHOWN_BY: Final = {
    "ingest": ("tenure_ingest_",),
    "scorer": (
        "tenure_scorer_",
        "tenure_customers",
        "tenure_segment_",
        "tenure_transitions",
        "tenure_model_",
    ),
    "campaigner": ("tenure_campaigner_", "tenure_customer_equity", "tenure_base_"),
}
_OF_ALL: Final = ("tenure_build", "tenure_ready")

# ---- every service ------------------------------------------------------------------------------

#: Which version runs; its value is always 1.
BUILD: Final = Info("tenure_build", "Version of Tenure")
BUILD.info({"version": version("tenure")})
#: What ``/readyz`` says, by `check`, asked anew for each scrape; `lifecycle` is 0 while it stops.
READY: Final = Gauge("tenure_ready", "Whether a check of readiness passes", ["check"])

# ---- ingest -----------------------------------------------------------------------------------

#: Events that were answered 202: Kafka has them on all in-sync replicas.
INGEST_ACCEPTED: Final = Counter(
    "tenure_ingest_events_accepted_total", "Events answered 202, acknowledged by Kafka"
)
#: Events of batches that were refused, good neighbours of bad ones included, by `reason`:
#: unreadable, invalid, forbidden, quota, overloaded, draining, unavailable.
INGEST_REFUSED: Final = Counter(
    "tenure_ingest_events_refused_total", "Events of requests that were refused", ["reason"]
)
#: Events that failed validation themselves.
INGEST_INVALID: Final = Counter(
    "tenure_ingest_events_invalid_total", "Events that failed validation"
)
#: Requests by `route` (events, ticks) and HTTP `status`.
INGEST_REQUESTS: Final = Counter(
    "tenure_ingest_requests_total", "Requests answered", ["route", "status"]
)
#: From the first byte of a request being read to its answer being ready.
INGEST_REQUEST_SECONDS: Final = Histogram(
    "tenure_ingest_request_seconds", "Time to answer a request", ["route"], buckets=_LATENCY
)
#: From a record being handed to the producer to all in-sync replicas having it.
INGEST_PUBLISH_SECONDS: Final = Histogram(
    "tenure_ingest_publish_seconds", "Time for Kafka to acknowledge a record", buckets=_LATENCY
)
#: How well gathering works: more events a record cost the scorer less.
INGEST_RECORD_EVENTS: Final = Histogram(
    "tenure_ingest_record_events", "Events in a published record", buckets=_BATCH
)
#: Events that were taken in and that Kafka has not answered for yet: all that ingest ever holds. It
#: has no spool, since a 202 says that Kafka has the event on all in-sync replicas.
INGEST_PENDING: Final = Gauge("tenure_ingest_events_pending", "Events waiting for Kafka")
#: The same in bytes.
INGEST_PENDING_BYTES: Final = Gauge("tenure_ingest_pending_bytes", "Bytes waiting for Kafka")

# ---- scorer -----------------------------------------------------------------------------------

#: Events made durable, by `outcome`: accepted = applied + duplicates + dead_letters + misplaced +
#: controls; late ones are among the applied.
SCORER_EVENTS: Final = Counter(
    "tenure_scorer_events_total", "Events whose outcome was made durable", ["outcome"]
)
#: Outputs by `kind`: scores, transitions, examples, dead_letters.
SCORER_OUTPUTS: Final = Counter("tenure_scorer_outputs_total", "Outputs made durable", ["kind"])
#: The dead letters among them by `reason`: unreadable (no event at all), time (of the future, or
#: none that can be), field (any other field is wrong).
SCORER_DEAD_LETTERS: Final = Counter(
    "tenure_scorer_dead_letters_total", "Events that became dead letters", ["reason"]
)
#: Changes of stage, by the stage `before` and `after`.
TRANSITIONS: Final = Counter(
    "tenure_transitions_total", "Changes of lifecycle stage", ["before", "after"]
)
#: Time to fold what was waiting, decoding included; the event loop is held for so long.
SCORER_FOLD_SECONDS: Final = Histogram(
    "tenure_scorer_fold_seconds", "Time to fold the records that were waiting", buckets=_LATENCY
)
#: Time of a transaction.
SCORER_COMMIT_SECONDS: Final = Histogram(
    "tenure_scorer_commit_seconds", "Time to commit states and outputs", buckets=_LATENCY
)
#: From a record being taken up to its states and outputs being durable.
SCORER_DURABLE_SECONDS: Final = Histogram(
    "tenure_scorer_durable_seconds", "Time from fold to durable state", buckets=_LATENCY
)
#: From the broker's append of a record to its states and outputs being durable.
SCORER_EVENT_SECONDS: Final = Histogram(
    "tenure_scorer_event_to_state_seconds",
    "Time from an event being in Kafka to it being in the state",
    buckets=(*_LATENCY, 60, 300, 3600),
)
#: Grows past the usual time of a transaction when the broker does not answer: a transaction that
#: fails ends the process, so nobody could read a count of failures.
SCORER_TRANSACTION_SECONDS: Final = Gauge(
    "tenure_scorer_transaction_open_seconds", "Age of the oldest transaction under way"
)
#: Partitions that are restored and being worked on.
SCORER_PARTITIONS: Final = Gauge("tenure_scorer_partitions", "Partitions owned")
#: Records of customer-events that are not durable in the state yet, by position, not by commit.
SCORER_LAG: Final = Gauge("tenure_scorer_lag_records", "Records behind the end of the log")
#: The same by Faust's commits, which is what tools that ask Kafka for lag see.
SCORER_COMMITTED_LAG: Final = Gauge(
    "tenure_scorer_committed_lag_records", "Records behind the end of the log, by commit"
)
#: How far the time of the slowest partition is behind the wall clock.
SCORER_WATERMARK_DELAY: Final = Gauge(
    "tenure_scorer_watermark_delay_seconds", "Wall clock minus the slowest partition's time"
)
#: Customers of this scorer's partitions, by stage.
CUSTOMERS: Final = Gauge("tenure_customers", "Customers in each lifecycle stage", ["stage"])
#: The same by segment, those who are in one.
SEGMENTS: Final = Gauge(
    "tenure_segment_customers", "Customers in each segment by RFM quintiles", ["segment"]
)
#: Without ids, profiles and ledgers.
SCORER_STATE_BYTES: Final = Gauge("tenure_scorer_state_bytes", "Memory of the customers' rows")
#: What it took to restore partitions at assignment.
SCORER_RESTORED_RECORDS: Final = Counter(
    "tenure_scorer_restored_records_total", "Changelog records read to restore state"
)
SCORER_RESTORE_SECONDS: Final = Histogram(
    "tenure_scorer_restore_seconds", "Time to restore a partition", buckets=(*_LATENCY, 60, 300)
)
#: Model versions that were to be activated and are missing or not signed by us.
SCORER_MODELS_REFUSED: Final = Counter(
    "tenure_scorer_models_refused_total", "Model versions that could not be trusted"
)
#: Found by a gap in the offsets, and read from the log: nothing is lost, but it should not happen.
SCORER_RECORDS_LEFT_OUT: Final = Counter(
    "tenure_scorer_records_left_out_total", "Records that the stream did not deliver"
)
#: The scorers were down for longer than `customer-events` is kept: this is loss.
SCORER_RECORDS_AGED_OUT: Final = Counter(
    "tenure_scorer_records_aged_out_total", "Offsets that Kafka deleted before they were read"
)

# ---- trainer (in the scorer that has the training log; NaN on the others) -----------------------

#: Labels in the learner; 0 on scorers that do not train.
MODEL_LABELS: Final = Gauge("tenure_model_labels", "Labels learned")
#: 0 while the learner has not shown a lower loss than the heuristic.
MODEL_WARM: Final = Gauge(
    "tenure_model_warm", "1 when the learned model is served, 0 when the heuristic is"
)
#: What decides that: losses by `predictor` (learner, heuristic), discounted by .999 a label.
MODEL_DISCOUNTED_LOSS: Final = Gauge(
    "tenure_model_discounted_log_loss_nats", "Log loss over about 1,000 labels", ["predictor"]
)
#: A label is known when its horizon has passed; both say how far the trainer is behind that.
MODEL_LABEL_DELAY: Final = Gauge(
    "tenure_model_label_delay_seconds", "Wall clock minus the time up to which labels are learned"
)
MODEL_AGE: Final = Gauge(
    "tenure_model_age_seconds", "Wall clock minus the last label time in the published model"
)
#: Newest version that was published.
MODEL_VERSION: Final = Gauge("tenure_model_version", "Newest published model version")
#: Prequential quality over the recent window (4,000 to 5,000 labels).
MODEL_AUC: Final = Gauge("tenure_model_auc_ratio", "Prequential AUC over recent labels")
MODEL_LOG_LOSS: Final = Gauge("tenure_model_log_loss_nats", "Prequential log loss, recent labels")
MODEL_ECE: Final = Gauge("tenure_model_calibration_error_ratio", "Prequential ECE, recent labels")
#: The same by `market`, over the newest 1,000 to 2,000 labels of each: at most the 20 largest, the
#: others together as `others`, and `none` of who names no market.
MODEL_MARKET_AUC: Final = Gauge(
    "tenure_model_market_auc_ratio", "Prequential AUC in a market, recent labels", ["market"]
)
MODEL_MARKET_LOG_LOSS: Final = Gauge(
    "tenure_model_market_log_loss_nats", "Prequential log loss in a market", ["market"]
)
MODEL_MARKET_ECE: Final = Gauge(
    "tenure_model_market_calibration_error_ratio", "Prequential ECE in a market", ["market"]
)
#: The challenger's log loss less the champion's; by `bound`: estimate, low, high.
MODEL_CHALLENGER: Final = Gauge(
    "tenure_model_challenger_difference_nats", "Log loss beyond the champion's", ["bound"]
)
MODEL_PROMOTIONS: Final = Gauge(
    "tenure_model_promotions", "Challengers that took the champion's place"
)
#: By ADWIN on the squared error; whoever takes over training goes on counting.
MODEL_DRIFTS: Final = Gauge("tenure_model_drifts", "Times that served predictions got worse")

# ---- campaigner -------------------------------------------------------------------------------

#: Records of customer-scores whose effects are in the database.
CAMPAIGNER_RECORDS: Final = Counter(
    "tenure_campaigner_records_total", "Records of customer-scores committed"
)
#: Of these, those that nobody could read: they are in dead-letter.
CAMPAIGNER_UNREADABLE: Final = Counter(
    "tenure_campaigner_unreadable_total", "Records of customer-scores that were unreadable"
)
#: Decisions whose outcome is final and in Kafka, by `campaign` and `outcome`.
CAMPAIGNER_DECISIONS: Final = Counter(
    "tenure_campaigner_decisions_total", "Decisions with a final outcome", ["campaign", "outcome"]
)
#: Triggers that Kafka acknowledged, by `campaign`; one that was sent again counts again.
CAMPAIGNER_TRIGGERS: Final = Counter(
    "tenure_campaigner_triggers_total", "Triggers that Kafka acknowledged", ["campaign"]
)
#: From the time of the event, or of the silence, that a trigger is about, until Kafka has it. What
#: waited for the end of quiet hours counts from there.
CAMPAIGNER_EVENT_SECONDS: Final = Histogram(
    "tenure_campaigner_event_to_trigger_seconds",
    "Time from an event to its trigger being in Kafka",
    buckets=(*_LATENCY, 60, 300, 3600),
)
#: Time of a transaction: position, read model, armings, decisions and outbox.
CAMPAIGNER_COMMIT_SECONDS: Final = Histogram(
    "tenure_campaigner_commit_seconds", "Time to commit a batch", buckets=_LATENCY
)
#: What waits in the outbox of the partitions owned, and since when the oldest does.
CAMPAIGNER_OUTBOX: Final = Gauge("tenure_campaigner_outbox_rows", "Rows that wait for Kafka")
CAMPAIGNER_OUTBOX_AGE: Final = Gauge(
    "tenure_campaigner_outbox_age_seconds", "Age of the oldest row that waits for Kafka"
)
#: Records of customer-scores behind the end of the partitions owned.
CAMPAIGNER_LAG: Final = Gauge("tenure_campaigner_lag_records", "Records behind the end of the log")
#: Customers of the whole read model, by `stage`: the same from every campaigner.
CAMPAIGNER_CUSTOMERS: Final = Gauge(
    "tenure_campaigner_customers", "Customers in the read model", ["stage"]
)
#: The same by `segment`: those of RFM quintiles, value bands, and those that are watched.
CAMPAIGNER_SEGMENTS: Final = Gauge(
    "tenure_campaigner_segment_customers", "Customers in the read model", ["segment"]
)
#: Customer equity, the sum of lifetime values, by `stage`; the same from every campaigner.
CUSTOMER_EQUITY: Final = Gauge(
    "tenure_customer_equity", "Sum of lifetime values in the reporting currency", ["stage"]
)
#: The month that the base is at, `by` market, brand, plan or all, and `name`: customers by `move`
#: (opening, gained, lost_silent, ...), and recurring revenue likewise (opening, new, churned, ...).
BASE_MONTH_CUSTOMERS: Final = Gauge(
    "tenure_base_month_customers", "Customers who came and went this month", ["by", "name", "move"]
)
BASE_MONTH_RECURRING: Final = Gauge(
    "tenure_base_month_recurring_currency",
    "How recurring revenue moved this month",
    ["by", "name", "move"],
)
#: A campaign's effect, by `campaign` (`*` for all together); the same from every campaigner. Uplift
#: has a `bound` (estimate, low, high), and none while too few are measured.
CAMPAIGNER_UNITS: Final = Gauge(
    "tenure_campaigner_enrolled_customers", "Customers enrolled, by arm", ["campaign", "arm"]
)
CAMPAIGNER_MEASURED: Final = Gauge(
    "tenure_campaigner_measured_customers", "Of these, with their window ended", ["campaign", "arm"]
)
CAMPAIGNER_OPTED_OUT: Final = Gauge(
    "tenure_campaigner_opted_out_customers",
    "Of those measured, with consent withdrawn",
    ["campaign", "arm"],
)
CAMPAIGNER_ACCEPTED: Final = Gauge(
    "tenure_campaigner_accepted_customers",
    "Of those measured, who accepted an offer",
    ["campaign", "arm"],
)
CAMPAIGNER_COMPLAINED: Final = Gauge(
    "tenure_campaigner_complained_customers",
    "Of those measured, who complained",
    ["campaign", "arm"],
)
CAMPAIGNER_UPLIFT: Final = Gauge(
    "tenure_campaigner_uplift_ratio",
    "Share retained, treatment less control",
    ["campaign", "bound"],
)
CAMPAIGNER_MARGIN_UPLIFT: Final = Gauge(
    "tenure_campaigner_margin_uplift_currency",
    "Margin per customer, treatment less control, reporting currency",
    ["campaign", "bound"],
)
CAMPAIGNER_CLV_UPLIFT: Final = Gauge(
    "tenure_campaigner_clv_uplift_currency",
    "Lifetime value per customer, treatment less control, reporting currency",
    ["campaign", "bound"],
)
CAMPAIGNER_COST: Final = Gauge(
    "tenure_campaigner_cost_currency", "Cost of measured contacts, reporting currency", ["campaign"]
)
CAMPAIGNER_RETURN: Final = Gauge(
    "tenure_campaigner_return_on_spend_ratio",
    "Margin that measured contacts brought less their cost, by that cost",
    ["campaign", "bound"],
)
CAMPAIGNER_BALANCE: Final = Gauge(
    "tenure_campaigner_balance_p_ratio",
    "Whether the arms are as large as meant; below .001 they are not",
    ["campaign"],
)
#: Each of several offers of a campaign, by `campaign` and `offer`: how many got it and are
#: measured, and how many of them accepted it.
CAMPAIGNER_OFFERED: Final = Gauge(
    "tenure_campaigner_offered_customers", "Measured, who got an offer", ["campaign", "offer"]
)
CAMPAIGNER_OFFER_ACCEPTED: Final = Gauge(
    "tenure_campaigner_offer_accepted_customers", "Of these, who accepted", ["campaign", "offer"]
)
#: What is left of a budget in its present period, by `scope` (all, campaign/NAME) and `span`.
CAMPAIGNER_BUDGET_LEFT: Final = Gauge(
    "tenure_campaigner_budget_left_ratio",
    "Share of a budget that is left today, this month, or in all",
    ["scope", "span"],
)
#: 1 when the campaign file is in force as it stands, 0 while an error keeps the former one.
CAMPAIGNER_FILE_VALID: Final = Gauge(
    "tenure_campaigner_file_valid", "Whether the campaign file is in force as it stands"
)
#: The same of the file of webhooks, and of the secrets that it names.
WEBHOOK_FILE_VALID: Final = Gauge(
    "tenure_campaigner_webhook_file_valid", "Whether the webhooks file is in force as it stands"
)
#: Tries of webhooks, by `endpoint` and `result`: delivered, failed, expired, given_up.
WEBHOOK_TRIES: Final = Counter(
    "tenure_campaigner_webhook_tries_total", "Tries of webhooks", ["endpoint", "result"]
)
#: 0 while nothing is sent to an `endpoint` any more, because it failed for too long or is gone.
WEBHOOK_WORKING: Final = Gauge(
    "tenure_campaigner_webhook_working", "Whether triggers are sent to an endpoint", ["endpoint"]
)


def of(service: str) -> CollectorRegistry:
    """Return what a service shows at ``/metrics``: its own, and the process's.

    >>> names = {metric.name for metric in of("ingest").collect()}
    >>> "tenure_build" in names, "tenure_scorer_lag_records" in names
    (True, False)

    """
    return _Shown((*_OF_ALL, *SHOWN_BY[service]))


class _Shown(CollectorRegistry):
    def __init__(self, prefixes: tuple[str, ...]) -> None:
        super().__init__()
        self._prefixes = prefixes

    def collect(self) -> Iterable[Metric]:
        for metric in REGISTRY.collect():
            if not metric.name.startswith("tenure_") or metric.name.startswith(self._prefixes):
                yield metric


def _declare_values(counter: Counter, *values: str) -> None:
    """Show a label's values from the start: Prometheus sees no increase in a value's first one."""
    for value in values:
        counter.labels(value)


_declare_values(
    INGEST_REFUSED,
    *("unreadable", "invalid", "forbidden", "quota", "overloaded", "draining", "unavailable"),
)
_declare_values(SCORER_DEAD_LETTERS, "unreadable", "time", "field")
_declare_values(
    SCORER_EVENTS,
    *("accepted", "applied", "duplicates", "dead_letters", "misplaced", "controls", "erased"),
    "late",
)
