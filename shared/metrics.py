"""Every metric of Tenure, declared in this one place; tests hold docs/metrics.md to it.

Names follow Prometheus: the unit is in the name, counters end in ``_total``, times are seconds.
Count per batch and not per event: a labelled increment costs about a microsecond.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

#: From a fast local answer to one that waited for the whole delivery timeout, in seconds.
_LATENCY: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30)
#: From a single event to the largest batches, in events.
_BATCH: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)

# ---- ingest -----------------------------------------------------------------------------------

#: Events that were answered 202: Kafka has them on all in-sync replicas.
INGEST_ACCEPTED: Final = Counter(
    "tenure_ingest_events_accepted_total", "Events answered 202, acknowledged by Kafka"
)
#: Events of batches that were refused, good neighbours of bad ones included, by `reason`:
#: invalid, forbidden, quota, overloaded, draining, unavailable.
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
#: Events that were taken in and that Kafka has not answered for yet.
INGEST_PENDING: Final = Gauge("tenure_ingest_events_pending", "Events waiting for Kafka")
#: The same in bytes.
INGEST_PENDING_BYTES: Final = Gauge("tenure_ingest_pending_bytes", "Bytes waiting for Kafka")

# ---- scorer -----------------------------------------------------------------------------------

# ---- campaigner -------------------------------------------------------------------------------
