"""Every topic of Tenure, declared once; ``tenure topics`` creates what is declared here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

_DAY_MS: Final = 24 * 3600 * 1000
#: After this at the latest what was replaced, or taken out, leaves a compacted topic: erasing a
#: customer takes a day at most.
_COMPACTED_WITHIN: Final = {
    "max.compaction.lag.ms": str(_DAY_MS // 2),
    # A tombstone's key is the customer's id: it is to be gone within the same day.
    "delete.retention.ms": str(_DAY_MS // 3),
}

#: Largest record of ``customer-events``, in bytes.
LARGEST_EVENTS_BYTES: Final = 4 * 1024 * 1024
#: Largest snapshot of a model. It grows with the cells of plans that labels have met (some 2 MB at
#: 60 families), and a trainer that cannot publish cannot go on.
LARGEST_MODEL_BYTES: Final = 32 * 1024 * 1024
#: What is in a dead letter's headers, and Kafka's own part of a record, generously.
_LETTER_OVERHEAD_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class Topic:
    """A topic and what a reader must know of it.

    Attributes
    ----------
    name
        Name without the deployment's prefix.
    key
        What the record key is.
    text
        One line for people: what a record holds.
    partitions
        A fixed number, or ``None`` for as many as ``customer-events`` has: topics that share
        partitions with it keep a customer's records together.
    config
        Kafka's topic configuration beyond the cluster's defaults.

    """

    name: str
    key: str
    text: str
    partitions: int | None = None
    config: dict[str, str] = field(default_factory=dict)


def _log(days: int | None) -> dict[str, str]:
    retention = -1 if days is None else days * _DAY_MS
    return {"cleanup.policy": "delete", "retention.ms": str(retention)}


def _up_to(size: int) -> dict[str, str]:
    return {"max.message.bytes": str(size)}


def _compacted(**more: str) -> dict[str, str]:
    return {"cleanup.policy": "compact", **_COMPACTED_WITHIN, **more}


CUSTOMER_EVENTS: Final = Topic(
    "customer-events",
    "null (explicit partition), or the customer when another producer writes one event",
    "The log of everything known about customers: arrays of CloudEvents, ticks, control events",
    # Append time, because `now` must not trust a producer's clock (ARCHITECTURE.md, Time).
    config={**_log(30), "message.timestamp.type": "LogAppendTime", **_up_to(LARGEST_EVENTS_BYTES)},
)
CUSTOMER_STATE: Final = Topic(
    "customer-state",
    "customer",
    "The scorer's changelog; one record a partition holds its offset and time",
    config=_compacted(),
)
CUSTOMER_SCORES: Final = Topic(
    "customer-scores", "customer", "The live profile of each customer", config=_compacted()
)
SCORE_HISTORY: Final = Topic(
    "score-history", "customer", "The same scores, kept for simulations", config=_log(30)
)
LIFECYCLE_TRANSITIONS: Final = Topic(
    "lifecycle-transitions", "customer", "Each change of stage, with its reason", config=_log(30)
)
TRAINING_EXAMPLES: Final = Topic(
    "training-examples",
    "model",
    "Feature snapshots with their outcome; no customer ids",
    partitions=1,  # one log, one learner: see ARCHITECTURE.md, Trainer
    config=_log(365),
)
CHURN_MODELS: Final = Topic(
    "churn-models",
    "model/version",
    "Signed model snapshots",
    partitions=1,
    config=_compacted(**_up_to(LARGEST_MODEL_BYTES)),
)
MODEL_DRIFTS: Final = Topic(
    "model-drifts",
    "model",
    "Each time that served predictions got worse",
    partitions=1,
    config=_log(365),
)
RETENTION_TRIGGERS: Final = Topic(
    "retention-triggers",
    "customer",
    "The public contract: one CloudEvent a record, by the CloudEvents Kafka binding. A campaign "
    "with `topic: own` has retention-triggers.NAME, which is the same",
    config=_log(7),
)


def own_triggers(campaign: str) -> Topic:
    """Return the topic of a campaign that has one of its own: as `RETENTION_TRIGGERS`."""
    text = f"The triggers of {campaign}, by the CloudEvents Kafka binding"
    return replace(RETENTION_TRIGGERS, name=f"{RETENTION_TRIGGERS.name}.{campaign}", text=text)


CAMPAIGN_DECISIONS: Final = Topic(
    "campaign-decisions", "customer", "Every crossing and what became of it", config=_log(30)
)
SEGMENT_CHANGES: Final = Topic(
    "segment-changes",
    "customer",
    "Each entry into a segment of the campaign file, and each exit",
    config=_log(30),
)
DEAD_LETTER: Final = Topic(
    "dead-letter",
    "where the original is",
    "What could not be read: the original bytes, with error and origin in the headers",
    partitions=1,
    # Must hold whatever could be written to customer-events, or the scorer could not go on.
    config={
        **_log(30),
        # By key, a single letter can be taken out: that of an erased customer.
        **_compacted(),
        "cleanup.policy": "compact,delete",
        **_up_to(LARGEST_EVENTS_BYTES + _LETTER_OVERHEAD_BYTES),
    },
)
ERASURES: Final = Topic(
    "erasures", "HMAC of the customer", "Who must not come back", partitions=1, config=_compacted()
)

TOPICS: Final = (
    CUSTOMER_EVENTS,
    CUSTOMER_STATE,
    CUSTOMER_SCORES,
    SCORE_HISTORY,
    LIFECYCLE_TRANSITIONS,
    TRAINING_EXAMPLES,
    CHURN_MODELS,
    MODEL_DRIFTS,
    RETENTION_TRIGGERS,
    CAMPAIGN_DECISIONS,
    SEGMENT_CHANGES,
    DEAD_LETTER,
    ERASURES,
)
