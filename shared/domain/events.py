"""The events that Tenure understands: CloudEvents 1.0 in JSON, decoded and validated in one step.

A record of ``customer-events`` holds one event or a JSON array of events. `decode_record`
is the fast path, for a record that is good; `decode_each` finds what is wrong with each
event of a record that is not.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, TypeVar

import msgspec
from msgspec import Struct

from shared.domain.errors import InvalidEventError
from shared.domain.event_data import (
    AccountData,
    ContactData,
    CostData,
    ErasureData,
    Id,
    ModelData,
    ModelPinData,
    PurchaseData,
    Source,
    ThresholdsData,
    TickData,
    Time,
    UsageData,
)
from shared.domain.printable import REASON, require_printable
from shared.domain.rfm import Boundaries


class _Envelope(Struct, frozen=True, gc=False, tag_field="type", kw_only=True):
    """Attributes that all CloudEvents share; unknown extension attributes are allowed.

    Attributes
    ----------
    type
        What happened.
    specversion
        Of CloudEvents.
    id, source
        With the source it tells events apart: what comes twice counts once; who says so.
    time
        When it happened (RFC 3339, with its zone).
    datacontenttype
        What `data` is; may be left out.
    subject
        The customer.
    data
        What there is to say about it.

    """

    specversion: Literal["1.0"]
    id: Id
    source: Source
    time: Time
    datacontenttype: Literal["application/json"] | None = None


class _CustomerEvent(_Envelope, frozen=True, kw_only=True):
    subject: Id


class Usage(_CustomerEvent, frozen=True, tag="tenure.usage", kw_only=True):
    """``tenure.usage``."""

    data: UsageData


class Purchase(_CustomerEvent, frozen=True, tag="tenure.purchase", kw_only=True):
    """``tenure.purchase``."""

    data: PurchaseData


class Account(_CustomerEvent, frozen=True, tag="tenure.account", kw_only=True):
    """``tenure.account``."""

    data: AccountData


class Contact(_CustomerEvent, frozen=True, tag="tenure.contact", kw_only=True):
    """``tenure.contact``."""

    data: ContactData


class Cost(_CustomerEvent, frozen=True, tag="tenure.cost", kw_only=True):
    """``tenure.cost``."""

    data: CostData


class Tick(_Envelope, frozen=True, tag="tenure.tick", kw_only=True):
    """``tenure.tick``: moves a partition's time when no customer does."""

    subject: ClassVar[None] = None
    data: TickData = TickData()


class ModelActivated(_Envelope, frozen=True, tag="tenure.model", kw_only=True):
    """``tenure.model``: a control event, written by the trainer to every partition."""

    subject: ClassVar[None] = None
    data: ModelData


class ModelPinned(_Envelope, frozen=True, tag="tenure.model_pin", kw_only=True):
    """``tenure.model_pin``: a control event by a person, in every partition."""

    subject: ClassVar[None] = None
    data: ModelPinData


class ThresholdsSet(_Envelope, frozen=True, tag="tenure.thresholds", kw_only=True):
    """``tenure.thresholds``: a control event, in every partition: from here on these hold."""

    subject: ClassVar[None] = None
    data: ThresholdsData


class BoundariesSet(_Envelope, frozen=True, tag="tenure.boundaries", kw_only=True):
    """``tenure.boundaries``: a control event by the campaigner, in every partition."""

    subject: ClassVar[None] = None
    data: Boundaries


class Erasure(_Envelope, frozen=True, tag="tenure.erasure", kw_only=True):
    """``tenure.erasure``: a control event, in the customer's partition: from here on unknown."""

    subject: ClassVar[None] = None
    data: ErasureData


CustomerEvent = Usage | Purchase | Account | Contact | Cost
Event = (
    CustomerEvent | Tick | ModelActivated | ModelPinned | ThresholdsSet | BoundariesSet | Erasure
)

_Decoded = TypeVar("_Decoded")

_one: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_many = msgspec.json.Decoder(list[Event])
_customer_one: msgspec.json.Decoder[CustomerEvent] = msgspec.json.Decoder(CustomerEvent)
_customer_many = msgspec.json.Decoder(list[CustomerEvent])
_raw_many = msgspec.json.Decoder(list[msgspec.Raw])

#: What a decoder of msgspec raises on bytes that are hostile as well as on those that are wrong.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_record(value: bytes) -> list[Event]:
    """Decode a record of ``customer-events``: one event, or a JSON array of events.

    Raises
    ------
    msgspec.DecodeError, UnicodeDecodeError, RecursionError
        When any event is bad; `decode_each` then tells which and why.

    """
    events = _many.decode(value) if is_array(value) else [_one.decode(value)]
    require_printable(events, value)
    return events


def is_array(value: bytes) -> bool:
    """Tell whether a record's JSON is an array; white space may come before it (RFC 8259)."""
    return value.lstrip(b" \t\n\r")[:1] == b"["


def split(value: bytes) -> list[msgspec.Raw]:
    """Split a JSON array into its elements without looking into them.

    Raises
    ------
    InvalidEventError
        It is no JSON, or nested too deep to tell.

    """
    try:
        return _raw_many.decode(value)
    except DECODE_ERRORS as error:
        raise _unreadable(error) from None


def decode_event(raw: bytes) -> Event:
    """Decode one event, or raise an `InvalidEventError` that names the field and the remedy."""
    return _decode(_one, raw)


def decode_customer_event(raw: bytes) -> CustomerEvent:
    """Decode one event about a customer; ticks and control events are refused here."""
    return _decode(_customer_one, raw)


def decode_customer_events(value: bytes) -> list[CustomerEvent]:
    """Decode a JSON array of events about customers; raises what `decode_record` raises."""
    events = _customer_many.decode(value)
    require_printable(events, value)
    return events


def build_customer_event(fields: dict[str, object]) -> CustomerEvent:
    """Build an event from the text that tables hold (``"12.5"`` for a number).

    Raises
    ------
    InvalidEventError
        Naming the field and the remedy.

    """
    try:
        event: CustomerEvent = msgspec.convert(fields, CustomerEvent, strict=False)
        require_printable(event)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    return event


def epoch_ms(at: datetime) -> int:
    """Return milliseconds since 1970 in UTC, as Kafka's own timestamps."""
    return round(at.timestamp() * 1000)


def _decode(decoder: msgspec.json.Decoder[_Decoded], raw: bytes) -> _Decoded:
    try:
        event = decoder.decode(raw)
        require_printable(event, raw)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except DECODE_ERRORS as error:
        raise _unreadable(error) from None
    return event


def _unreadable(error: Exception) -> InvalidEventError:
    reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
    return InvalidEventError("$", reason, "Send UTF-8 JSON (RFC 8259)")


def _explain(message: str) -> InvalidEventError:
    """Turn msgspec's ``reason - at `$.data.quantity` `` into field, reason and remedy."""
    reason, _, path = message.rpartition(" - at `$")
    if not reason:
        reason, path = message, ""
    field = path.rstrip("`").lstrip(".") or "$"
    if "missing required field" in reason:
        name = reason.rpartition("`")[0].rpartition("`")[2]
        field = name if field == "$" else f"{field}.{name}"
        return InvalidEventError(field, "missing", f"Add the required field `{field}`")
    return InvalidEventError(field, reason, _remedy(field, reason))


def _remedy(field: str, reason: str) -> str:
    if field == "type":
        return "Send one of tenure.usage, .purchase, .account, .contact, .cost"
    if field == "time" or "RFC3339" in reason or "timezone" in reason:
        return "Send an RFC 3339 date-time with an offset, e.g. 2026-01-31T12:00:00Z"
    if reason == REASON:
        return "Leave them out"
    return f"Send a value of the documented type and range for `{field}`"
