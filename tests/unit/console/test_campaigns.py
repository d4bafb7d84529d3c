"""Campaigns as the console tells them, and what people change there, on each kind of database."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as replaced
from sqlalchemy import Engine

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.console import acts
from services.campaigner.console.parts import Parts
from services.campaigner.console.questions.campaigns import (
    arms,
    campaign,
    campaigns,
    effects,
    said,
    settings_of,
)
from services.campaigner.controls.approval import OutdatedError
from shared.adapters.api_keys import ANYONE, Caller
from shared.adapters.sql.control_store import ControlStore, RefusedError
from shared.domain.budgets import Budget
from shared.domain.campaign_report import CampaignReport
from shared.domain.campaigns import Campaign, GuardRails
from shared.domain.controls import ALL
from shared.domain.uplift import Balance, Interval
from tests import campaign_builders
from tests.campaign_builders import DAY, score
from tests.unit.campaigner.world import World, emptied
from tests.unit.console.test_questions import lived, parts

OLA, ADA = Caller("ola", "", role="operator"), Caller("ada", "", role="admin")


def with_book(database: Engine, *own: Campaign, rails: GuardRails | None = None) -> Parts:
    book = CampaignBook("abc", own, rails or GuardRails())
    found = parts(database)
    found.controls.keep_versions(book.documents(), book.rails_document(), "mia")
    return replace(found, book=lambda: book)


def states(own: Parts) -> dict[str, str]:
    return {each.campaign.name: each.state for each in campaigns(own).standings}


def one(name: str = "early-warning", **other: object) -> Campaign:
    return campaign_builders.campaign(name, **other)


def test_a_state_is_what_a_campaign_does_now(database: Engine) -> None:
    own = with_book(database, one("a"), one("b", state="shadow"), one("c", approval=True), one("d"))
    acts.pause(own, "d", OLA, "typo")
    assert states(own) == {"a": "live", "b": "shadow", "c": "waits for approval", "d": "paused"}
    acts.pause(own, ALL, OLA, "prices")
    found = campaigns(own)
    assert set(states(own).values()) == {"paused"}
    assert "by ola: prices" in str(found.stopped)
    assert [each.paused for each in found.standings] == [False, False, False, True]
    acts.resume(own, ALL, ADA, "")
    assert states(own)["a"] == "live"
    assert states(own)["d"] == "paused"


def test_every_change_is_in_the_log_under_a_name(database: Engine) -> None:
    own = with_book(database, one())
    acts.pause(own, "early-warning", OLA, "typo")
    acts.resume(own, "early-warning", OLA, "mended")
    found = campaign(own, "early-warning")
    assert found is not None
    told = [(each.by, each.action, said(each, "early-warning")) for each in found.changes]
    assert told == [
        ("ola", "resume", "mended"), ("ola", "pause", "typo"),
        ("mia", "load", "early-warning: added"),
    ]  # fmt: skip


def test_what_is_not_stopped_is_not_resumed(database: Engine) -> None:
    own = with_book(database, one())
    for each in (ALL, "early-warning"):
        with pytest.raises(RefusedError):
            acts.resume(own, each, ADA, "")


def test_an_approval_is_of_the_version_that_was_read_by_somebody_else(database: Engine) -> None:
    own = with_book(database, one(approval=True))
    with pytest.raises(RefusedError, match="needs a name"):
        acts.approve(own, "early-warning", "v1", ANYONE)
    with pytest.raises(RefusedError, match="another person"):
        acts.approve(own, "early-warning", "v1", Caller("mia", "", role="admin"))
    for name, version in (("early-warning", "v0"), ("other", "v1")):
        with pytest.raises(OutdatedError):
            acts.approve(own, name, version, ADA)
    stranger = replace(own, book=lambda: replaced(own.book(), rails=GuardRails(author="nobody")))
    with pytest.raises(RefusedError, match="No API key is named nobody"):
        acts.approve(stranger, "early-warning", "v1", ADA)
    assert states(own) == {"early-warning": "waits for approval"}
    acts.approve(own, "early-warning", "v1", ADA)
    assert states(own) == {"early-warning": "live"}
    found = campaign(own, "early-warning")
    assert found is not None
    assert [(each.version, each.author, each.approved_by) for each in found.versions] == [
        ("v1", "mia", "ada")
    ]


def test_budgets_say_what_is_left(database: Engine) -> None:
    limited = one(cost_per_contact=0.5, budget=Budget(in_all=2.0))
    rails = GuardRails(budget=Budget(in_all=10.0))
    world = World(emptied(database), [limited], rails=rails)
    lived(world, score("a", 0.1), score("b", 0.1, 1), score("a", 0.7, 2), score("b", 0.7, 3))
    found = campaigns(with_book(database, limited, rails=rails))
    (standing,) = found.standings
    assert standing.outcomes == {"fired": 2}
    assert [(each.left, each.share) for each in standing.budgets] == [(1.0, 0.5)]
    assert [(each.left, each.span) for each in found.budgets] == [(9.0, "in all")]


def test_nobody_is_told_of_a_campaign_that_is_none(database: Engine) -> None:
    assert campaign(with_book(database, one()), "other") is None


def test_settings_are_in_words() -> None:
    told = dict(settings_of(one(cool_down_ms=30 * DAY, window_ms=DAY // 2)))
    assert told["trigger"] == "risk over 0.6"
    assert (told["cool down"], told["window"]) == ("30 days", "12 hours")
    assert "won back" in told["audience"]
    assert "version" not in told


def test_effects_are_told_where_enough_is_measured(database: Engine) -> None:
    found = campaign(with_book(database, one()), "early-warning")
    assert found is not None
    assert effects(found.report, "USD") == []
    assert [each[:4] for each in arms(found.report)] == [
        ("contacted", "0", "0", "-"), ("held out", "0", "0", "-"),
    ]  # fmt: skip
    report = CampaignReport(
        **{name: getattr(found.report, name) for name in ("campaign", "treatment", "control")},
        retention=Interval(0.051, -0.002, 0.104),
        revenue=None,
        margin=Interval(1.5, -2.25, 3.0),
        cost=1.0,
        incremental_margin=None,
        return_on_spend=None,
        balance=Balance(0.0, 0, 1.0),
    )
    assert effects(report, "USD") == [
        ("customers who stayed", "+5.1 points", "-0.2 to +10.4"),
        ("margin", "+1.50 USD", "-2.25 to +3.00"),
    ]


def test_a_note_of_what_is_kept_elsewhere_is_in_the_log(database: Engine) -> None:
    store = ControlStore(database, lambda: 7)
    store.note("ola", "replay", "dead letter 3", {"repaired": True})
    (found,) = store.changes()
    assert (found.by, found.action, found.subject, found.at) == (
        "ola",
        "replay",
        "dead letter 3",
        7,
    )
    assert found.detail == {"repaired": True}


def test_a_customer_is_suppressed_by_name_and_for_a_reason(database: Engine) -> None:
    own = with_book(database, one())
    acts.suppress(own, "anna", OLA, "asked us to")
    assert "anna" in own.controls.controls().suppressed
    (listed,) = own.controls.suppressed()
    assert (listed.customer, listed.by, listed.reason) == ("anna", "ola", "asked us to")
    acts.unsuppress(own, "anna", ADA, "")
    assert own.controls.suppressed() == []
