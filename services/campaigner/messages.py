"""What the campaigner tells, as records: the CloudEvents Kafka binding, binary mode."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from services.campaigner.ports import Message
from shared.adapters.tracing import TRACEPARENT
from shared.domain.campaign_outputs import Decision, trigger_of
from shared.domain.named_segments import SegmentChange
from shared.domain.outputs import DeadLetter
from shared.topics import (
    CAMPAIGN_DECISIONS,
    DEAD_LETTER,
    RETENTION_TRIGGERS,
    SEGMENT_CHANGES,
    own_triggers,
)

SOURCE: Final = "tenure/campaigner"
#: Bytes of an original that are kept: with its headers it stays below what producers may send.
_LARGEST_LETTER: Final = 1_000_000
_LONGEST_HEADER: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def trigger_message(decision: Decision, traceparent: str | None = None) -> Message:
    """Return the trigger of a decision that fired, as a part of a trace if it is followed."""
    # `expirytime` is a documented extension: https://github.com/cloudevents/spec, extensions.
    more = [("ce_expirytime", rfc3339(decision.expires_at))]
    if traceparent is not None:
        # For the bus, and as the CloudEvents extension for distributed tracing.
        more += [(TRACEPARENT, traceparent), (f"ce_{TRACEPARENT}", traceparent)]
    headers = _headers("tenure.trigger", decision, more)
    value = msgspec.json.encode(trigger_of(decision))
    topic = own_triggers(decision.campaign) if decision.own_topic else RETENTION_TRIGGERS
    return Message(topic.name, decision.customer, value, headers)


def decision_message(decision: Decision) -> Message:
    """Return the record of a decision whose outcome is final."""
    # The outcome stands in the headers, too, so that the topic can be read back at a glance.
    headers = _headers("tenure.decision", decision, [("ce_outcome", decision.outcome)])
    value = msgspec.json.encode(decision)
    return Message(CAMPAIGN_DECISIONS.name, decision.customer, value, headers)


def change_message(change: str) -> Message:
    """Return the record of a customer's entry into a segment, or exit; ``change`` is its JSON."""
    read = msgspec.json.decode(change, type=SegmentChange)
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", read.id),
        ("ce_source", SOURCE),
        ("ce_type", f"tenure.segment_{read.change}"),
        ("ce_subject", read.customer),
        ("ce_time", rfc3339(read.at)),
        ("ce_segment", read.segment),
        ("content-type", "application/json"),
    ]
    return Message(SEGMENT_CHANGES.name, read.customer, change.encode(), headers)


def letter_message(letter: str, topic: str) -> Message:
    """Return a dead letter: the original bytes, the rest in headers.

    Parameters
    ----------
    letter
        JSON of a `DeadLetter`.
    topic
        Where it came from, by its full name.

    """
    read = msgspec.json.decode(letter, type=DeadLetter)
    facts: dict[str, object] = {
        "error": read.error,
        "field": read.field,
        "reason": read.reason,
        "remedy": read.remedy,
        "topic": topic,
        "partition": read.partition,
        "offset": read.offset,
        "index": "" if read.index is None else read.index,
    }
    value = read.value[:_LARGEST_LETTER]
    if len(value) < len(read.value):  # else Kafka would refuse it, again and again
        facts["truncated"] = f"from {len(read.value)} bytes"
    headers = [(name, str(fact)[:_LONGEST_HEADER]) for name, fact in facts.items()]
    return Message(DEAD_LETTER.name, read.key(topic), value, headers)


def rfc3339(epoch_ms: int) -> str:
    """Return a time as CloudEvents write it.

    >>> rfc3339(1_800_000_000_123)
    '2027-01-15T08:00:00.123Z'
    """
    at = _EPOCH + timedelta(milliseconds=epoch_ms)  # exact, where a float of seconds is not
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _headers(kind: str, decision: Decision, more: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        ("ce_specversion", "1.0"),
        ("ce_id", decision.id),
        ("ce_source", SOURCE),
        ("ce_type", kind),
        ("ce_subject", decision.customer),
        ("ce_time", rfc3339(decision.decided_at)),
        # For who reads the topics back: a choice that was told is not made again.
        *([("ce_offer", decision.offer)] if decision.chosen else []),
        ("content-type", "application/json"),
        *more,
    ]
