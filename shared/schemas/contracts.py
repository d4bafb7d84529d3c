"""Which structs travel on which topic, and how they lie in a record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from msgspec import Struct

from shared import topics
from shared.domain import events, outputs

#: How values lie in a record: one JSON value; one, or an array of them; or bytes of our own.
Layout = Literal["one", "one or many", "opaque"]


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
}

CONTRACTS: Final = (
    Contract(topics.CUSTOMER_EVENTS, EVENTS | CONTROL, "one or many", "receive"),
    Contract(topics.CUSTOMER_STATE, layout="opaque", direction=None),
    Contract(topics.CUSTOMER_SCORES, {"score": outputs.Score, "clock": outputs.Clock}),
    Contract(topics.SCORE_HISTORY, {"score": outputs.Score}),
    Contract(topics.LIFECYCLE_TRANSITIONS, {"transition": outputs.Transition}),
    Contract(topics.TRAINING_EXAMPLES, {"training": outputs.Training}),
    Contract(topics.CHURN_MODELS, layout="opaque", direction=None),
    Contract(topics.RETENTION_TRIGGERS, layout="opaque"),
    Contract(topics.CAMPAIGN_DECISIONS, layout="opaque"),
    Contract(topics.DEAD_LETTER, {"dead-letter": outputs.DeadLetter}),
    Contract(topics.ERASURES, layout="opaque", direction=None),
)
