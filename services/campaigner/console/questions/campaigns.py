"""Campaigns: in force, what they decided, what is left of their budgets, and what they achieved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.console.parts import Parts
from services.campaigner.console.questions.words import count, moment, name_of, span
from shared.adapters.sql.console_queries import Version
from shared.adapters.sql.control_store import Change
from shared.domain.budgets import MILLIONTHS
from shared.domain.campaign_outputs import Outcome
from shared.domain.campaign_report import CampaignReport, report_on
from shared.domain.campaigns import Campaign
from shared.domain.controls import ALL, Controls
from shared.domain.uplift import Interval

#: Shown elsewhere on the page.
_TOLD: Final = frozenset({"name", "version", "trigger"})
_VERSIONS: Final = 20
_CHANGES: Final = 200
_SPANS: Final = {"day": "today", "month": "this month", "in_all": "in all"}
#: Below this the arms are not what they were meant to be, by convention for this test.
UNBALANCED: Final = 0.001


@dataclass(frozen=True)
class BudgetLeft:
    """What is left of a budget in its present period, in the reporting currency."""

    scope: str
    span: str
    left: float
    most: float

    @property
    def share(self) -> float:
        """From 1 to 0; below 0 never."""
        return max(0.0, self.left / self.most) if self.most else 0.0


@dataclass(frozen=True)
class Standing:
    """A campaign as it stands.

    Attributes
    ----------
    held
        Who stopped it and why; ``None`` while it runs.
    paused
        Whether it is stopped itself, and not only by the switch of all.
    approved
        Whether this version may fire.

    """

    campaign: Campaign
    outcomes: dict[Outcome, int]
    held: str | None
    paused: bool
    approved: bool
    budgets: list[BudgetLeft]

    @property
    def state(self) -> str:
        """What it does now, in a word."""
        if self.held is not None:
            return "paused"
        if not self.approved:
            return "waits for approval"
        return self.campaign.state


@dataclass(frozen=True)
class Campaigns:
    """All campaigns in force.

    Attributes
    ----------
    stopped
        Who stopped all of them and why; ``None`` while they run.
    budgets
        Of all together.

    """

    standings: list[Standing]
    stopped: str | None
    budgets: list[BudgetLeft]
    version: str


@dataclass(frozen=True)
class One:
    """A campaign with all that is known of it."""

    standing: Standing
    report: CampaignReport
    versions: list[Version]
    changes: list[Change]
    stopped: str | None


def campaigns(parts: Parts) -> Campaigns:
    """Return the campaigns in force."""
    book, controls = parts.book(), parts.controls.controls()
    outcomes, budgets = parts.queries.outcomes(), _budgets(parts, book)
    return Campaigns(
        [_standing(each, book, controls, outcomes, budgets) for each in book.campaigns],
        _stopped(controls),
        [each for each in budgets if each.scope == "all"],
        book.version,
    )


def campaign(parts: Parts, name: str) -> One | None:
    """Return one campaign, ``None`` when none of this name is in force."""
    found = campaigns(parts)
    standing = next((each for each in found.standings if each.campaign.name == name), None)
    if standing is None:
        return None
    sums = parts.queries.unit_sums(name).get(name, [])
    changes = parts.controls.changes(None, _CHANGES)
    return One(
        standing,
        report_on(name, sums),
        parts.console_queries.versions(name, _VERSIONS),
        [each for each in changes if each.subject in {name, ALL} or _loads(each, name)],
        found.stopped,
    )


def _loads(change: Change, name: str) -> bool:
    return change.action == "load" and name in (change.detail.get("changed") or {})


def _standing(
    one: Campaign,
    book: CampaignBook,
    controls: Controls,
    outcomes: dict[str, dict[Outcome, int]],
    budgets: list[BudgetLeft],
) -> Standing:
    return Standing(
        one,
        outcomes.get(one.name, {}),
        controls.why_held(one.name),
        one.name in controls.holds,
        not book.rails.needs_approval(one) or (one.name, one.version) in controls.approved,
        [each for each in budgets if each.scope == f"campaign/{one.name}"],
    )


def _stopped(controls: Controls) -> str | None:
    hold = controls.holds.get(ALL)
    return None if hold is None else f"{hold}, since {moment(hold.at)} UTC"


def _budgets(parts: Parts, book: CampaignBook) -> list[BudgetLeft]:
    limits, now = list(book.rails.limits(*book.campaigns)), parts.clock()
    periods = [(each.scope, each.period(now, book.rails.time_zone)) for each in limits]
    spent = parts.queries.spent(periods)
    return [
        BudgetLeft(
            limit.scope,
            _SPANS[limit.span],
            (limit.most - spent[period]) / MILLIONTHS,
            limit.most / MILLIONTHS,
        )
        for limit, period in zip(limits, periods, strict=True)
    ]


def effects(report: CampaignReport, currency: str) -> list[tuple[str, str, str]]:
    """Return what a campaign changed by customer: of what, how much, and its 95 % interval.

    Without what too few are measured for.
    """
    shares = {
        "customers who stayed": report.retention,
        "offers accepted": report.acceptance,
        "consent withdrawn": report.opt_outs,
        "complaints": report.complaints,
    }
    sums = {"revenue": report.revenue, "margin": report.margin, "lifetime value": report.clv}
    return [
        *((name, *_points(each)) for name, each in shares.items() if each is not None),
        *((name, *_amounts(each, currency)) for name, each in sums.items() if each is not None),
    ]


def _points(interval: Interval) -> tuple[str, str]:
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.estimate:+.1f} points", f"{low:+.1f} to {high:+.1f}"


def _amounts(interval: Interval, currency: str) -> tuple[str, str]:
    return (
        f"{interval.estimate:+,.2f} {currency}",
        f"{interval.low:+,.2f} to {interval.high:+,.2f}",
    )


def arms(report: CampaignReport) -> list[tuple[str, ...]]:
    """Return both arms: enrolled, measured, stayed, revenue and margin added, opted out."""
    return [
        (
            name,
            count(arm.enrolled),
            count(arm.measured),
            f"{arm.retained / arm.measured:.1%}" if arm.measured else "-",
            f"{arm.revenue:,.2f}",
            f"{arm.margin:,.2f}",
            count(arm.opted_out),
        )
        for name, arm in (("contacted", report.treatment), ("held out", report.control))
    ]


def said(change: Change, campaign: str) -> str:
    """Return what a change says of a campaign, beyond who did what."""
    detail: dict[str, Any] = change.detail
    changed = detail.get("changed")
    if isinstance(changed, dict):
        own = {campaign: campaign, "guard_rails": "guard rails"}
        return "; ".join(
            f"{own[name]}: {what if isinstance(what, str) else ', '.join(map(name_of, what))}"
            for name, what in changed.items()
            if name in own
        )
    return str(detail.get("reason") or detail.get("version") or "")


def settings_of(one: Campaign) -> list[tuple[str, str]]:
    """Return what a campaign's file says of it, in the order of its fields."""
    found = [("trigger", str(one.trigger))]
    for name, value in msgspec.to_builtins(one).items():
        if name not in _TOLD and (text := _plain(name, value)):
            found.append((name_of(name.removesuffix("_ms")), text))
    return found


def _plain(name: str, value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("_ms"):
            return span(value)
        case dict():
            told = ((each, _plain(each, inner)) for each, inner in value.items())
            return ", ".join(
                f"{name_of(each.removesuffix('_ms'))} {text}" for each, text in told if text
            )
        case list() | tuple():
            return ", ".join(sorted(_plain(name, each) for each in value))
        case _:
            return name_of(str(value)) if name == "stages" else str(value)
