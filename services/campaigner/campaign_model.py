"""What a campaign file may hold: fields, their ranges, and how they become a `Campaign`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from services.campaigner.audience_model import AudienceModel, WhereModel
from services.campaigner.campaign_values import (
    Duration,
    Model,
    Name,
    Share,
    Word,
    epoch,
    moment,
    wrong,
)
from services.campaigner.trigger_model import TriggerModel
from shared.domain.budgets import Budget
from shared.domain.campaigns import Campaign, Expected, GuardRails, State
from shared.domain.named_segments import NamedSegment, is_reserved
from shared.domain.offers import By, Good, Offer, Offers
from shared.domain.quiet_hours import QuietHours, known_zone

_HOURS: Final = r"([01]\d|2[0-3]):(00|15|30|45)-([01]\d|2[0-3]):(00|15|30|45)"

Money = Annotated[float, Field(ge=0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Limit = Annotated[float, Field(gt=0, le=1e12)]
Author = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class BudgetModel(Model):
    """``budget``: most that contacts may cost."""

    day: Limit | None = None
    month: Limit | None = None
    in_all: Limit | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> BudgetModel:
        if not self.model_fields_set:
            raise wrong("no limit", "Write e.g. `{day: 100}`, or leave it out")
        return self

    def budget(self) -> Budget:
        """Return it as the domain knows it."""
        return Budget(self.day, self.month, self.in_all)


class ExpectedModel(Model):
    """``expected``: what a contact promises, so that none is made at a loss."""

    uplift: Share
    acceptance: Share = 0.0
    cost_per_acceptance: Money = 0.0
    minimum_gain: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0

    def expected(self) -> Expected:
        """Return it as the domain knows it."""
        return Expected(self.uplift, self.acceptance, self.cost_per_acceptance, self.minimum_gain)


class OfferModel(Model):
    """One of several offers."""

    name: Word
    cost_per_acceptance: Money = 0.0


class OffersModel(Model):
    """``offers``: several, of which each customer gets the one that promises most."""

    choices: Annotated[list[OfferModel], Field(min_length=2, max_length=20)]
    learns_from: Good = "accepted"
    explore: Share = 0.2
    by: By | None = None

    @field_validator("choices")
    @classmethod
    def _differ(cls, value: list[OfferModel]) -> list[OfferModel]:
        names = [each.name for each in value]
        if twice := sorted({each for each in names if names.count(each) > 1}):
            raise wrong(f"{', '.join(twice)} more than once", "Give each offer its own name")
        return value

    def offers(self) -> Offers:
        """Return them as the domain knows them."""
        choices = tuple(Offer(each.name, each.cost_per_acceptance) for each in self.choices)
        return Offers(choices, self.learns_from, self.explore, self.by)


class GuardRailsModel(Model):
    """``guard_rails``: what holds for all campaigns of the file together."""

    time_zone: str = "UTC"
    quiet_hours: str | None = None
    per_day: Count | None = None
    per_week: Count | None = None
    in_all: Count | None = None
    budget: BudgetModel | None = None
    rates: dict[Word, Count] = Field(default_factory=dict)
    approval: bool = False
    author: Author | None = None
    control: Share = 0.0
    window: Duration = "28d"  # type: ignore[assignment]  # validated like what a file holds

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, value: str) -> str:
        if not known_zone(value):
            raise wrong("no such time zone", "Write a name of the tz database: `Europe/London`")
        return value

    @field_validator("window")
    @classmethod
    def _measures(cls, value: int) -> int:
        return _long_enough(value)

    @field_validator("quiet_hours")
    @classmethod
    def _on_quarters(cls, value: str | None) -> str | None:
        if value is None:
            return None
        match = re.fullmatch(_HOURS, value)
        if match is None or match.group(1, 2) == match.group(3, 4):
            remedy = "Write e.g. `21:00-08:00`, on quarters of an hour, two different ones"
            raise wrong("not quiet hours", remedy)
        return value

    def rails(self) -> GuardRails:
        """Return them as the domain knows them."""
        quiet = None if self.quiet_hours is None else _quiet(self.quiet_hours)
        return GuardRails(
            time_zone=self.time_zone,
            quiet=quiet,
            per_day=self.per_day,
            per_week=self.per_week,
            in_all=self.in_all,
            budget=None if self.budget is None else self.budget.budget(),
            rates=self.rates,
            approval=self.approval,
            author=self.author,
            control=self.control,
            window_ms=self.window,
        )


def _long_enough(window: int) -> int:
    if window == 0:
        raise wrong("no effect could show", "Write e.g. `28d`")
    return window


def _quiet(text: str) -> QuietHours:
    ends = (each.split(":") for each in text.split("-"))
    start, end = (int(hour) * 60 + int(minute) for hour, minute in ends)
    return QuietHours(start, end)


class CampaignModel(Model):
    """One campaign."""

    name: Name
    state: State
    trigger: TriggerModel
    audience: AudienceModel = AudienceModel()
    channel: Word
    offers: OffersModel | None = None
    offer: Word | None = None
    control: Share = 0.1
    cool_down: Duration = "30d"  # type: ignore[assignment]  # validated like what a file holds
    valid_for: Duration = "1h"  # type: ignore[assignment]

    window: Duration = "28d"  # type: ignore[assignment]
    cost_per_contact: Money = 0.0
    priority: Annotated[int, Field(ge=-1_000, le=1_000)] = 0
    rollout: Share = 1.0
    cap: Count | None = None
    expected: ExpectedModel | None = None
    transactional: bool = False
    budget: BudgetModel | None = None
    approval: bool = False
    cost_per_acceptance: Money = 0.0
    starts: datetime | None = None
    ends: datetime | None = None
    topic: Literal["shared", "own"] = "shared"

    @field_validator("budget")
    @classmethod
    def _can_be_spent(cls, value: BudgetModel | None, info: ValidationInfo) -> BudgetModel | None:
        if value is not None and not info.data.get("cost_per_contact"):
            raise wrong(
                "no contact costs anything", "Write what one does: `cost_per_contact: 0.05`"
            )
        return value

    @field_validator("valid_for")
    @classmethod
    def _lasts(cls, value: int) -> int:
        if value == 0:
            raise wrong("every trigger would expire at once", "Write e.g. `1h`")
        return value

    @field_validator("window")
    @classmethod
    def _measures(cls, value: int) -> int:
        return _long_enough(value)

    @field_validator("starts", "ends", mode="before")
    @classmethod
    def _is_a_time(cls, value: object) -> object:
        return value if value is None else moment(value)

    @field_validator("offer")
    @classmethod
    def _is_one_or_several(cls, value: str | None, info: ValidationInfo) -> str | None:
        several = info.data.get("offers", True)  # what is wrong with them is told of them
        if value is None and several is None:
            remedy = "Write e.g. `offer: ten-percent-off`, or several below `offers:`"
            raise wrong("missing", remedy)
        if value is not None and several is not None and several is not True:
            raise wrong("one offer, and several", "Leave out `offer`, or `offers`")
        return value

    @field_validator("ends")
    @classmethod
    def _comes_after(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        starts, ends = epoch(info.data.get("starts"), "UTC"), epoch(value, "UTC")
        if starts is not None and ends is not None and starts >= ends:
            raise wrong("it would end before it begins", "Exchange starts and ends")
        return value

    def campaign(self, zone: str) -> Campaign:
        """Return the campaign as the domain knows it, its version still empty.

        Days without a zone of their own begin where the clocks show ``zone``.
        """
        return Campaign(
            name=self.name,
            version="",
            state=self.state,
            trigger=self.trigger.trigger(),
            audience=self.audience.audience(),
            channel=self.channel,
            offer=self.offer or "",
            offers=None if self.offers is None else self.offers.offers(),
            cost_per_acceptance=self.cost_per_acceptance,
            starts=epoch(self.starts, zone),
            ends=epoch(self.ends, zone),
            own_topic=self.topic == "own",
            control=self.control,
            cool_down_ms=self.cool_down,
            valid_for_ms=self.valid_for,
            window_ms=self.window,
            cost_per_contact=self.cost_per_contact,
            priority=self.priority,
            rollout=self.rollout,
            cap=self.cap,
            expected=None if self.expected is None else self.expected.expected(),
            transactional=self.transactional,
            budget=None if self.budget is None else self.budget.budget(),
            approval=self.approval,
        )


class SegmentModel(Model):
    """One of ``segments``: whoever meets a condition."""

    name: Name
    where: WhereModel
    description: Annotated[str, Field(max_length=200)] = ""

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if is_reserved(value):
            raise wrong(f"{value!r} is a segment of Tenure's own", "Choose another name")
        return value

    def segment(self) -> NamedSegment:
        """Return it as the domain knows it, names of segments not resolved yet."""
        return NamedSegment(self.name, self.where.condition(), self.description)


class CampaignsModel(Model):
    """A whole file."""

    campaigns: list[CampaignModel]
    segments: Annotated[tuple[SegmentModel, ...], Field(max_length=100, strict=False)] = ()
    guard_rails: GuardRailsModel = GuardRailsModel()

    @field_validator("guard_rails")
    @classmethod
    def _has_an_author(cls, value: GuardRailsModel, info: ValidationInfo) -> GuardRailsModel:
        needed = value.approval or any(each.approval for each in info.data.get("campaigns", ()))
        if needed and value.author is None:
            remedy = "Write `author:` with the name of the API key of who wrote this file"
            raise wrong("approval by a second person needs to know the first", remedy)
        return value
