"""What makes a decision due: a level that a customer reaches, and how they are armed anew.

Each trigger tells of a customer as last seen whether it ``holds``, whether they are far enough from
it to be armed anew (``rearms``), and when time alone will make it hold (``next_due``).
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from shared.domain.outputs import Stage
from shared.domain.seen import Seen

DAY_MS: Final = 86_400_000
#: What milestones count.
Reached = Literal["visits", "spend", "revenue", "margin"]


class _Trigger(Struct, frozen=True, kw_only=True):
    """What all triggers share; ``include_existing`` takes in whoever it holds for already."""

    include_existing: bool = False

    def rearms(self, seen: Seen) -> bool:
        """Tell whether a customer whom a decision disarmed is armed anew."""
        return not self.holds(seen)

    def holds(self, seen: Seen) -> bool:
        """Tell whether the customer is where the trigger waits for them."""
        raise NotImplementedError

    def comes_from(self, before: Seen) -> bool:  # noqa: ARG002  # most do not mind
        """Tell whether a customer comes from where the trigger wants them to."""
        return True

    def next_due(self, seen: Seen) -> int | None:  # noqa: ARG002  # most wait for a score
        """Return when it holds if nothing happens till then; ``None`` if time does not matter."""
        return None


class RiskOver(_Trigger, frozen=True, tag="risk_over"):
    """The churn risk rises to ``threshold``, or over it.

    ``rearm_below`` is the threshold less the hysteresis; both are multiples of .05.
    """

    threshold: float
    rearm_below: float

    def holds(self, seen: Seen) -> bool:
        """Tell whether the risk is high enough."""
        return seen.risk >= self.threshold

    def rearms(self, seen: Seen) -> bool:
        """Tell whether the risk fell far enough."""
        return seen.risk < self.rearm_below

    def __str__(self) -> str:
        return f"risk over {self.threshold:g}"


class RiskUnder(_Trigger, frozen=True, tag="risk_under"):
    """The churn risk falls below ``threshold``; ``rearm_from`` is it plus the hysteresis."""

    threshold: float
    rearm_from: float

    def holds(self, seen: Seen) -> bool:
        """Tell whether the risk is low enough."""
        return seen.risk < self.threshold

    def rearms(self, seen: Seen) -> bool:
        """Tell whether the risk rose far enough."""
        return seen.risk >= self.rearm_from

    def __str__(self) -> str:
        return f"risk under {self.threshold:g}"


class StageEntered(_Trigger, frozen=True, tag="stage_entered"):
    """The customer enters one of ``stages``, from one of ``before`` where that is set."""

    stages: frozenset[Stage]
    before: frozenset[Stage] | None = None

    def holds(self, seen: Seen) -> bool:
        """Tell whether the customer is in one of the stages."""
        return seen.stage in self.stages

    def comes_from(self, before: Seen) -> bool:
        """Tell whether the customer was in one of the stages before."""
        return self.before is None or before.stage in self.before

    def __str__(self) -> str:
        return f"entering {' or '.join(sorted(self.stages))}"


class Milestone(_Trigger, frozen=True, tag="milestone"):
    """A count or an amount reaches ``threshold``, once: it never falls, so nobody is armed anew."""

    measure: Reached
    threshold: float

    def holds(self, seen: Seen) -> bool:
        """Tell whether the customer got so far."""
        value: float = getattr(seen, self.measure)
        return value >= self.threshold

    def rearms(self, seen: Seen) -> bool:  # noqa: ARG002
        """Return no: a refund does not make the same milestone a second one."""
        return False

    def __str__(self) -> str:
        return f"{self.measure} reaching {self.threshold:g}"


class Silent(_Trigger, frozen=True, tag="silent"):
    """The customer has bought and used nothing for so long; any activity arms anew."""

    for_ms: int

    def holds(self, seen: Seen) -> bool:
        """Tell whether the silence is long enough."""
        return seen.last_activity > 0 and seen.at - seen.last_activity >= self.for_ms

    def next_due(self, seen: Seen) -> int | None:
        """Return when the silence will be long enough."""
        return seen.last_activity + self.for_ms if seen.last_activity > 0 else None

    def __str__(self) -> str:
        return f"silent for {self.for_ms / DAY_MS:g} days"


class DateNears(_Trigger, frozen=True, tag="date_nears"):
    """A date of the account is ``lead_ms`` ahead, or nearer; a later date arms anew."""

    date: Literal["contract_end", "expiry"]
    lead_ms: int

    def holds(self, seen: Seen) -> bool:
        """Tell whether the date is near, or past."""
        due = self.next_due(seen)
        return due is not None and seen.at >= due

    def next_due(self, seen: Seen) -> int | None:
        """Return when the date will be near."""
        date: int | None = getattr(seen, self.date)
        return None if date is None else date - self.lead_ms

    def __str__(self) -> str:
        return f"{self.lead_ms / DAY_MS:g} days before {self.date}"


Trigger = RiskOver | RiskUnder | StageEntered | Milestone | Silent | DateNears
