"""One customer: who that is now, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from services.campaigner.console.parts import Parts
from services.campaigner.console.questions.trail import Entry
from services.campaigner.console.questions.words import day, moment, name_of
from shared.adapters.sql.campaign_queries import StoredDecision
from shared.adapters.sql.console_queries import Enrolment, Heard
from shared.domain.outputs import Score

_DECISIONS: Final = 200
_FOUND: Final = 20
_score: Final = msgspec.json.Decoder(Score)


@dataclass(frozen=True)
class Customer:
    """What the database knows of a customer.

    Attributes
    ----------
    facts
        The profile and dealings by name, in words.
    suppressed
        Whether the customer is on the suppression list.

    """

    score: Score
    facts: list[tuple[str, str]]
    decisions: list[StoredDecision]
    enrolments: list[Enrolment]
    suppressed: bool


def customer(parts: Parts, name: str) -> Customer | None:
    """Return a customer, ``None`` if unknown."""
    text = parts.queries.profile(name)
    if text is None:
        return None
    return Customer(
        score=_score.decode(text),
        facts=facts(msgspec.json.decode(text)),
        decisions=parts.queries.decisions(customer=name, limit=_DECISIONS),
        enrolments=parts.console_queries.enrolments(name),
        suppressed=name in parts.controls.controls().suppressed,
    )


def search(parts: Parts, text: str) -> list[Heard]:
    """Return customers whose ids begin with a text."""
    return parts.console_queries.beginning_with(text.strip(), _FOUND) if text.strip() else []


_DATES: Final = frozenset(
    {
        *("expiry", "contract_end", "recharged_at", "complained_at", "overdue_since", "notice_at"),
        *("paused_at", "trial_at", "closed_at", "at", "last"),
    }
)


def facts(score: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a score carries of profile and dealings, as it comes: whatever there is to tell.

    >>> facts({"profile": {"plan": "gold", "expiry": 0, "consent": {"sms": True}}})
    [('plan', 'gold'), ('expiry', '1970-01-01'), ('consent, sms', 'yes')]
    """
    found: list[tuple[str, str]] = []
    for part in ("profile", "dealings"):
        for name, value in (score.get(part) or {}).items():
            found += _told(name, value)
    return found


def _told(name: str, value: object) -> list[tuple[str, str]]:
    label = name_of(name)
    if value in (None, "", {}, []):
        return []
    match value:
        case bool():
            return [(label, "yes" if value else "no")]
        case dict():
            inner = [pair for key, each in value.items() for pair in _told(str(key), each)]
            return [(f"{label}, {key}", text) for key, text in inner]
        case int() | float() if name in _DATES:
            return [(label, day(int(value)))]
        case float():
            return [(label, f"{value:,.2f}")]
        case _:
            return [(label, str(value))]


def entries(found: Customer) -> list[Entry]:
    """Return what the database adds to the customer's timeline."""
    decided = [
        Entry(each.at, "decision", f"{each.campaign}: {name_of(each.outcome)}", why(each))
        for each in found.decisions
    ]
    ended = [
        Entry(each.ends_at, "outcome", f"{each.campaign}: {_became(each)}", _arm(each))
        for each in found.enrolments
        if each.retained is not None
    ]
    return [*decided, *ended]


def why(decision: StoredDecision) -> str:
    """Return why a decision came out as it did."""
    failed = [each.reason or each.check for each in decision.checks if not each.passed]
    parts = [decision.trigger, *failed, decision.waits_for or ""]
    return "; ".join(each for each in parts if each)


def _became(enrolment: Enrolment) -> str:
    return "stayed" if enrolment.retained else "did not stay"


def _arm(enrolment: Enrolment) -> str:
    contacted = "contacted" if enrolment.arm == "treatment" else "held out"
    return f"{contacted} on {moment(enrolment.at)}, window ended"
