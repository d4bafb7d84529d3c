"""What events say: their data, field by field, and what each may be.

Events hold no cycles, so the garbage collector need not look at them (``gc=False``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.domain.printable import PATTERN
from shared.domain.thresholds import LifecycleThresholds

# Sums are kept in 64-bit micro units: a customer may reach nine thousand times this much.
_LARGEST_AMOUNT = 1e9

# What the pattern says is seen to by `require_printable`.
_PRINTABLE = {"pattern": PATTERN}
Id = Annotated[str, Meta(min_length=1, max_length=128, extra_json_schema=_PRINTABLE)]
Source = Annotated[str, Meta(min_length=1, max_length=256, extra_json_schema=_PRINTABLE)]
Name = Annotated[str, Meta(min_length=1, max_length=128, extra_json_schema=_PRINTABLE)]
Time = Annotated[datetime, Meta(tz=True)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[float, Meta(ge=-_LARGEST_AMOUNT, le=_LARGEST_AMOUNT)]
Positive = Annotated[float, Meta(ge=0, le=_LARGEST_AMOUNT)]
Ratio = Annotated[float, Meta(ge=-1, le=1)]
Initiator = Literal["customer", "system"]

Status = Literal[
    "lead", "qualified", "opportunity", "trial_started", "opened", "activated", "renewed",
    "plan_changed", "brand_changed", "payment_failed", "overdue", "settled", "paused",
    "suspended", "notice_given", "closed", "consent_given", "consent_withdrawn",
]  # fmt: skip
Outcome = Literal["sent", "delivered", "opened", "accepted", "declined", "complained", "rated"]
CostKind = Literal["acquisition", "marketing", "service", "subsidy", "bad_debt"]


class UsageData(Struct, frozen=True, gc=False):
    """Use of a service: a call, a session, a megabyte.

    Attributes
    ----------
    service
        Which one, in the sender's words.
    quantity, unit
        How much of it; in which unit, the same for each use of a service.
    amount, currency
        What is charged for it; ISO 4217, the reporting currency when left out.
    initiated_by
        What the system does by itself is no activity of the customer.

    """

    service: Name
    quantity: Positive = 1.0
    unit: Name | None = None
    amount: Amount = 0.0
    currency: Currency | None = None
    initiated_by: Initiator = "customer"


class PurchaseData(Struct, frozen=True, gc=False):
    """A purchase; a negative amount is a refund.

    Attributes
    ----------
    amount, currency
        What is paid; ISO 4217, the reporting currency when left out.
    product, category
        What was bought; its kind, `recharge` of prepaid credit among them.
    quantity
        How many.
    margin
        Share of the amount that is margin; the setting's when left out.
    initiated_by
        A renewal by the system is no activity of the customer.

    """

    amount: Amount
    product: Name | None = None
    category: Name | None = None
    currency: Currency | None = None
    quantity: Positive = 1.0
    margin: Ratio | None = None
    initiated_by: Initiator = "customer"


class AccountData(Struct, frozen=True, gc=False, omit_defaults=True):
    """What became of an account, and what is known about it since.

    Attributes
    ----------
    status
        What happened.
    voluntary
        Of `closed`: whether the customer wanted it. Where that is not said, who has failed or
        overdue payments open has left involuntarily.
    channel, purpose
        Of consent: for which channel; for what. It is for everything without either.
    plan, plan_limit
        The tariff; how much it includes, in units of its service.
    brand, market
        The brand sold under; the market, by which thresholds may differ.
    time_zone
        IANA name, by which quiet hours are told.
    balance
        Prepaid credit left, reporting currency.
    expiry, contract_end
        When the credit lapses; when the contract ends.
    acquisition_source, acquisition_cost
        Where the customer came from; what that cost, reporting currency.
    referred_by
        The customer who brought this one.
    attributes
        Anything else that campaigns select by: names to text.

    """

    status: Status
    voluntary: bool | None = None
    channel: Name | None = None
    purpose: Name | None = None
    plan: Name | None = None
    plan_limit: Positive | None = None
    brand: Name | None = None
    market: Name | None = None
    time_zone: Name | None = None
    balance: Amount | None = None
    expiry: Time | None = None
    contract_end: Time | None = None
    acquisition_source: Name | None = None
    acquisition_cost: Positive | None = None
    referred_by: Id | None = None
    attributes: Annotated[dict[Name, Name], Meta(max_length=32)] | None = None


class ContactData(Struct, frozen=True, gc=False):
    """A touch point; ``trigger_id`` names the trigger it answers, where it answers one.

    Attributes
    ----------
    channel
        By which way, as campaigns name it.
    outcome
        What came of it.
    trigger_id
        The trigger's `decision`.
    score
        Of `rated`: 0 to 10.

    """

    channel: Name
    outcome: Outcome
    trigger_id: Name | None = None
    score: Annotated[float, Meta(ge=0, le=10)] | None = None


class CostData(Struct, frozen=True, gc=False):
    """Money spent on a customer.

    Attributes
    ----------
    kind
        What for.
    amount, currency
        How much; ISO 4217, the reporting currency when left out.

    """

    kind: CostKind
    amount: Positive
    currency: Currency | None = None


class TickData(Struct, frozen=True, gc=False):
    """Nothing: a tick only carries its time."""


class ModelData(Struct, frozen=True, gc=False):
    """From this place of the log on, scores come from this version of the model.

    Attributes
    ----------
    model, version
        Its name; its number.

    """

    model: Name
    version: Annotated[int, Meta(ge=0)]


class ModelPinData(Struct, frozen=True, gc=False):
    """Serve this version alone, or with none the newest again.

    Attributes
    ----------
    at
        When it was said, epoch milliseconds; of several the latest holds.
    version
        0 is the stated heuristic.
    by, reason
        Who said so; why.

    """

    at: Annotated[int, Meta(gt=0)]
    version: Annotated[int, Meta(ge=0)] | None
    by: Name
    reason: Annotated[str, Meta(max_length=1000)] = ""


class ThresholdsData(LifecycleThresholds, frozen=True, kw_only=True):
    """Thresholds of the lifecycle, and who set them, why.

    Attributes
    ----------
    version
        When they were set, epoch milliseconds; the latest hold.
    default, markets
        For everybody; for single markets.
    by, reason
        Who set them; why.

    """

    by: Name
    reason: Annotated[str, Meta(max_length=1000)] = ""


class ErasureData(Struct, frozen=True, gc=False):
    """Who is erased, and when that was asked for (epoch milliseconds).

    Attributes
    ----------
    customer, at
        Who; when it was asked for, epoch milliseconds.

    """

    customer: Id
    at: Annotated[int, Meta(ge=0)]
