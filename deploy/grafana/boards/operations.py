"""Operations: are events coming in, do they get through, and how long does it take."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panels import Board, Panel, Query, Section, quantile

_SERVICES: Final = 'job=~"ingest|scorer|campaigner"'
_INGEST: Final = 'job="ingest"'
_SCORER: Final = 'job="scorer"'
_EVENTS: Final = 'job="ingest",route="events"'

_OVERVIEW: Final = Section(
    "Now",
    (
        Panel(
            "Alerts firing",
            "Alerts of Tenure; Alertmanager shows them.",
            "short",
            (Query('count(ALERTS{alertname=~"Tenure.*",alertstate="firing"}) or vector(0)'),),
            width=4,
            number=True,
        ),
        Panel(
            "Processes",
            "Processes that Prometheus can read.",
            "short",
            (Query(f"sum by (job) (up{{{_SERVICES}}})", "{{job}}"),),
            width=6,
            number=True,
        ),
        Panel(
            "Events accepted",
            "Events answered 202: on all in-sync replicas.",
            "eps",
            (Query(f"sum(rate(tenure_ingest_events_accepted_total{{{_INGEST}}}[5m]))"),),
            width=4,
            number=True,
        ),
        Panel(
            "Lag",
            "Records that are not durable in the state yet, by position.",
            "short",
            (Query("tenure:scorer_lag_records:sum"),),
            width=3,
            number=True,
        ),
        Panel(
            "Event to state",
            "95 % of records are in the state after so long.",
            "s",
            (quantile(0.95, "tenure_scorer_event_to_state_seconds", _SCORER),),
            width=3,
            number=True,
        ),
        Panel(
            "Dead letters today",
            "Events that could not be processed; their bytes are in the topic dead-letter.",
            "short",
            (Query(f"sum(increase(tenure_scorer_dead_letters_total{{{_SCORER}}}[1d]))"),),
            width=4,
            number=True,
        ),
    ),
)

_INGEST_SECTION: Final = Section(
    "Ingest",
    (
        Panel(
            "Events",
            "Accepted, and refused by reason: good neighbours of bad events included.",
            "eps",
            (
                Query(
                    f"sum(rate(tenure_ingest_events_accepted_total{{{_INGEST}}}[$__rate_interval]))",
                    "accepted",
                ),
                Query(
                    "sum by (reason)"
                    f" (rate(tenure_ingest_events_refused_total{{{_INGEST}}}[$__rate_interval]))",
                    "{{reason}}",
                ),
                Query(
                    f"sum(rate(tenure_ingest_events_invalid_total{{{_INGEST}}}[$__rate_interval]))",
                    "invalid themselves",
                ),
            ),
        ),
        Panel(
            "Requests by status",
            "What senders are answered.",
            "reqps",
            (
                Query(
                    "sum by (status)"
                    f" (rate(tenure_ingest_requests_total{{{_INGEST}}}[$__rate_interval]))",
                    "{{status}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Time to answer",
            "From the first byte being read to the answer; waiting for company and for Kafka is"
            " in it.",
            "s",
            tuple(
                quantile(share, "tenure_ingest_request_seconds", _EVENTS)
                for share in (0.5, 0.95, 0.99)
            ),
        ),
        Panel(
            "Objectives, last hour",
            "Lost: answered 5xx (at most 0.1 %). Slow: after more than 250 ms (at most 1 %). Both"
            " are meant over 30 days.",
            "percentunit",
            (
                Query("tenure:ingest_requests_lost:ratio_rate1h", "lost"),
                Query("tenure:ingest_requests_slow:ratio_rate1h", "slow"),
            ),
        ),
        Panel(
            "Kafka's acknowledgement",
            "From handing a record over to all in-sync replicas having it.",
            "s",
            tuple(
                quantile(share, "tenure_ingest_publish_seconds", _INGEST)
                for share in (0.5, 0.95, 0.99)
            ),
        ),
        Panel(
            "Events a record",
            "How well gathering works: more events a record cost the scorer less.",
            "short",
            (
                Query(
                    f"sum(rate(tenure_ingest_record_events_sum{{{_INGEST}}}[$__rate_interval]))"
                    " / sum(rate(tenure_ingest_record_events_count"
                    f"{{{_INGEST}}}[$__rate_interval]))",
                    "mean",
                ),
            ),
        ),
        Panel(
            "Waiting for Kafka",
            "Events that were taken in and not acknowledged yet.",
            "short",
            (Query(f"tenure_ingest_events_pending{{{_INGEST}}}", "{{instance}}"),),
            width=12,
        ),
        Panel(
            "Bytes waiting for Kafka",
            "The same in bytes; ingest refuses more than TENURE_INGEST_MAX_PENDING_BYTES.",
            "bytes",
            (Query(f"tenure_ingest_pending_bytes{{{_INGEST}}}", "{{instance}}"),),
            width=12,
        ),
    ),
)

_SCORER_SECTION: Final = Section(
    "Scorer",
    (
        Panel(
            "Events by outcome",
            "accepted = applied + duplicates + dead_letters + misplaced + controls + erased; late"
            " ones are among the applied.",
            "eps",
            (
                Query(
                    "sum by (outcome)"
                    f" (rate(tenure_scorer_events_total{{{_SCORER}}}[$__rate_interval]))",
                    "{{outcome}}",
                ),
            ),
        ),
        Panel(
            "Outputs",
            "Made durable in the same transactions as the states.",
            "eps",
            (
                Query(
                    f"sum by (kind) (rate(tenure_scorer_outputs_total{{{_SCORER}}}"
                    "[$__rate_interval]))",
                    "{{kind}}",
                ),
            ),
        ),
        Panel(
            "Event to state",
            "From the broker's append to states and outputs being durable.",
            "s",
            tuple(
                quantile(share, "tenure_scorer_event_to_state_seconds", _SCORER)
                for share in (0.5, 0.95, 0.99)
            ),
        ),
        Panel(
            "Gaps in the log",
            "Left out: not delivered to a scorer, which read them from the log; nothing is lost."
            " Aged out: deleted by Kafka before a scorer read them, which is loss.",
            "short",
            (
                Query(f"tenure_scorer_records_left_out_total{{{_SCORER}}}", "{{instance}} left"),
                Query(f"tenure_scorer_records_aged_out_total{{{_SCORER}}}", "{{instance}} aged"),
            ),
        ),
        Panel(
            "Lag",
            "Records behind the end of the log: what is not durable, and what Kafka's tools see.",
            "short",
            (
                Query(f"tenure_scorer_lag_records{{{_SCORER}}}", "{{instance}} by position"),
                Query(
                    f"tenure_scorer_committed_lag_records{{{_SCORER}}}", "{{instance}} by commit"
                ),
            ),
        ),
        Panel(
            "Transactions",
            "Time to fold records and to commit what they changed; the open one is how long the"
            " oldest has been under way.",
            "s",
            (
                Query(
                    "histogram_quantile(0.95, sum by (le)"
                    f" (rate(tenure_scorer_fold_seconds_bucket{{{_SCORER}}}[$__rate_interval])))",
                    "fold p95",
                ),
                Query(
                    "histogram_quantile(0.95, sum by (le)"
                    f" (rate(tenure_scorer_commit_seconds_bucket{{{_SCORER}}}[$__rate_interval])))",
                    "commit p95",
                ),
                Query(
                    "histogram_quantile(0.95, sum by (le) (rate("
                    f"tenure_scorer_durable_seconds_bucket{{{_SCORER}}}[$__rate_interval])))",
                    "fold to durable p95",
                ),
                Query(f"max(tenure_scorer_transaction_open_seconds{{{_SCORER}}})", "open"),
            ),
        ),
        Panel(
            "Time behind the clock",
            "Wall clock minus the time of the slowest partition.",
            "s",
            (Query(f"tenure_scorer_watermark_delay_seconds{{{_SCORER}}}", "{{instance}}"),),
        ),
        Panel(
            "Partitions",
            "Who owns how many; together they are all that customer-events has.",
            "short",
            (Query(f"tenure_scorer_partitions{{{_SCORER}}}", "{{instance}}"),),
            stacked=True,
        ),
        Panel(
            "State",
            "Memory of the customers' rows, without ids and profiles.",
            "bytes",
            (Query(f"tenure_scorer_state_bytes{{{_SCORER}}}", "{{instance}}"),),
            stacked=True,
        ),
        Panel(
            "Restored",
            "Partitions restored since the process started, the records that took, and the mean"
            " time of one.",
            "short",
            (
                Query(f"tenure_scorer_restore_seconds_count{{{_SCORER}}}", "{{instance}} times"),
                Query(f"tenure_scorer_restored_records_total{{{_SCORER}}}", "{{instance}} records"),
                Query(
                    f"tenure_scorer_restore_seconds_sum{{{_SCORER}}}"
                    f" / tenure_scorer_restore_seconds_count{{{_SCORER}}}",
                    "{{instance}} seconds",
                ),
            ),
        ),
        Panel(
            "Dead letters",
            "By why they are ones.",
            "eps",
            (
                Query(
                    "sum by (reason)"
                    f" (rate(tenure_scorer_dead_letters_total{{{_SCORER}}}[$__rate_interval]))",
                    "{{reason}}",
                ),
            ),
        ),
    ),
)

_PROCESSES: Final = Section(
    "Processes",
    (
        Panel(
            "Readiness",
            "1 where a check passes; /readyz gives the reason when it does not.",
            "short",
            (Query(f"tenure_ready{{{_SERVICES}}}", "{{job}} {{instance}} {{check}}"),),
        ),
        Panel(
            "CPU",
            "Cores in use; a service's loop uses at most about one.",
            "short",
            (
                Query(
                    f"rate(process_cpu_seconds_total{{{_SERVICES}}}[$__rate_interval])",
                    "{{job}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Memory",
            "Resident.",
            "bytes",
            (
                Query(
                    f"process_resident_memory_bytes{{{_SERVICES}}}",
                    "{{job}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Starts within the last hour",
            "A process that keeps ending says why in its log.",
            "short",
            (
                Query(
                    f"changes(process_start_time_seconds{{{_SERVICES}}}[1h])",
                    "{{job}} {{instance}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "Versions",
            "Processes by the version that they run.",
            "short",
            (
                Query(
                    f"count by (job, version) (tenure_build_info{{{_SERVICES}}})",
                    "{{job}} {{version}}",
                ),
            ),
            width=12,
        ),
    ),
)

OPERATIONS: Final = Board(
    "tenure-operations",
    "Tenure: operations",
    "Are events coming in, do they get through, and how long does it take.",
    (_OVERVIEW, _INGEST_SECTION, _SCORER_SECTION, _PROCESSES),
)
