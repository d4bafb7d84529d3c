"""Lifecycle: where the customers are, and where they go."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panels import Board, Panel, Query, Section

_SCORER: Final = 'job="scorer"'
_MOVED: Final = f"increase(tenure_transitions_total{{{_SCORER}}}[1h])"
_UNTIL_MOVED: Final = "a customer changes stage"
_CAMPAIGNER: Final = 'job="campaigner"'
_UNTIL_SCORED: Final = "a first score arrives"

_NOW: Final = Section(
    "Where customers are",
    (
        Panel(
            "Customers",
            "All that ever had an event.",
            "short",
            (Query(f"sum(tenure_customers{{{_SCORER}}})"),),
            width=4,
            number=True,
        ),
        Panel(
            "By stage",
            "Customers in each stage of the lifecycle.",
            "short",
            (Query(f"sum by (stage) (tenure_customers{{{_SCORER}}})", "{{stage}}"),),
            width=20,
            number=True,
        ),
        Panel(
            "Stages over time",
            "Customers by stage.",
            "short",
            (Query(f"sum by (stage) (tenure_customers{{{_SCORER}}})", "{{stage}}"),),
            width=16,
            stacked=True,
        ),
        Panel(
            "Active, fading and gone",
            "Share of customers that are active (onboarding, growth, maturity, won back), fading"
            " (decline, dormant) and gone (lapsed).",
            "percentunit",
            tuple(
                Query(
                    f'sum(tenure_customers{{{_SCORER},stage=~"{stages}"}})'
                    f" / (sum(tenure_customers{{{_SCORER}}}) > 0)",
                    name,
                    "there is a customer",
                )
                for name, stages in (
                    ("active", "onboarding|growth|maturity|won_back"),
                    ("fading", "decline|dormant"),
                    ("gone", "lapsed"),
                )
            ),
        ),
        Panel(
            "Segments over time",
            "Customers by segment of recency, frequency and money; none before 25 are active.",
            "short",
            (Query(f"sum by (segment) (tenure_segment_customers{{{_SCORER}}})", "{{segment}}"),),
            width=24,
            stacked=True,
        ),
    ),
)

_FLOWS: Final = Section(
    "Where they go",
    (
        Panel(
            "Entered a stage, an hour",
            "Changes of stage within the last hour, by the stage entered.",
            "short",
            (Query(f"sum by (after) ({_MOVED})", "{{after}}", _UNTIL_MOVED),),
            width=12,
        ),
        Panel(
            "Left a stage, an hour",
            "Changes of stage within the last hour, by the stage left.",
            "short",
            (Query(f"sum by (before) ({_MOVED})", "{{before}}", _UNTIL_MOVED),),
            width=12,
        ),
        Panel(
            "Flows, an hour",
            "Every change of stage within the last hour, from which to which.",
            "short",
            (Query(f"sum by (before, after) ({_MOVED})", "{{before}} > {{after}}", _UNTIL_MOVED),),
            width=16,
        ),
        Panel(
            "Lost against won back, an hour",
            "Customers that lapsed, and that came back after they had.",
            "short",
            (
                Query(
                    f'sum(increase(tenure_transitions_total{{{_SCORER},after="lapsed"}}[1h]))'
                    " or vector(0)",
                    "lapsed",
                ),
                Query(
                    f'sum(increase(tenure_transitions_total{{{_SCORER},after="won_back"}}[1h]))'
                    " or vector(0)",
                    "won back",
                ),
            ),
        ),
    ),
)

_BASE: Final = Section(
    "The base this month",
    (
        Panel(
            "Customer equity",
            "The sum of lifetime values by stage, in the reporting currency.",
            "short",
            (
                Query(
                    f"max by (stage) (tenure_customer_equity{{{_CAMPAIGNER}}})",
                    "{{stage}}",
                    _UNTIL_SCORED,
                ),
            ),
            width=24,
            stacked=True,
        ),
        Panel(
            "Customers who came and went",
            "Of the calendar month (UTC) that the base is at; it begins anew with each.",
            "short",
            (
                Query(
                    "max by (move) (tenure_base_month_customers"
                    f'{{{_CAMPAIGNER},by="all",move!~"opening|closing|moved_.*"}})',
                    "{{move}}",
                    _UNTIL_SCORED,
                ),
            ),
            width=12,
        ),
        Panel(
            "Recurring revenue",
            "How it moved since the month before; who has not paid yet counts as churned.",
            "short",
            (
                Query(
                    "max by (move) (tenure_base_month_recurring_currency"
                    f'{{{_CAMPAIGNER},by="all",move!~"moved_.*"}})',
                    "{{move}}",
                    _UNTIL_SCORED,
                ),
            ),
            width=12,
        ),
    ),
)

LIFECYCLE: Final = Board(
    "tenure-lifecycle",
    "Tenure: lifecycle",
    "Where the customers are, and where they go.",
    (_NOW, _FLOWS, _BASE),
)
