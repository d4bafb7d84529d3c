"""Records for other readers: CloudEvents as their own library reads them, dead letters whole."""

import msgspec
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event

from services.campaigner.messages import decision_message, letter_message, trigger_message
from services.campaigner.ports import Message
from shared.domain.campaign_decisions import Crossing, decide
from shared.domain.campaign_outputs import Decision, Trigger, trigger_of
from shared.domain.campaigns import UNTOUCHED
from shared.domain.outputs import DeadLetter
from tests.campaign_builders import HOUR, T0, campaign, score

DECISION = decide(Crossing(campaign(), score("änne/7", 0.7), UNTOUCHED, 0.5, T0 + 123, "salt"))


def as_kafka(message: Message) -> KafkaMessage:
    headers = {name: value.encode() for name, value in message.headers}
    return KafkaMessage(headers, (message.key or "").encode(), message.value)


def test_a_trigger_is_a_cloud_event_in_binary_mode() -> None:
    message = trigger_message(DECISION)
    event = from_binary_event(as_kafka(message))
    assert (message.topic, message.key) == ("retention-triggers", "änne/7")
    assert (event.get_id(), event.get_subject()) == (DECISION.id, "änne/7")
    assert (event.get_type(), event.get_source()) == ("tenure.trigger", "tenure/campaigner")
    assert event.get_time().isoformat() == "2027-01-15T08:00:00.123000+00:00"
    assert event.get_extension("expirytime") == "2027-01-15T09:00:00.000Z"
    assert msgspec.json.decode(message.value, type=Trigger) == trigger_of(DECISION)
    assert DECISION.expires_at == T0 + HOUR


def test_a_decision_tells_its_outcome_in_a_header() -> None:
    message = decision_message(DECISION)
    event = from_binary_event(as_kafka(message))
    assert (message.topic, event.get_type()) == ("campaign-decisions", "tenure.decision")
    assert event.get_extension("outcome") == "fired"
    assert msgspec.json.decode(message.value, type=Decision) == DECISION


def letter(value: bytes, **other: object) -> Message:
    facts = {"error": "E", "field": "$", "reason": "r", "remedy": "m", "index": 3, **other}
    read = DeadLetter(value=value, partition=1, offset=7, **facts)  # type: ignore[arg-type]
    return letter_message(msgspec.json.encode(read).decode(), "blue-customer-scores")


def test_a_dead_letter_is_the_original_with_its_origin() -> None:
    message = letter(b"\xff\x00")
    where = "blue-customer-scores/1/7/3"  # by which it can be taken out again
    assert (message.topic, message.key, message.value) == ("dead-letter", where, b"\xff\x00")
    assert dict(message.headers) == {
        "error": "E", "field": "$", "reason": "r", "remedy": "m", "topic": "blue-customer-scores",
        "partition": "1", "offset": "7", "index": "3",
    }  # fmt: skip


def test_what_kafka_would_refuse_is_cut_and_says_so() -> None:
    message = letter(b"x" * 1_048_000, reason="y" * 5_000)
    assert len(message.value) == 1_000_000
    assert dict(message.headers)["truncated"] == "from 1048000 bytes"
    assert sum(len(name) + len(value) for name, value in message.headers) < 40_000
