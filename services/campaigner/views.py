"""What the operator API answers with."""

from __future__ import annotations

from msgspec import Struct

from shared.adapters.sql.campaign_queries import StoredDecision
from shared.domain.campaign_outputs import Outcome
from shared.domain.campaigns import Campaign
from shared.domain.outputs import Stage


class DecisionPage(Struct, frozen=True):
    """Decisions, the newest first; ``next`` goes into ``after`` for older ones, if there are."""

    decisions: list[StoredDecision]
    next: str | None


class CampaignView(Campaign, frozen=True, kw_only=True):
    """A campaign in force, with its decisions by outcome; ``due`` says what it waits for."""

    outcomes: dict[Outcome, int]
    due: str


class CampaignPage(Struct, frozen=True):
    """The campaigns in force; ``version`` is the hash of their file."""

    version: str
    campaigns: list[CampaignView]


class StagePage(Struct, frozen=True):
    """How many customers are in each stage."""

    stages: dict[Stage, int]


class Problem(Struct, frozen=True):
    """A refusal (RFC 9457); ``detail`` says what to do about it."""

    type: str
    title: str
    status: int
    detail: str
