"""Campaigns: what was decided, what left, and what waits."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panels import Board, Panel, Query, Section, quantile

_JOB: Final = 'job="campaigner"'
_UNTIL_DECIDED: Final = "a customer crosses a campaign's threshold"
_UNTIL_FIRED: Final = "a first trigger leaves"

_DECISIONS: Final = Section(
    "Decisions",
    (
        Panel(
            "Decisions today",
            "By outcome: fired, held out for comparison, suppressed by a check, expired.",
            "short",
            (
                Query(
                    f"sum by (outcome) (increase(tenure_campaigner_decisions_total{{{_JOB}}}[1d]))",
                    "{{outcome}}",
                    _UNTIL_DECIDED,
                ),
            ),
            width=12,
            number=True,
        ),
        Panel(
            "Triggers today",
            "Acknowledged by Kafka; one that was sent again counts again.",
            "short",
            (
                Query(
                    f"sum by (campaign) (increase(tenure_campaigner_triggers_total{{{_JOB}}}[1d]))",
                    "{{campaign}}",
                    _UNTIL_FIRED,
                ),
            ),
            width=12,
            number=True,
        ),
        Panel(
            "Decisions, an hour",
            "By campaign and outcome.",
            "short",
            (
                Query(
                    "sum by (campaign, outcome)"
                    f" (increase(tenure_campaigner_decisions_total{{{_JOB}}}[1h]))",
                    "{{campaign}} {{outcome}}",
                    _UNTIL_DECIDED,
                ),
            ),
            width=12,
        ),
        Panel(
            "Triggers, an hour",
            "By campaign.",
            "short",
            (
                Query(
                    f"sum by (campaign) (increase(tenure_campaigner_triggers_total{{{_JOB}}}[1h]))",
                    "{{campaign}}",
                    _UNTIL_FIRED,
                ),
            ),
            width=12,
        ),
    ),
)

_UNTIL_MEASURED: Final = "a window of a campaign has ended for enough customers"


def _bounds(metric: str) -> tuple[Query, ...]:
    return (
        Query(
            f"max by (campaign, bound) ({metric}{{{_JOB}}})",
            "{{campaign}} {{bound}}",
            _UNTIL_MEASURED,
        ),
    )


_EFFECT: Final = Section(
    "Effect",
    (
        Panel(
            "Uplift of retention",
            "Share that stays, treatment less control; low and high hold the truth at every look.",
            "percentunit",
            _bounds("tenure_campaigner_uplift_ratio"),
            width=12,
        ),
        Panel(
            "Uplift of margin",
            "Per customer, in the reporting currency.",
            "short",
            _bounds("tenure_campaigner_margin_uplift_currency"),
            width=12,
        ),
        Panel(
            "Uplift of lifetime value",
            "Per customer, in the reporting currency.",
            "short",
            _bounds("tenure_campaigner_clv_uplift_currency"),
            width=12,
        ),
        Panel(
            "Answers",
            "Of those measured, by arm: who accepted an offer, and who complained.",
            "short",
            tuple(
                Query(
                    f"max by (campaign, arm) (tenure_campaigner_{what}_customers{{{_JOB}}})",
                    f"{{{{campaign}}}} {{{{arm}}}}, {what}",
                    _UNTIL_DECIDED,
                )
                for what in ("accepted", "complained")
            ),
            width=12,
        ),
        Panel(
            "Offers",
            "Of campaigns with several: who got each and is measured, and who accepted it.",
            "short",
            tuple(
                Query(
                    f"max by (campaign, offer) (tenure_campaigner_{what}_customers{{{_JOB}}})",
                    f"{{{{campaign}}}} {{{{offer}}}}, {what.rpartition('_')[2]}",
                    "a campaign with several offers has measured customers",
                )
                for what in ("offered", "offer_accepted")
            ),
            width=24,
        ),
        Panel(
            "Customers enrolled",
            "By arm; an arm counts a customer once.",
            "short",
            (
                Query(
                    f"max by (campaign, arm) (tenure_campaigner_enrolled_customers{{{_JOB}}})",
                    "{{campaign}} {{arm}}",
                    _UNTIL_DECIDED,
                ),
                Query(
                    f"max by (campaign, arm) (tenure_campaigner_measured_customers{{{_JOB}}})",
                    "{{campaign}} {{arm}}, measured",
                    _UNTIL_DECIDED,
                ),
                Query(
                    f"max by (campaign, arm) (tenure_campaigner_opted_out_customers{{{_JOB}}})",
                    "{{campaign}} {{arm}}, opted out",
                    _UNTIL_DECIDED,
                ),
            ),
            width=6,
        ),
        Panel(
            "Cost of measured contacts",
            "In the reporting currency.",
            "short",
            (
                Query(
                    f"max by (campaign) (tenure_campaigner_cost_currency{{{_JOB}}})",
                    "{{campaign}}",
                    _UNTIL_DECIDED,
                ),
            ),
            width=6,
        ),
        Panel(
            "Return on spend",
            "Margin that measured contacts brought less their cost, by that cost; low and high hold"
            " the truth at every look.",
            "percentunit",
            _bounds("tenure_campaigner_return_on_spend_ratio"),
            width=6,
        ),
        Panel(
            "Balance of the arms",
            "p-value, valid at every look. Below .001 the uplift is not to be trusted.",
            "short",
            (
                Query(
                    f"min by (campaign) (tenure_campaigner_balance_p_ratio{{{_JOB}}})",
                    "{{campaign}}",
                    _UNTIL_DECIDED,
                ),
            ),
            width=6,
        ),
    ),
)

_DELIVERY: Final = Section(
    "Delivery",
    (
        Panel(
            "Outbox",
            "Decisions and triggers that wait for Kafka.",
            "short",
            (Query(f"tenure_campaigner_outbox_rows{{{_JOB}}}", "{{instance}}"),),
            width=6,
        ),
        Panel(
            "Oldest in the outbox",
            "What waits longer than its campaign's valid_for expires.",
            "s",
            (Query(f"tenure_campaigner_outbox_age_seconds{{{_JOB}}}", "{{instance}}"),),
            width=6,
        ),
        Panel(
            "Event to trigger",
            "From the time of the event, or of the silence, until Kafka has its trigger.",
            "s",
            tuple(
                Query(
                    f"histogram_quantile({share}, sum by (le) (increase("
                    f"tenure_campaigner_event_to_trigger_seconds_bucket{{{_JOB}}}[1h])))",
                    f"p{100 * share:g}",
                    _UNTIL_FIRED,
                )
                for share in (0.5, 0.95, 0.99)
            ),
            width=6,
        ),
        Panel(
            "Time to commit",
            "A batch: position, read model, decisions and outbox in one transaction.",
            "s",
            tuple(
                quantile(share, "tenure_campaigner_commit_seconds", _JOB)
                for share in (0.5, 0.95, 0.99)
            ),
            width=6,
        ),
        Panel(
            "Scores",
            "Records of customer-scores that are in the database.",
            "eps",
            (
                Query(
                    f"sum(rate(tenure_campaigner_records_total{{{_JOB}}}[$__rate_interval]))",
                    "committed",
                ),
                Query(
                    f"sum(rate(tenure_campaigner_unreadable_total{{{_JOB}}}[$__rate_interval]))",
                    "unreadable",
                ),
            ),
        ),
        Panel(
            "Lag",
            "Records of customer-scores that were not read yet.",
            "short",
            (Query(f"tenure_campaigner_lag_records{{{_JOB}}}", "{{instance}}"),),
        ),
        Panel(
            "Files in force",
            "0 while an error in the file keeps the former version in force.",
            "short",
            (
                Query(f"tenure_campaigner_file_valid{{{_JOB}}}", "{{instance}} campaigns"),
                Query(f"tenure_campaigner_webhook_file_valid{{{_JOB}}}", "{{instance}} webhooks"),
            ),
        ),
        Panel(
            "Customers in the read model",
            "By stage; what the operator API shows. It follows the scorers' own count.",
            "short",
            (
                Query(
                    f"max by (stage) (tenure_campaigner_customers{{{_JOB}}})",
                    "{{stage}}",
                    "a first score arrives",
                ),
            ),
            width=12,
            stacked=True,
        ),
        Panel(
            "Segments in the read model",
            "Customers in each segment: of quintiles, of value, and those that are watched.",
            "short",
            (
                Query(
                    f"max by (segment) (tenure_campaigner_segment_customers{{{_JOB}}})",
                    "{{segment}}",
                    "25 customers are active",
                ),
            ),
            width=12,
        ),
    ),
)

CAMPAIGNS: Final = Board(
    "tenure-campaigns",
    "Tenure: campaigns",
    "What was decided, what it achieved, what left, and what waits.",
    (_DECISIONS, _EFFECT, _DELIVERY),
)
