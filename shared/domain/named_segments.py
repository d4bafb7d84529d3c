"""Segments by conditions: Tenure's own and a deployment's, and what names mean in an audience.

A condition is one on a customer's score, the very language of audiences, so whoever is in a segment
by a score is so for every reader of it. Time moves customers too: the conditions are looked at
again with the time of the partition, once a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal
from uuid import UUID, uuid5

from msgspec import Struct

from shared.domain.conditions import AllOf, AnyOf, Between, Condition, HeavyUse, Not, OneOf
from shared.domain.outputs import Identity, Score
from shared.domain.rfm import SEGMENTS

_VALUE: Final = "value-"
_HEAVY: Final = "heavy-"
_BANDS: Final = range(1, 6)
_NAMESPACE: Final = UUID("6f1c7a0e-4a0b-4c52-9c3e-2b8f3a7d5e10")


class NamedSegment(Struct, frozen=True):
    """Whoever meets a condition."""

    name: str
    condition: Condition
    description: str = ""


#: Two failed payments since everything was settled, or a payment overdue for two weeks.
_BAD_DEBT: Final = AnyOf((Between("payments_failed", 2.0), Between("overdue_days", 14.0)))
_SILENT: Final = OneOf("stage", frozenset(("dormant", "lapsed")))
BUILT_IN: Final = (
    NamedSegment(
        "inactive",
        AllOf((_SILENT, OneOf("account", frozenset(("open",))))),
        "silent beyond the customer's own rhythm, the account still open",
    ),
    NamedSegment(
        "bad-debt-risk", _BAD_DEBT, "two failed payments, or a payment overdue for 14 days"
    ),
)
_BUILT_IN: Final = {each.name: each.condition for each in BUILT_IN}


class Membership(Struct, frozen=True):
    """Where a customer stands with a segment.

    Attributes
    ----------
    member
        Whether the customer is in it.
    number
        How often the customer has entered it.
    since
        When the customer entered or left last, the partition's time.

    """

    member: bool = False
    number: int = 0
    since: int = 0


class SegmentChange(Struct, frozen=True):
    """An entry into a segment of the campaign file, or an exit: a record of its topic.

    Attributes
    ----------
    id
        The same for the same entry or exit, however often it is told.
    customer, segment, change
        Who; its name in the campaign file; which of the two it was.
    at
        The partition's time.
    number
        Which of the customer's entries it is, or ends; from 1.
    origin
        The score by which it was seen.
    lasted_ms
        Of an exit, how long the customer was in.

    """

    id: str
    customer: str
    segment: str
    change: Literal["entered", "left"]
    at: int
    number: int
    origin: Identity
    lasted_ms: int | None = None


def is_segment(name: str, own: Iterable[str]) -> bool:
    """Tell whether there is a segment of this name, of Tenure's or among those of ``own``."""
    return name in SEGMENTS or name in own or is_reserved(name)


def is_reserved(name: str) -> bool:
    """Tell whether a name is one of Tenure's, by conditions, bands or services."""
    band = name in {f"{_VALUE}{each}" for each in _BANDS}
    heavy = name.startswith(_HEAVY) and name != _HEAVY
    return name in SEGMENTS or name in _BUILT_IN or band or heavy


def is_told(name: str) -> bool:
    """Tell whether entries and exits are told of: those of a deployment's own segments are."""
    return not is_reserved(name)


def resolved(condition: Condition, own: Mapping[str, Condition]) -> Condition:
    """Return a condition in which names of segments are replaced by what they mean."""
    if isinstance(condition, OneOf) and condition.name == "segment" and not condition.attribute:
        plain = condition.values & frozenset(SEGMENTS)
        parts: list[Condition] = [OneOf("segment", plain)] if plain else []
        parts += [_meaning(name, own) for name in sorted(condition.values - plain)]
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))
    if isinstance(condition, AllOf | AnyOf):
        return type(condition)(tuple(resolved(part, own) for part in condition.parts))
    if isinstance(condition, Not):
        return Not(resolved(condition.part, own))
    return condition


def _meaning(name: str, own: Mapping[str, Condition]) -> Condition:
    if name in own:
        return own[name]
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    if name.startswith(_HEAVY):
        return HeavyUse(frozenset((name.removeprefix(_HEAVY),)))
    band = float(name.removeprefix(_VALUE))
    return Between("value_band", band, band)


def segments_of(score: Score, watched: Sequence[NamedSegment]) -> set[str]:
    """Return the segments by conditions that a customer is in; of quintiles the score tells."""
    found = {each.name for each in watched if each.condition.unmet(score) is None}
    found |= {f"{_HEAVY}{service}" for service in score.heavy_use}
    return found


def moved(before: Mapping[str, Membership], now_in: set[str], at: int) -> dict[str, Membership]:
    """Return where a customer stands with the segments entered or left by a time."""
    found = {}
    for name in now_in:
        known = before.get(name, Membership())
        if not known.member:
            found[name] = Membership(member=True, number=known.number + 1, since=at)
    for name, known in before.items():
        if known.member and name not in now_in:
            found[name] = Membership(member=False, number=known.number, since=at)
    return dict(sorted(found.items()))


def change_of(score: Score, segment: str, before: Membership, after: Membership) -> SegmentChange:
    """Return what is told of an entry or an exit."""
    change: Literal["entered", "left"] = "entered" if after.member else "left"
    named = f"{segment}\0{after.number}\0{change}\0{score.customer}"
    return SegmentChange(
        id=str(uuid5(_NAMESPACE, named)),
        customer=score.customer,
        segment=segment,
        change=change,
        at=after.since,
        number=after.number,
        origin=score.origin,
        lasted_ms=None if after.member else after.since - before.since,
    )
