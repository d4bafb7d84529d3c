"""Model: how good the predictions were that have been proved right or wrong by now."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panels import Board, Panel, Query, Section

#: The scorer that trains; the others show NaN, and 0 labels.
_TRAINER: Final = 'and on (instance) tenure_model_labels{job="scorer"} > 0'
_UNTIL: Final = "a first label is learned: a horizon and a day after the first events"
_UNTIL_BOTH: Final = f"{_UNTIL}, of customers that stayed and of customers that left"
_UNTIL_PUBLISHED: Final = "a first model is published"


def _of(name: str) -> str:
    return f'tenure_model_{name}{{job="scorer"}} {_TRAINER}'


_QUALITY: Final = Section(
    "Quality",
    (
        Panel(
            "AUC",
            "Chance that one who left was given a higher risk than one who stayed, over the last"
            " 4,000 to 5,000 labels.",
            "none",
            (Query(_of("auc_ratio"), "{{instance}}", _UNTIL_BOTH),),
        ),
        Panel(
            "Log loss",
            "Of what was served, over the last 4,000 to 5,000 labels; lower is better.",
            "none",
            (Query(_of("log_loss_nats"), "{{instance}}", _UNTIL),),
        ),
        Panel(
            "Calibration error",
            "Mean difference of predicted and observed churn over ten bins.",
            "percentunit",
            (Query(_of("calibration_error_ratio"), "{{instance}}", _UNTIL),),
        ),
        Panel(
            "Learner against heuristic",
            "Log loss over about the last 1,000 labels. Whoever is lower is served.",
            "none",
            (Query(_of("discounted_log_loss_nats"), "{{predictor}}", _UNTIL),),
            width=16,
        ),
        Panel(
            "Learned model served",
            "1 when the learned model is served, 0 while the heuristic is.",
            "short",
            (Query('max(tenure_model_warm{job="scorer"})', "served"),),
        ),
    ),
)

_MARKETS: Final = Section(
    "Markets",
    (
        Panel(
            "AUC by market",
            "Over the newest 1,000 to 2,000 labels of each of the 20 largest.",
            "none",
            (Query(_of("market_auc_ratio"), "{{market}}", _UNTIL_BOTH),),
        ),
        Panel(
            "Log loss by market",
            "Of what was served; markets where more leave are harder.",
            "none",
            (Query(_of("market_log_loss_nats"), "{{market}}", _UNTIL),),
        ),
        Panel(
            "Calibration error by market",
            "A market that is off while all together are not differs from the others.",
            "percentunit",
            (Query(_of("market_calibration_error_ratio"), "{{market}}", _UNTIL),),
        ),
    ),
)

_CHALLENGER: Final = Section(
    "Champion and challenger",
    (
        Panel(
            "Challenger's log loss less the champion's",
            "By horizons of labels; a challenger is promoted once the upper bound is below 0.",
            "none",
            (
                Query(
                    _of("challenger_difference_nats"),
                    "{{bound}}",
                    "labels of two horizons are measured on which both differ",
                ),
            ),
            width=16,
        ),
        Panel(
            "Promotions",
            "Challengers that took the champion's place.",
            "short",
            (Query(_of("promotions"), "{{instance}}", _UNTIL),),
        ),
    ),
)

_TRAINING: Final = Section(
    "Training",
    (
        Panel(
            "Labels learned",
            "By the scorer that trains.",
            "short",
            (Query('sum(tenure_model_labels{job="scorer"})', "labels"),),
        ),
        Panel(
            "Label delay",
            "Wall clock minus the time up to which labels are learned.",
            "s",
            (Query(_of("label_delay_seconds"), "{{instance}}", _UNTIL),),
        ),
        Panel(
            "Age of the published model",
            "Wall clock minus the last label time that is in it.",
            "s",
            (Query(_of("age_seconds"), "{{instance}}", _UNTIL_PUBLISHED),),
        ),
        Panel(
            "Published version",
            "Counts up from 1.",
            "short",
            (Query('max(tenure_model_version{job="scorer"})', "version"),),
            width=12,
        ),
        Panel(
            "Models refused",
            "Versions that scorers were told to use and could not trust.",
            "short",
            (
                Query(
                    'sum by (instance) (tenure_scorer_models_refused_total{job="scorer"})',
                    "{{instance}}",
                ),
            ),
            width=12,
        ),
    ),
)

MODEL: Final = Board(
    "tenure-model",
    "Tenure: churn model",
    "How good the predictions were that have been proved right or wrong by now.",
    (_QUALITY, _MARKETS, _CHALLENGER, _TRAINING),
)
