"""What the operator API answers with."""

from __future__ import annotations

from msgspec import Struct

from shared.adapters.sql.campaign_queries import StoredDecision
from shared.adapters.sql.control_store import Change, Suppressed
from shared.domain.acquisition import Referrer, SourceReport
from shared.domain.base_book import MonthsBy
from shared.domain.base_cash import Cash
from shared.domain.base_months import Part
from shared.domain.base_report import By, Group
from shared.domain.campaign_outputs import Outcome
from shared.domain.campaigns import Campaign
from shared.domain.cohorts import Cohort, CohortBy
from shared.domain.leads import Chance
from shared.domain.outputs import Stage
from shared.domain.rfm import Boundaries
from shared.domain.uptake import Held, NextProduct


class DecisionPage(Struct, frozen=True):
    """Decisions, the newest first; ``next`` goes into ``after`` for older ones, if there are."""

    decisions: list[StoredDecision]
    next: str | None


class CampaignView(Campaign, frozen=True, kw_only=True):
    """A campaign in force, with its decisions by outcome.

    ``due`` says what it waits for, ``held`` who stopped it and why, ``approved`` whether its
    version may fire.
    """

    outcomes: dict[Outcome, int]
    due: str
    held: str | None
    approved: bool


class CampaignPage(Struct, frozen=True):
    """The campaigns in force; ``version`` is the hash of their file."""

    version: str
    campaigns: list[CampaignView]


class StagePage(Struct, frozen=True):
    """How many customers are in each stage."""

    stages: dict[Stage, int]


class SegmentPage(Struct, frozen=True):
    """How many customers are in each segment.

    Attributes
    ----------
    segments
        By name; those by conditions also where nobody is in them.
    conditions
        Those in force, in words.
    boundaries
        Of quintiles, as scorers were told.

    """

    segments: dict[str, int]
    conditions: dict[str, str]
    boundaries: Boundaries | None


class BasePage(Struct, frozen=True):
    """The base in groups, the largest first; ``by`` is what they have in common."""

    by: By
    groups: list[Group]


class MonthPage(Struct, frozen=True):
    """Months of the base up to that of a time (epoch ms), in parts; ``by`` is what a part shares.

    Money is text, so that it is exact.
    """

    by: MonthsBy
    at: int
    parts: list[Part]


class CashPage(Struct, frozen=True):
    """Cash expected over the months from a time of the base on (epoch ms), in groups."""

    by: By
    at: int
    groups: list[Cash]


class CohortPage(Struct, frozen=True):
    """Retention by cohort, at a time of the base (epoch ms); ``by`` is what customers share."""

    by: CohortBy
    at: int
    cohorts: list[Cohort]


class SourcePage(Struct, frozen=True):
    """What each acquisition source brought by a time of the base (epoch ms), the largest first."""

    at: int
    sources: list[SourceReport]


class ReferrerPage(Struct, frozen=True):
    """Who brought others, who brought most paying customers first."""

    referrers: list[Referrer]


class ProductPage(Struct, frozen=True):
    """What a customer holds, and is likely to take up next.

    Attributes
    ----------
    held
        Products, and when each was first bought (epoch ms), so far as scores told.
    next
        Those not held, the likeliest first.
    at
        The base's time (epoch ms) as of which take-ups were counted; 0 before they were.

    """

    customer: str
    held: Held
    next: list[NextProduct]
    at: int


class LeadPage(Struct, frozen=True):
    """Who has not paid yet, the likeliest to within ``horizon_days`` of ``at`` (epoch ms) first.

    ``waiting`` are all of them.
    """

    at: int
    horizon_days: float
    waiting: int
    leads: list[Chance]


class SuppressionPage(Struct, frozen=True):
    """The suppression list; ``next`` goes into ``after`` for more, if there are."""

    suppressions: list[Suppressed]
    next: str | None


class AuditPage(Struct, frozen=True):
    """Changes, the newest first; ``next`` goes into ``before`` for older ones, if there are."""

    changes: list[Change]
    next: int | None


class Done(Struct, frozen=True):
    """How much a request changed."""

    changed: int


class Problem(Struct, frozen=True):
    """A refusal (RFC 9457); ``detail`` says what to do about it."""

    type: str
    title: str
    status: int
    detail: str
