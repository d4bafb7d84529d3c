"""What one transaction of the campaigner's adds, and what is handed between it and the outbox.

`Standings` mirror what SQL holds; a `Batch` is what `Fold` adds to both: decisions, read model,
armings, units with their outcomes, and the position in the log, all or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.domain.base_book import Booked, Changes
from shared.domain.campaign_outputs import Decision
from shared.domain.campaigns import Arming, Campaign, GuardRails
from shared.domain.controls import UNCONTROLLED, Controls
from shared.domain.errors import TenureError
from shared.domain.leads import Lead
from shared.domain.named_segments import Membership, NamedSegment, SegmentChange
from shared.domain.offers import Key as OfferKey
from shared.domain.offers import Tally
from shared.domain.outputs import DeadLetter, Score
from shared.domain.standings import Enrolment, Sweep
from shared.domain.units import Achieved, Unit
from shared.domain.uptake import Held


class LostPartitionError(TenureError):
    """Another campaigner owns the partition now; nothing of the transaction was written."""


class Lease(NamedTuple):
    """The right to write for a partition: whoever claims it next gets a higher epoch."""

    partition: int
    epoch: int


@dataclass
class Batch:
    """What one partition's records add.

    Attributes
    ----------
    lease
        The right to add it.
    start, end
        First offset of it, and the next one to read after it.
    at
        The partition's time; ``None`` while no clock or score told it.
    profiles
        Last score of each customer, and the JSON that it came in.
    armings
        (customer, campaign) and where they stand now.
    units, outcomes
        First enrolments, and what came of those whose window has ended, by (customer, campaign).
    revised
        Decisions that had been deferred, as they are now.
    released
        Enrolments that came to nothing, and with them their units.
    spent
        What contacts used up of allowances, by (scope, period); millionths.
    tallies
        What became known of offers, by (campaign, context, offer).
    base
        What changed in the base over time.
    booked
        What was booked of each customer in `profiles`.
    held
        Which products each of them holds, of those who hold any.
    leads
        How each of them came to pay, of those who were heard of before.
    letters
        Records that could not be read.
    memberships, changes
        Where customers stand now with segments, by (customer, segment), and what is told of that.
    swept
        Up to where time alone was looked at for segments, if it was.
    erased
        Customers of whom nothing stays, whatever the rest of the batch says.

    """

    lease: Lease
    start: int
    end: int
    at: int | None = None
    profiles: dict[str, tuple[Score, str]] = field(default_factory=dict)
    armings: dict[tuple[str, str], Arming] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    revised: list[Decision] = field(default_factory=list)
    units: dict[tuple[str, str], Unit] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], Achieved] = field(default_factory=dict)
    released: list[Enrolment] = field(default_factory=list)
    spent: Mapping[tuple[str, str], int] = field(default_factory=dict)
    tallies: dict[OfferKey, Tally] = field(default_factory=dict)
    base: Changes = field(default_factory=dict)
    booked: dict[str, Booked] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    leads: dict[str, Lead] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)
    memberships: dict[tuple[str, str], Membership] = field(default_factory=dict)
    changes: list[SegmentChange] = field(default_factory=list)
    swept: Sweep | None = None
    erased: list[str] = field(default_factory=list)


class Claimed(NamedTuple):
    """A lease, and where its partition stands: next offset to read, and its time if known."""

    lease: Lease
    next_offset: int
    at: int | None


class Waiting(NamedTuple):
    """A row of the outbox: a decision to publish, or JSON of a dead letter or `SegmentChange`."""

    seq: int
    partition: int
    created_at: int
    decision: Decision | None
    letter: str | None
    change: str | None = None


class Settled(NamedTuple):
    """A row of the outbox that Kafka has; ``expired`` when its trigger could not leave in time."""

    row: Waiting
    expired: Decision | None = None


class Rules(NamedTuple):
    """What decides: campaigns in the order of their file, salt of the draws, rails, controls.

    ``segments`` are those by conditions, and ``definitions`` is their hash; empty for none.
    """

    campaigns: Sequence[Campaign]
    salt: str
    rails: GuardRails = GuardRails()
    controls: Controls = UNCONTROLLED
    segments: Sequence[NamedSegment] = ()
    definitions: str = ""

    def named(self, name: str) -> Campaign | None:
        """Return the campaign of a name, ``None`` if it is not in force."""
        return next((each for each in self.campaigns if each.name == name), None)
