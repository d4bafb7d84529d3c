"""What the values of a campaign file are: durations, shares, words, and an example of each."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from shared.domain.campaigns import MARKS_PER_UNIT

#: A value for each field that an error can show.
EXAMPLES: Final = {
    "campaigns": "[{name: early-warning, ...}]",
    "segments": "[{name: big-spenders, where: {spend: {min: 1000}}}]",
    "description": "spent a thousand or more",
    "name": "early-warning",
    "state": "live",
    "trigger": "{risk_over: 0.6}",
    "risk_over": "0.6",
    "risk_under": "0.2",
    "enters": "[decline]",
    "before": "30d",
    "from": "[lapsed]",
    "date": "contract_end",
    "reaches": "{purchases: 100}",
    "visits": "10",
    "purchases": "100",
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
    "p_involuntary": "{max: 0.1}",
    "acquisition_source": "[partner]",
    "risk_rise_7d": "{min: 0.2}",
    "risk_rise_30d": "{min: 0.2}",
    "usage_ratio": "{max: 0.5}",
    "expected_spend": "{min: 20}",
    "expected_visits": "{min: 2}",
    "complaints": "{max: 0}",
    "complaint_days": "{min: 14}",
    "overdue_days": "{min: 3}",
    "payments_failed": "{min: 1}",
    "notice_days": "{max: 30}",
    "rating": "{min: 8}",
    "accepted": "{min: 1}",
    "contacts": "{max: 5}",
    "recharge_days": "{max: 30}",
    "days_since_recharge": "{min: 20}",
    "segment": "[champions]",
    "rfm": "[555, 554]",
    "account": "[open]",
    "value_band": "{min: 4}",
    "heavy_use": "[data]",
    "status": "[renewed]",
    "product": "[phone]",
    "usage": "{data: {min: 100}}",
    "rises_to": "{balance: 100}",
    "falls_below": "{usage_ratio: 0.5}",
    "rearm_at": "0.8",
    "service": "data",
    "event": "complaint",
    "of": "phone",
    "anniversary": "first_activity",
    "channel": "sms",
    "offer": "ten-percent-off",
    "offers": "{choices: [{name: ten-percent-off}, {name: extra-data}]}",
    "choices": "[{name: ten-percent-off}, {name: extra-data}]",
    "learns_from": "accepted",
    "explore": "20%",
    "by": "plan",
    "starts": "2026-01-31",
    "ends": "2026-03-01",
    "topic": "own",
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


def moment(value: object) -> datetime:
    """Return a time as YAML has it: a day, or a day and a time."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001  # `epoch` knows where
    raise wrong("not a day", "Write e.g. `2026-01-31` or `2026-01-31T08:00:00Z`")


def epoch(at: datetime | None, zone: str) -> int | None:
    """Return a time in epoch milliseconds; without a zone it is where the clocks show ``zone``."""
    if at is None:
        return None
    placed = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))
    return round(placed.timestamp() * 1000)


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
