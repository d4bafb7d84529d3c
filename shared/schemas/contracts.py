"""Which structs travel on which topic, and how they lie in a record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from msgspec import Struct

from shared import topics
from shared.domain import campaign_outputs, drift, events, named_segments, outputs

#: How values lie in a record: one JSON value; one, or an array of them; bytes that came from
#: elsewhere; or bytes of our own.
Layout = Literal["one", "one or many", "foreign", "own"]


@dataclass(frozen=True)
class Contract:
    """What a topic carries.

    Attributes
    ----------
    topic
        The topic, as declared in `shared.topics`.
    structs
        The schema's name of each kind of value, and the struct that defines it.
    layout
        How values lie in a record.
    direction
        As seen from Tenure: ``receive`` what others may write, ``send`` what others may read;
        ``None`` is for Tenure's own use and may change with any version.
    headers
        Record headers and what each holds.

    """

    topic: topics.Topic
    structs: dict[str, type[Struct]] = field(default_factory=dict)
    layout: Layout = "one"
    direction: Literal["receive", "send"] | None = "send"
    headers: dict[str, str] = field(default_factory=dict)


EVENTS: Final[dict[str, type[Struct]]] = {
    "tenure.usage": events.Usage,
    "tenure.purchase": events.Purchase,
    "tenure.account": events.Account,
    "tenure.contact": events.Contact,
    "tenure.cost": events.Cost,
}
#: Events that only Tenure writes, between those of customers.
CONTROL: Final[dict[str, type[Struct]]] = {
    "tenure.tick": events.Tick,
    "tenure.model": events.ModelActivated,
    "tenure.model_pin": events.ModelPinned,
    "tenure.thresholds": events.ThresholdsSet,
    "tenure.boundaries": events.BoundariesSet,
    "tenure.erasure": events.Erasure,
}

#: Attributes by the CloudEvents Kafka binding in binary mode.
_CLOUD_EVENT: Final = {
    "ce_specversion": "1.0",
    "ce_id": "The decision's id: what comes twice has the same",
    "ce_source": "tenure/campaigner",
    "ce_subject": "The customer",
    "ce_time": "When it was decided (RFC 3339)",
    "content-type": "application/json",
}
_OFFER: Final = {"ce_offer": "The offer, where the campaign has several"}
TRIGGER: Final = (
    _CLOUD_EVENT
    | _OFFER
    | {
        "ce_type": "tenure.trigger",
        "ce_expirytime": "After this it is void (RFC 3339)",
        "ce_traceparent": "The trace of the event that caused it, where it is followed (W3C)",
        "traceparent": "The same",
    }
)
DECISION: Final = (
    _CLOUD_EVENT
    | _OFFER
    | {
        "ce_type": "tenure.decision",
        "ce_outcome": "What became of the crossing",
    }
)
SEGMENT_CHANGE: Final = _CLOUD_EVENT | {
    "ce_id": "The entry's or exit's id: what comes twice has the same",
    "ce_type": "tenure.segment_entered or tenure.segment_left",
    "ce_time": "When the customer entered or left (RFC 3339)",
    "ce_segment": "The segment",
}
DEAD_LETTER: Final = {
    "error": "Kind of error",
    "field": "Path of the offending field",
    "reason": "What is wrong with it",
    "remedy": "What its sender can do about it",
    "topic": "Where it came from",
    "partition": "Its partition there",
    "offset": "Its offset there",
    "index": "Its place in the record's array; empty for the whole record",
    "truncated": "Present when the original was too large to keep whole: its size",
    "replay": "Only of a note on a letter: what became of it (sending, accepted or refused)",
    "letter": "Only of a note: the letter's offset in this topic",
}

CONTRACTS: Final = (
    Contract(topics.CUSTOMER_EVENTS, EVENTS | CONTROL, "one or many", "receive"),
    Contract(topics.CUSTOMER_STATE, layout="own", direction=None),
    Contract(topics.CUSTOMER_SCORES, {"score": outputs.Score, "clock": outputs.Clock}),
    Contract(topics.SCORE_HISTORY, {"score": outputs.Score}),
    Contract(topics.LIFECYCLE_TRANSITIONS, {"transition": outputs.Transition}),
    Contract(topics.TRAINING_EXAMPLES, {"training": outputs.Training}),
    Contract(topics.CHURN_MODELS, layout="own", direction=None),
    Contract(topics.MODEL_DRIFTS, {"drift": drift.Drift}),
    Contract(topics.RETENTION_TRIGGERS, {"trigger": campaign_outputs.Trigger}, headers=TRIGGER),
    Contract(topics.CAMPAIGN_DECISIONS, {"decision": campaign_outputs.Decision}, headers=DECISION),
    Contract(
        topics.SEGMENT_CHANGES,
        {"segment_change": named_segments.SegmentChange},
        headers=SEGMENT_CHANGE,
    ),
    Contract(topics.DEAD_LETTER, layout="foreign", headers=DEAD_LETTER),
    Contract(topics.ERASURES, layout="own", direction=None),
)
