"""``audience``: who may be contacted, and the conditions on what is known of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from services.campaigner.campaign_values import Consent, Model, wrong
from shared.domain.campaigns import ACTIVE_STAGES, Audience
from shared.domain.conditions import (
    LABELS,
    MEASURES,
    AllOf,
    AnyOf,
    Between,
    Bought,
    Condition,
    Consented,
    HeavyUse,
    Not,
    OneOf,
    Uses,
)
from shared.domain.outputs import Stage

Label = Annotated[str, Field(min_length=1, max_length=128)]
Values = Annotated[list[Label], Field(min_length=1)]


class RangeModel(Model):
    """A measure's range, both ends included."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _holds_something(self) -> RangeModel:
        if self.min is None and self.max is None:
            raise wrong("no bounds", "Write e.g. `{min: 0.3}`")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise wrong("min is over max, so nobody would be meant", "Exchange the two")
        return self


class WhereModel(Model):
    """``where``: all of what it holds must be true."""

    risk: RangeModel | None = None
    p_churn: RangeModel | None = None
    p_closed: RangeModel | None = None
    p_involuntary: RangeModel | None = None
    tenure_days: RangeModel | None = None
    silence_days: RangeModel | None = None
    visits: RangeModel | None = None
    purchases: RangeModel | None = None
    spend: RangeModel | None = None
    revenue: RangeModel | None = None
    margin: RangeModel | None = None
    clv: RangeModel | None = None
    balance: RangeModel | None = None
    risk_rise_7d: RangeModel | None = None
    risk_rise_30d: RangeModel | None = None
    usage_ratio: RangeModel | None = None
    expected_spend: RangeModel | None = None
    expected_visits: RangeModel | None = None
    complaints: RangeModel | None = None
    complaint_days: RangeModel | None = None
    overdue_days: RangeModel | None = None
    payments_failed: RangeModel | None = None
    notice_days: RangeModel | None = None
    rating: RangeModel | None = None
    accepted: RangeModel | None = None
    contacts: RangeModel | None = None
    recharge_days: RangeModel | None = None
    days_since_recharge: RangeModel | None = None
    value_band: RangeModel | None = None
    stage: Annotated[list[Stage], Field(min_length=1)] | None = None
    segment: Values | None = None
    rfm: Values | None = None
    account: Annotated[list[Literal["open", "closed"]], Field(min_length=1)] | None = None
    status: Values | None = None
    plan: Values | None = None
    brand: Values | None = None
    market: Values | None = None
    acquisition_source: Values | None = None
    attributes: dict[Label, Values] | None = None
    product: Values | None = None
    heavy_use: Values | None = None
    usage: dict[Label, RangeModel] | None = None
    consent: Annotated[list[Consent], Field(min_length=1)] | None = None
    all: Annotated[list[WhereModel], Field(min_length=1)] | None = None
    any: Annotated[list[WhereModel], Field(min_length=1)] | None = None
    not_: Annotated[WhereModel | None, Field(alias="not")] = None

    @model_validator(mode="after")
    def _says_something(self) -> WhereModel:
        if not self.model_fields_set:
            raise wrong("no condition", "Write e.g. `{plan: [gold]}`, or leave it out")
        return self

    def condition(self) -> Condition:
        """Return the condition as the domain knows it."""
        parts = (*self._measures(), *self._labels(), *self._dealings(), *self._combined())
        return parts[0] if len(parts) == 1 else AllOf(parts)

    def _measures(self) -> list[Condition]:
        ranges = ((measure, getattr(self, measure)) for measure in MEASURES)
        return [Between(measure, each.min, each.max) for measure, each in ranges if each]

    def _labels(self) -> list[Condition]:
        named = ((label, getattr(self, label)) for label in LABELS)
        known: list[Condition] = [
            OneOf(label, frozenset(values)) for label, values in named if values
        ]
        own = (self.attributes or {}).items()
        return known + [OneOf(name, frozenset(values), attribute=True) for name, values in own]

    def _dealings(self) -> list[Condition]:
        parts: list[Condition] = [
            Uses(service, each.min, each.max) for service, each in (self.usage or {}).items()
        ]
        if self.product:
            parts.append(Bought(frozenset(self.product)))
        if self.heavy_use:
            parts.append(HeavyUse(frozenset(self.heavy_use)))
        if self.consent:
            parts.append(Consented(frozenset(self.consent)))
        return parts

    def _combined(self) -> list[Condition]:
        parts: list[Condition] = []
        if self.all:
            parts.append(AllOf(tuple(each.condition() for each in self.all)))
        if self.any:
            parts.append(AnyOf(tuple(each.condition() for each in self.any)))
        if self.not_:
            parts.append(Not(self.not_.condition()))
        return parts


class AudienceModel(Model):
    """``audience``: who may be contacted."""

    stages: Annotated[list[Stage], Field(min_length=1)] = sorted(ACTIVE_STAGES)
    consent: Consent | None = None
    where: WhereModel | None = None

    def audience(self) -> Audience:
        """Return the audience as the domain knows it."""
        where = None if self.where is None else self.where.condition()
        return Audience(frozenset(self.stages), self.consent, where)
