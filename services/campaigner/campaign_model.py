"""What a campaign file may hold: fields, their ranges, and how they become a `Campaign`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from shared.domain.campaigns import (
    ACTIVE_STAGES,
    MARKS_PER_UNIT,
    Audience,
    Campaign,
    RiskOver,
    State,
)
from shared.domain.outputs import Stage

#: A value for each field that an error can show.
EXAMPLES: Final = {
    "campaigns": "[{name: early-warning, ...}]",
    "name": "early-warning",
    "state": "live",
    "trigger": "{risk_over: 0.6}",
    "risk_over": "0.6",
    "hysteresis": "0.1",
    "include_existing": "false",
    "audience": "{stages: [growth, maturity]}",
    "stages": "[growth, maturity]",
    "consent": "sms/marketing",
    "channel": "sms",
    "offer": "ten-percent-off",
    "control": "10%",
    "cool_down": "30d",
    "valid_for": "1h",
    "window": "28d",
    "cost_per_contact": "0.05",
}

_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_LONGEST_MS: Final = 3_660 * _UNITS_MS["d"]
_EPSILON: Final = 1e-9


def _wrong(reason: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("tenure", "{reason}", {"reason": reason, "remedy": remedy})


def _duration(value: object) -> int:
    """Return milliseconds of a text as ``90s``, ``30m``, ``1h``, ``7d`` or ``2w``."""
    match = re.fullmatch(r"(\d{1,9})([smhdw])", value) if isinstance(value, str) else None
    if match is None:
        raise _wrong("not a duration", "Write a number and s, m, h, d or w, e.g. `1h` or `30d`")
    duration = int(match[1]) * _UNITS_MS[match[2]]
    if duration > _LONGEST_MS:
        raise _wrong("longer than ten years", "Write at most `3660d`")
    return duration


def _share(value: object) -> object:
    """Return a share of 1: a number as it is, or a text as ``10%``."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?) ?%", value) if isinstance(value, str) else None
    return value if match is None else float(match[1]) / 100


def _mark(value: float) -> float:
    """Require a multiple of .05: scores are sent as the risk passes one, and not between."""
    marks = value * MARKS_PER_UNIT
    if abs(marks - round(marks)) > _EPSILON:
        below, above = int(marks) / MARKS_PER_UNIT, (int(marks) + 1) / MARKS_PER_UNIT
        raise _wrong(f"{value} is not a multiple of 0.05", f"Write {below} or {above}")
    return round(marks) / MARKS_PER_UNIT


Duration = Annotated[int, BeforeValidator(_duration)]
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]
Word = Annotated[str, Field(pattern=r"^[^/\x00-\x1f\x7f]{1,64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Consent = Annotated[str, Field(pattern=r"^[^/\x00-\x1f\x7f]{1,128}(/[^/\x00-\x1f\x7f]{1,128})?$")]


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, validate_default=True, allow_inf_nan=False
    )


class TriggerModel(_Model):
    """``trigger``: what makes a decision due."""

    risk_over: Annotated[float, Field(ge=0.05, le=1)]
    hysteresis: Annotated[float, Field(ge=0, le=0.95)] = 0.1
    include_existing: bool = False

    _on_marks = field_validator("risk_over", "hysteresis")(_mark)

    @field_validator("hysteresis")
    @classmethod
    def _must_rearm(cls, value: float, info: ValidationInfo) -> float:
        threshold = info.data.get("risk_over")  # absent when it is wrong itself
        if threshold is not None and value > threshold - 1 / MARKS_PER_UNIT + _EPSILON:
            remedy = f"Write at most {threshold - 1 / MARKS_PER_UNIT:.2f}"
            raise _wrong("no risk would ever re-arm a customer", remedy)
        return value

    def trigger(self) -> RiskOver:
        """Return the trigger as the domain knows it."""
        rearm = round((self.risk_over - self.hysteresis) * MARKS_PER_UNIT) / MARKS_PER_UNIT
        return RiskOver(self.risk_over, rearm, self.include_existing)


class AudienceModel(_Model):
    """``audience``: who may be contacted."""

    stages: Annotated[list[Stage], Field(min_length=1)] = sorted(ACTIVE_STAGES)
    consent: Consent | None = None

    def audience(self) -> Audience:
        """Return the audience as the domain knows it."""
        return Audience(frozenset(self.stages), self.consent)


class CampaignModel(_Model):
    """One campaign."""

    name: Name
    state: State
    trigger: TriggerModel
    audience: AudienceModel = AudienceModel()
    channel: Word
    offer: Word
    control: Share = 0.1
    cool_down: Duration = "30d"  # type: ignore[assignment]  # validated like what a file holds
    valid_for: Duration = "1h"  # type: ignore[assignment]

    window: Duration = "28d"  # type: ignore[assignment]
    cost_per_contact: Annotated[float, Field(ge=0, le=1e6)] = 0.0

    @field_validator("valid_for")
    @classmethod
    def _lasts(cls, value: int) -> int:
        if value == 0:
            raise _wrong("every trigger would expire at once", "Write e.g. `1h`")
        return value

    @field_validator("window")
    @classmethod
    def _measures(cls, value: int) -> int:
        if value == 0:
            raise _wrong("no effect could show", "Write e.g. `28d`")
        return value

    def campaign(self) -> Campaign:
        """Return the campaign as the domain knows it, its version still empty."""
        return Campaign(
            name=self.name,
            version="",
            state=self.state,
            trigger=self.trigger.trigger(),
            audience=self.audience.audience(),
            channel=self.channel,
            offer=self.offer,
            control=self.control,
            cool_down_ms=self.cool_down,
            valid_for_ms=self.valid_for,
            window_ms=self.window,
            cost_per_contact=self.cost_per_contact,
        )


class CampaignsModel(_Model):
    """A whole file."""

    campaigns: list[CampaignModel]
