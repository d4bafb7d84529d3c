"""What makes a decision due: a level that a customer reaches, and how they are armed anew.

Each trigger tells of a customer as last seen whether it ``holds``, whether they are far enough from
it to be armed anew (``rearms``), and when time alone will make it hold (``next_due``). What happens
again and again (`Happened`, `Anniversary`) arms anew by the next time that it does (``recurs``).
"""

from __future__ import annotations

from calendar import isleap
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

from shared.domain.happenings import Happening, Level, happened, level_of
from shared.domain.outputs import Stage
from shared.domain.seen import Seen

DAY_MS: Final = 86_400_000
#: What milestones count.
Reached = Literal["purchases", "visits", "spend", "revenue", "margin"]
#: How long an anniversary may wait, for the end of quiet hours or for room in a channel.
ANNIVERSARY_LASTS_MS: Final = 2 * DAY_MS
_LEAST_YEAR_MS: Final = 365 * DAY_MS


class _Trigger(Struct, frozen=True, kw_only=True):
    """What all triggers share; ``include_existing`` takes in whoever it holds for already."""

    include_existing: bool = False

    def rearms(self, seen: Seen) -> bool:
        """Tell whether a customer whom a decision disarmed is armed anew."""
        return not self.holds(seen)

    def holds(self, seen: Seen) -> bool:
        """Tell whether the customer is where the trigger waits for them."""
        raise NotImplementedError

    def recurs(self, before: Seen, seen: Seen) -> bool:  # noqa: ARG002  # most hold or do not
        """Tell whether what is waited for happened since the customer was seen before."""
        return False

    def occasion(self, seen: Seen) -> int | None:  # noqa: ARG002  # most are armed anew otherwise
        """Return the number of the occasion that it holds for, where those are numbered.

        An arming has the occasion's number then: whoever looks at the same one again, as after a
        restart, which forgets the looks that time alone made due, finds it used up.
        """
        return None

    def reached(self, before: Seen, seen: Seen) -> bool:  # noqa: ARG002  # it holds now
        """Tell whether a customer for whom it holds now was elsewhere before."""
        return not self.holds(before) and self.comes_from(before)

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


class Rises(_Trigger, frozen=True, tag="rises"):
    """A level rises to ``threshold``, or over it; below ``rearm_below`` the customer is armed anew.

    ``of`` names a service where the level is of one.
    """

    level: Level
    threshold: float
    rearm_below: float
    of: str | None = None

    def holds(self, seen: Seen) -> bool:
        """Tell whether the level is known, and high enough."""
        value = level_of(seen, self.level, self.of)
        return value is not None and value >= self.threshold

    def rearms(self, seen: Seen) -> bool:
        """Tell whether the level fell far enough."""
        value = level_of(seen, self.level, self.of)
        return value is not None and value < self.rearm_below

    def __str__(self) -> str:
        return f"{_named(self.level, self.of)} rising to {self.threshold:g}"


class Falls(_Trigger, frozen=True, tag="falls"):
    """A level falls below ``threshold``; at ``rearm_from``, or over it, it may fall anew."""

    level: Level
    threshold: float
    rearm_from: float
    of: str | None = None

    def holds(self, seen: Seen) -> bool:
        """Tell whether the level is known, and low enough."""
        value = level_of(seen, self.level, self.of)
        return value is not None and value < self.threshold

    def rearms(self, seen: Seen) -> bool:
        """Tell whether the level rose far enough."""
        value = level_of(seen, self.level, self.of)
        return value is not None and value >= self.rearm_from

    def comes_from(self, before: Seen) -> bool:
        """Tell whether the level was known before: it cannot fall from nowhere."""
        return level_of(before, self.level, self.of) is not None

    def __str__(self) -> str:
        return f"{_named(self.level, self.of)} falling below {self.threshold:g}"


class Happened(_Trigger, frozen=True, tag="happened"):
    """Something happened to the customer; each further time counts anew.

    ``of`` names the product of a purchase, or the service of a use, where only one is meant. What
    happened twice before the customer was looked at again counts once.
    """

    event: Happening
    of: str | None = None

    def holds(self, seen: Seen) -> bool:
        """Tell whether it ever happened, and was not undone, as what is overdue is by paying."""
        return happened(seen, self.event, self.of) > 0

    def recurs(self, before: Seen, seen: Seen) -> bool:
        """Tell whether it happened since."""
        return happened(seen, self.event, self.of) > happened(before, self.event, self.of)

    def reached(self, before: Seen, seen: Seen) -> bool:
        """Tell whether it happened since."""
        return self.recurs(before, seen)

    def rearms(self, seen: Seen) -> bool:  # noqa: ARG002
        """Return no: the next time does."""
        return False

    def __str__(self) -> str:
        return self.event.replace("_", " ") + (f" of {self.of}" if self.of else "")


class Anniversary(_Trigger, frozen=True, tag="anniversary"):
    """It is so many years since the customer's first activity, or ``lead_ms`` before that."""

    lead_ms: int = 0

    def holds(self, seen: Seen) -> bool:
        """Tell whether the last one is so near that it is worth a word."""
        years = self._years(seen)
        return years > 0 and seen.at - self._due(seen, years) < ANNIVERSARY_LASTS_MS

    def occasion(self, seen: Seen) -> int | None:
        """Return how many years are over, while the last of them is."""
        return self._years(seen) if self.holds(seen) else None

    def reached(self, before: Seen, seen: Seen) -> bool:
        """Tell whether another year is over."""
        return self._years(seen) > self._years(before)

    def rearms(self, seen: Seen) -> bool:  # noqa: ARG002
        """Return no: the next occasion does."""
        return False

    def next_due(self, seen: Seen) -> int | None:
        """Return when the next one is."""
        return self._due(seen, self._years(seen) + 1) if seen.first_activity > 0 else None

    def _years(self, seen: Seen) -> int:
        """Return how many there were."""
        if seen.first_activity <= 0:
            return 0
        years = (seen.at + self.lead_ms - seen.first_activity) // _LEAST_YEAR_MS
        while years > 0 and self._due(seen, years) > seen.at:
            years -= 1
        return int(max(years, 0))

    def _due(self, seen: Seen, years: int) -> int:
        return years_after(seen.first_activity, years) - self.lead_ms

    def __str__(self) -> str:
        lead = f"{self.lead_ms / DAY_MS:g} days before " if self.lead_ms else ""
        return f"{lead}an anniversary of the first activity"


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


@lru_cache(maxsize=100_000)
def years_after(at: int, years: int) -> int:
    """Return the same moment years later (epoch ms, UTC); 28 February where there is no 29th."""
    then = datetime.fromtimestamp(at / 1000, UTC)
    day = 28 if (then.month, then.day) == (2, 29) and not isleap(then.year + years) else then.day
    later = then.replace(year=then.year + years, day=day)
    return at + round((later - then).total_seconds() * 1000)


def _named(level: str, of: str | None) -> str:
    return level.replace("_", " ") + (f" of {of}" if of else "")


Trigger = (
    RiskOver
    | RiskUnder
    | StageEntered
    | Milestone
    | Silent
    | DateNears
    | Rises
    | Falls
    | Happened
    | Anniversary
)
#: Those that time alone makes due.
Timed = Silent | DateNears | Anniversary
