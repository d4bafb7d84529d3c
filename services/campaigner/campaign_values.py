"""What the values of a campaign file are: durations, shares, words, and an example of each."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from shared.domain.campaigns import MARKS_PER_UNIT

#: A value for each field that an error can show.
EXAMPLES: Final = {
    "campaigns": "[{name: early-warning, ...}]",
    "name": "early-warning",
    "state": "live",
    "trigger": "{risk_over: 0.6}",
    "risk_over": "0.6",
    "risk_under": "0.2",
    "enters": "[decline]",
    "before": "30d",
    "from": "[lapsed]",
    "date": "contract_end",
    "reaches": "{visits: 100}",
    "visits": "10",
    "spend": "{min: 100}",
    "revenue": "{min: 100}",
    "margin": "{min: 20}",
    "silent_for": "14d",
    "hysteresis": "0.1",
    "include_existing": "false",
    "audience": "{stages: [growth, maturity]}",
    "stages": "[growth, maturity]",
    "consent": "sms/marketing",
    "where": "{plan: [gold], tenure_days: {min: 90}}",
    "all": "[{plan: [gold]}, {market: [de]}]",
    "any": "[{plan: [gold]}, {market: [de]}]",
    "not": "{plan: [gold]}",
    "attributes": "{colour: [red]}",
    "risk": "{min: 0.3, max: 0.9}",
    "min": "0.3",
    "max": "0.9",
    "plan": "[gold]",
    "stage": "[growth]",
    "market": "[de]",
    "brand": "[main]",
    "tenure_days": "{min: 90}",
    "silence_days": "{min: 14}",
    "clv": "{min: 50}",
    "balance": "{max: 1}",
    "p_churn": "{min: 0.5}",
    "p_closed": "{min: 0.5}",
    "acquisition_source": "[partner]",
    "channel": "sms",
    "offer": "ten-percent-off",
    "control": "10%",
    "cool_down": "30d",
    "valid_for": "1h",
    "window": "28d",
    "cost_per_contact": "0.05",
    "priority": "10",
    "rollout": "20%",
    "cap": "3",
    "transactional": "false",
    "expected": "{uplift: 3%, minimum_gain: 0.5}",
    "uplift": "3%",
    "acceptance": "20%",
    "cost_per_acceptance": "5",
    "minimum_gain": "0.5",
    "guard_rails": "{quiet_hours: 21:00-08:00, per_day: 1}",
    "quiet_hours": "21:00-08:00",
    "time_zone": "Europe/London",
    "per_day": "1",
    "per_week": "3",
    "in_all": "20",
    "budget": "{day: 100, month: 2000}",
    "day": "100",
    "month": "2000",
    "rates": "{sms: 600}",
    "approval": "true",
    "author": "anna",
}

_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_LONGEST_MS: Final = 3_660 * _UNITS_MS["d"]
EPSILON: Final = 1e-9


def wrong(reason: str, remedy: str) -> PydanticCustomError:
    """Return an error with its remedy, for a validator to raise."""
    return PydanticCustomError("tenure", "{reason}", {"reason": reason, "remedy": remedy})


def _duration(value: object) -> int:
    """Return milliseconds of a text as ``90s``, ``30m``, ``1h``, ``7d`` or ``2w``."""
    match = re.fullmatch(r"(\d{1,9})([smhdw])", value) if isinstance(value, str) else None
    if match is None:
        raise wrong("not a duration", "Write a number and s, m, h, d or w, e.g. `1h` or `30d`")
    duration = int(match[1]) * _UNITS_MS[match[2]]
    if duration > _LONGEST_MS:
        raise wrong("longer than ten years", "Write at most `3660d`")
    return duration


def _share(value: object) -> object:
    """Return a share of 1: a number as it is, or a text as ``10%``."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?) ?%", value) if isinstance(value, str) else None
    return value if match is None else float(match[1]) / 100


def mark(value: float) -> float:
    """Require a multiple of .05: scores are sent as the risk passes one, and not between."""
    marks = value * MARKS_PER_UNIT
    if abs(marks - round(marks)) > EPSILON:
        below, above = int(marks) / MARKS_PER_UNIT, (int(marks) + 1) / MARKS_PER_UNIT
        raise wrong(f"{value} is not a multiple of 0.05", f"Write {below} or {above}")
    return round(marks) / MARKS_PER_UNIT


Duration = Annotated[int, BeforeValidator(_duration)]
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]
Word = Annotated[str, Field(pattern=r"^[^/\x00-\x1f\x7f]{1,64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Consent = Annotated[str, Field(pattern=r"^[^/\x00-\x1f\x7f]{1,128}(/[^/\x00-\x1f\x7f]{1,128})?$")]


class Model(BaseModel):
    """A part of the file: nothing unknown, nothing of another type."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, validate_default=True, allow_inf_nan=False
    )
