"""Conditions on a customer's score: whom a campaign is for, in and, or and not."""

from __future__ import annotations

from typing import Final, Literal, get_args

from msgspec import Struct

from shared.domain.outputs import Score
from shared.domain.triggers import DAY_MS

Measure = Literal[
    "risk", "p_churn", "p_closed", "tenure_days", "silence_days", "visits", "spend", "revenue",
    "margin", "clv", "balance",
]  # fmt: skip
Label = Literal["stage", "plan", "brand", "market", "acquisition_source"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
LABELS: Final[tuple[Label, ...]] = get_args(Label)


class Between(Struct, frozen=True, tag="between"):
    """A measure is known, at least ``low`` and at most ``high``."""

    measure: Measure
    low: float | None = None
    high: float | None = None


class OneOf(Struct, frozen=True, tag="one_of"):
    """A label, or an attribute of the account, is one of ``values``."""

    name: Label | str
    values: frozenset[str]
    attribute: bool = False


class AllOf(Struct, frozen=True, tag="all"):
    """Each of the parts holds."""

    parts: tuple[Condition, ...]


class AnyOf(Struct, frozen=True, tag="any"):
    """At least one of the parts holds."""

    parts: tuple[Condition, ...]


class Not(Struct, frozen=True, tag="not"):
    """The part does not hold."""

    part: Condition


Condition = Between | OneOf | AllOf | AnyOf | Not


def unmet(condition: Condition, score: Score) -> str | None:
    """Return in an operator's words why a condition does not hold; ``None`` where it does."""
    match condition:
        case Between(measure, low, high):
            return _outside(measure, measured(measure, score), low, high)
        case OneOf(name, values, attribute):
            value = score.profile.attributes.get(name) if attribute else _label(name, score)
            if value in values:
                return None
            return f"{name} {value or 'is not known, and'} is not one of {_listed(values)}"
        case AllOf(parts):
            failed = (unmet(part, score) for part in parts)
            return next((each for each in failed if each is not None), None)
        case AnyOf(parts):
            reasons = [unmet(part, score) for part in parts]
            return None if None in reasons else " and ".join(filter(None, reasons))
        case Not(part):
            return None if unmet(part, score) else f"what must not hold does: {described(part)}"


def measured(measure: Measure, score: Score) -> float | None:
    """Return a measure of a customer; ``None`` where it is not known."""
    match measure:
        case "tenure_days":
            return _days_since(score.first_activity, score)
        case "silence_days":
            return _days_since(score.last_activity, score)
        case "balance":
            return score.profile.balance
    value: float = getattr(score, measure)
    return value


def described(condition: Condition) -> str:
    """Write a condition in an operator's words."""
    match condition:
        case Between(measure, low, high):
            least = "" if low is None else f" from {low:g}"
            return f"{measure}{least}{'' if high is None else f' to {high:g}'}"
        case OneOf(name, values):
            return f"{name} {_listed(values)}"
        case AllOf(parts):
            return " and ".join(map(described, parts))
        case AnyOf(parts):
            return " or ".join(map(described, parts))
        case Not(part):
            return f"not {described(part)}"


def _outside(
    measure: str, value: float | None, low: float | None, high: float | None
) -> str | None:
    if value is None:
        return f"{measure} is not known"
    if low is not None and value < low:
        return f"{measure} {value:g} is below {low:g}"
    if high is not None and value > high:
        return f"{measure} {value:g} is over {high:g}"
    return None


def _days_since(at: int, score: Score) -> float | None:
    return (score.at - at) / DAY_MS if at > 0 else None


def _label(name: str, score: Score) -> str | None:
    value: str | None = score.stage if name == "stage" else getattr(score.profile, name)
    return value


def _listed(values: frozenset[str]) -> str:
    return ", ".join(sorted(values))
