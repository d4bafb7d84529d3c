"""Conditions on a customer's score: whom a campaign is for, in and, or and not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, get_args

from msgspec import Struct

from shared.domain.happenings import usage_ratio
from shared.domain.outputs import Score
from shared.domain.triggers import DAY_MS

Measure = Literal[
    "risk", "p_churn", "p_closed", "tenure_days", "silence_days", "visits", "purchases", "spend",
    "revenue", "margin", "clv", "balance", "risk_rise_7d", "risk_rise_30d", "usage_ratio",
    "expected_spend", "expected_visits", "complaints", "complaint_days", "overdue_days",
    "payments_failed", "notice_days", "rating", "accepted", "contacts", "recharge_days",
    "days_since_recharge", "value_band", "p_involuntary",
]  # fmt: skip
Label = Literal[
    "stage", "segment", "rfm", "account", "status", "plan", "brand", "market", "acquisition_source"
]
#: Labels of the score itself; the others are the account's.
_OF_SCORE: Final = frozenset(("stage", "segment", "rfm"))
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
LABELS: Final[tuple[Label, ...]] = get_args(Label)


class _Condition(Struct, frozen=True):
    """What all conditions share."""

    def unmet(self, score: Score) -> str | None:
        """Return in an operator's words why it does not hold; ``None`` where it does."""
        raise NotImplementedError


class Between(_Condition, frozen=True, tag="between"):
    """A measure is known, at least ``low`` and at most ``high``."""

    measure: Measure
    low: float | None = None
    high: float | None = None

    def unmet(self, score: Score) -> str | None:
        """Return why the measure is out of the range."""
        return _outside(self.measure, measured(self.measure, score), self.low, self.high)

    def __str__(self) -> str:
        return _range(self.measure, self.low, self.high)


class OneOf(_Condition, frozen=True, tag="one_of"):
    """A label, or an attribute of the account, is one of ``values``."""

    name: Label | str
    values: frozenset[str]
    attribute: bool = False

    def unmet(self, score: Score) -> str | None:
        """Return why the label is another."""
        own = score.profile.attributes.get(self.name) if self.attribute else None
        value = own if self.attribute else _label(self.name, score)
        if value in self.values:
            return None
        known = value or "is not known, and"
        return f"{self.name} {known} is not one of {_listed(self.values)}"

    def __str__(self) -> str:
        return f"{self.name} {_listed(self.values)}"


class Bought(_Condition, frozen=True, tag="bought"):
    """One of the products was bought; the latest eight of a customer are known."""

    products: frozenset[str]

    def unmet(self, score: Score) -> str | None:
        """Return that none was."""
        if not self.products.isdisjoint(score.dealings.products):
            return None
        return f"none of {_listed(self.products)} was bought"

    def __str__(self) -> str:
        return f"bought {_listed(self.products)}"


class Uses(_Condition, frozen=True, tag="uses"):
    """A service is used at least ``low`` and at most ``high`` a day, over about 30 days."""

    service: str
    low: float | None = None
    high: float | None = None

    def unmet(self, score: Score) -> str | None:
        """Return why the use is out of the range; none of it is 0."""
        use = score.dealings.services.get(self.service)
        a_day = 0.0 if use is None else use.per_day_30
        return _outside(f"{self.service} a day", a_day, self.low, self.high)

    def __str__(self) -> str:
        return _range(f"{self.service} a day", self.low, self.high)


class HeavyUse(_Condition, frozen=True, tag="heavy_use"):
    """More of one of the services is used than four fifths of its users do."""

    services: frozenset[str]

    def unmet(self, score: Score) -> str | None:
        """Return that no more is."""
        if not self.services.isdisjoint(score.heavy_use):
            return None
        return f"no heavy use of {_listed(self.services)}"

    def __str__(self) -> str:
        return f"heavy use of {_listed(self.services)}"


class Consented(_Condition, frozen=True, tag="consented"):
    """Consent was given for each ``channel`` or ``channel/purpose``."""

    wanted: frozenset[str]

    def unmet(self, score: Score) -> str | None:
        """Return what it was not given for."""
        given = score.profile.consent
        missing = frozenset(each for each in self.wanted if not consented(given, each))
        return f"no consent for {_listed(missing)}" if missing else None

    def __str__(self) -> str:
        return f"consent for {_listed(self.wanted)}"


class AllOf(_Condition, frozen=True, tag="all"):
    """Each of the parts holds."""

    parts: tuple[Condition, ...]

    def unmet(self, score: Score) -> str | None:
        """Return why the first one does not."""
        failed = (part.unmet(score) for part in self.parts)
        return next((each for each in failed if each is not None), None)

    def __str__(self) -> str:
        return " and ".join(map(str, self.parts))


class AnyOf(_Condition, frozen=True, tag="any"):
    """At least one of the parts holds."""

    parts: tuple[Condition, ...]

    def unmet(self, score: Score) -> str | None:
        """Return why none does."""
        reasons = [part.unmet(score) for part in self.parts]
        return None if None in reasons else " and ".join(filter(None, reasons))

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


class Not(_Condition, frozen=True, tag="not"):
    """The part does not hold."""

    part: Condition

    def unmet(self, score: Score) -> str | None:
        """Return that it does."""
        return None if self.part.unmet(score) else f"what must not hold does: {self.part}"

    def __str__(self) -> str:
        return f"not {self.part}"


Condition = Between | OneOf | Bought | Uses | HeavyUse | Consented | AllOf | AnyOf | Not


def unmet(condition: Condition, score: Score) -> str | None:
    """Return in an operator's words why a condition does not hold; ``None`` where it does."""
    return condition.unmet(score)


def consented(consent: dict[str, bool], wanted: str) -> bool:
    """Tell whether consent was given for ``channel`` or ``channel/purpose``.

    Consent for a channel covers its purposes; a withdrawal of either outweighs it.

    >>> consented({"sms": True}, "sms/marketing")
    True
    >>> consented({"sms": False, "sms/marketing": True}, "sms/marketing")
    False
    """
    answers = {consent.get(wanted), consent.get(wanted.partition("/")[0])}
    return True in answers and False not in answers


def measured(measure: Measure, score: Score) -> float | None:
    """Return a measure of a customer; ``None`` where it is not known."""
    if measure in _SINCE:
        moment = _SINCE[measure](score)
        return None if not moment else (score.at - moment) / DAY_MS
    if measure in _DERIVED:
        return _DERIVED[measure](score)
    known: float | None = getattr(score.dealings if measure in _OF_DEALINGS else score, measure)
    return known


#: Measures in days since a moment, which is 0 or not known where it never was.
_SINCE: Final[dict[Measure, Callable[[Score], int | None]]] = {
    "tenure_days": lambda score: score.first_activity,
    "silence_days": lambda score: score.last_activity,
    "complaint_days": lambda score: score.dealings.complained_at,
    "overdue_days": lambda score: score.dealings.overdue_since,
    "notice_days": lambda score: score.dealings.notice_at,
    "days_since_recharge": lambda score: score.dealings.recharged_at,
}
_DERIVED: Final[dict[Measure, Callable[[Score], float | None]]] = {
    "value_band": lambda score: score.value_band or None,
    "balance": lambda score: score.profile.balance,
    "risk_rise_7d": lambda score: _rise(score, score.risk_7d_ago),
    "risk_rise_30d": lambda score: _rise(score, score.risk_30d_ago),
    "usage_ratio": lambda score: usage_ratio(score.dealings),
}
_OF_DEALINGS: Final[frozenset[Measure]] = frozenset(
    ("complaints", "payments_failed", "rating", "accepted", "contacts", "recharge_days")
)


def _rise(score: Score, before: float | None) -> float | None:
    return None if before is None else score.risk - before


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


def _range(what: str, low: float | None, high: float | None) -> str:
    least = "" if low is None else f" from {low:g}"
    return f"{what}{least}{'' if high is None else f' to {high:g}'}"


def _label(name: str, score: Score) -> str | None:
    if name == "account":
        return "closed" if score.closed else "open"
    value: str | None = getattr(score if name in _OF_SCORE else score.profile, name)
    return value or None


def _listed(values: frozenset[str]) -> str:
    return ", ".join(sorted(values))
