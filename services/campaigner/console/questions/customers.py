"""One customer: who that is now, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from services.campaigner.console.parts import Parts
from services.campaigner.console.questions.trail import Entry
from services.campaigner.console.questions.words import moment, name_of
from services.campaigner.profile_tables import Row, likely, sections
from shared.adapters.sql.campaign_queries import StoredDecision
from shared.adapters.sql.console_queries import Enrolment, Heard
from shared.domain.outputs import Score

_DECISIONS: Final = 200
_FOUND: Final = 20
_FOLLOWING: Final = 5
#: What the rest of the page does not show.
_SECTIONS: Final = ("account", "touch points", "risk", "activity", "value")
_score: Final = msgspec.json.Decoder(Score)


@dataclass(frozen=True)
class Customer:
    """What the database knows of a customer.

    Attributes
    ----------
    facts
        By section, as `tenure customer show` tells them.
    suppressed
        Whether the customer is on the suppression list.
    following
        Products that are likely to be taken up next, as `tenure customer products` tells them.

    """

    score: Score
    facts: list[tuple[str, list[Row]]]
    decisions: list[StoredDecision]
    enrolments: list[Enrolment]
    suppressed: bool
    following: list[Sequence[str]]


def customer(parts: Parts, name: str) -> Customer | None:
    """Return a customer, ``None`` if unknown."""
    text = parts.queries.profile(name)
    if text is None:
        return None
    score = _score.decode(text)
    told = sections(score)
    return Customer(
        score=score,
        facts=[(name, told[name]) for name in _SECTIONS if name in told],
        decisions=parts.queries.decisions(customer=name, limit=_DECISIONS),
        enrolments=parts.console_queries.enrolments(name),
        suppressed=name in parts.controls.controls().suppressed,
        following=likely(parts.products.of(name, score.dealings, _FOLLOWING)[1]),
    )


def search(parts: Parts, text: str) -> list[Heard]:
    """Return customers whose ids begin with a text."""
    return parts.console_queries.beginning_with(text.strip(), _FOUND) if text.strip() else []


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
