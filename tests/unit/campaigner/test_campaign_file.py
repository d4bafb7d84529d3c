"""Campaign files: what is right becomes campaigns, what is wrong is named all at once."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from services.campaigner import audience_model, campaign_model, campaign_values, trigger_model
from services.campaigner.campaign_file import (
    CampaignFileError,
    Problem,
    parse_campaigns,
    read_campaigns,
)
from shared.domain.campaigns import ACTIVE_STAGES, Audience, Campaign
from shared.domain.triggers import Trigger
from tests.campaign_builders import DAY, HOUR, risk_over

EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"

GOOD = """\
campaigns:
  - name: early-warning
    state: live
    trigger:
      risk_over: 0.6
      hysteresis: 0.15
    channel: sms
    offer: ten-percent-off
    control: 25%
    valid_for: 90m
"""


def only(text: str) -> Campaign:
    (campaign,) = parse_campaigns(text.encode()).campaigns
    return campaign


def problems(text: str | bytes) -> list[Problem]:
    content = text.encode() if isinstance(text, str) else text
    with pytest.raises(CampaignFileError) as refused:
        parse_campaigns(content)
    return refused.value.problems


def with_line(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_file_becomes_campaigns() -> None:
    campaign = only(GOOD)
    assert campaign.name == "early-warning"
    assert campaign.trigger == risk_over(0.6, 0.45)
    assert campaign.audience == Audience(ACTIVE_STAGES, None)
    assert (campaign.state, campaign.channel, campaign.offer) == ("live", "sms", "ten-percent-off")
    assert (campaign.control, campaign.valid_for_ms, campaign.cool_down_ms) == (
        0.25, 90 * 60_000, 30 * DAY,
    )  # fmt: skip


def test_the_built_in_campaign_is_what_the_documents_say() -> None:
    (campaign,) = read_campaigns(None).campaigns
    assert (campaign.state, campaign.trigger.threshold, campaign.control) == ("live", 0.6, 0.1)
    assert (campaign.valid_for_ms, campaign.audience.stages) == (HOUR, ACTIVE_STAGES)


def test_the_example_is_good_and_names_every_field() -> None:
    assert len(read_campaigns(EXAMPLES / "campaigns.yaml").campaigns) == 2
    text = "".join((EXAMPLES / each).read_text() for each in ("campaigns.yaml", "lifecycle.yaml"))
    assert [field for field in campaign_values.EXAMPLES if f"{field}:" not in text] == []


def test_there_is_a_ready_campaign_for_every_stage_of_a_life() -> None:
    campaigns = read_campaigns(EXAMPLES / "lifecycle.yaml").campaigns
    reached = set[str]().union(*(each.audience.stages for each in campaigns))
    assert reached == {
        "prospect", "onboarding", "growth", "maturity", "decline", "dormant", "lapsed", "won_back",
    }  # fmt: skip
    assert {type(each.trigger) for each in campaigns} == set(get_args(Trigger))
    assert all(each.state == "draft" for each in campaigns)  # nobody is contacted by accident


def test_every_field_has_an_example_for_its_errors() -> None:
    named = {**vars(campaign_model), **vars(trigger_model), **vars(audience_model)}
    models = [each for each in named.values() if isinstance(each, type)]
    fields = {
        field.alias or name
        for each in models
        if issubclass(each, BaseModel)
        for name, field in each.model_fields.items()
    }
    assert fields == set(campaign_values.EXAMPLES)


def test_a_version_follows_from_the_content_and_not_from_how_it_is_written() -> None:
    reordered = with_line("    control: 25%\n", "").replace(
        "    state: live\n", "    control: 0.25  # a quarter\n    state: live\n"
    )
    assert only(reordered) == only(GOOD)
    assert parse_campaigns(reordered.encode()).version != parse_campaigns(GOOD.encode()).version
    assert only(with_line("25%", "20%")).version != only(GOOD).version


def test_the_order_of_stages_is_not_part_of_a_version() -> None:
    def version(stages: str) -> str:
        audience = f"    audience:\n      stages: {stages}\n"
        return only(with_line("    channel: sms\n", f"    channel: sms\n{audience}")).version

    assert version("[growth, decline]") == version("[decline, growth]")
    assert version("[growth]") != version("[decline]")


def test_documents_hold_every_version() -> None:
    book = parse_campaigns(GOOD.encode())
    ((name, version), document) = next(iter(book.documents().items()))
    assert (name, version) == ("early-warning", book.campaigns[0].version)
    assert '"ten-percent-off"' in document


def test_all_errors_come_at_once_with_line_and_remedy() -> None:
    text = """\
campaigns:
  - name: early-warning
    state: on-hold
    trigger:
      risk_over: 0.63
      histeresis: 0.1
    channel: sms
    control: 110%
    cool_down: 30
  - name: early-warning
    state: live
    trigger: {risk_over: 0.1}
    audience:
      stages: [growth, teenage]
    channel: sms
    channel: email
    offer: free-month
"""
    found = [(each.line, each.field) for each in problems(text)]
    assert found == [
        (2, "campaigns[0].offer"),
        (3, "campaigns[0].state"),
        (5, "campaigns[0].trigger.risk_over"),
        (6, "campaigns[0].trigger.histeresis"),
        (8, "campaigns[0].control"),
        (9, "campaigns[0].cool_down"),
        (10, "campaigns[1].name"),
        (12, "campaigns[1].trigger.hysteresis"),
        (14, "campaigns[1].audience.stages[1]"),
        (16, "campaigns[1].channel"),
    ]
    assert all(each.reason and each.remedy for each in problems(text))


@pytest.mark.parametrize(
    ("old", "new", "reason", "remedy"),
    [
        (
            "risk_over: 0.6",
            "risk_over: 0.63",
            "0.63 is not a multiple of 0.05",
            "Write 0.6 or 0.65",
        ),
        ("risk_over: 0.6", "risk_over: 0", "greater than or equal to 0.05", "`risk_over: 0.6`"),
        ("risk_over: 0.6", 'risk_over: "0.6"', "valid number", "`risk_over: 0.6`"),
        ("risk_over: 0.6", "risk_over: .nan", "finite number", "`risk_over: 0.6`"),
        ("hysteresis: 0.15", "hysteresis: 0.12", "not a multiple of 0.05", "Write 0.1 or 0.15"),
        ("hysteresis: 0.15", "hysteresis: 0.6", "ever re-arm", "at most 0.55"),
        ("hysteresis: 0.15", "histeresis: 0.1", "unknown", "Did you mean `hysteresis`?"),
        ("hysteresis: 0.15", "offer: none", "unknown", "Move it into `campaigns`"),
        ("hysteresis: 0.15", "xylophone: 1", "unknown", "Remove it"),
        ("state: live", "state: LIVE", "'draft', 'shadow', 'live' or 'paused'", "`state: live`"),
        ("    state: live\n", "", "missing", "`state: live`"),
        ("valid_for: 90m", "valid_for: 90", "not a duration", "`1h`"),
        ("valid_for: 90m", "valid_for: 0h", "expire at once", "`1h`"),
        ("valid_for: 90m", "valid_for: 4000d", "ten years", "`3660d`"),
        ("control: 25%", "control: 101%", "less than or equal to 1", "`control: 10%`"),
        ("control: 25%", "control: a few", "valid number", "`control: 10%`"),
        ("name: early-warning", "name: Early Warning", "match pattern", "`name: early-warning`"),
        ("name: early-warning", "name: 7", "not a text", "`name: early-warning`"),
        ("channel: sms", "channel: sms/marketing", "match pattern", "`channel: sms`"),
        ("channel: sms", "channel: [sms]", "not a text", "`channel: sms`"),
    ],
)
def test_each_error_says_what_is_wrong_and_what_to_do(
    old: str, new: str, reason: str, remedy: str
) -> None:
    (problem,) = problems(with_line(old, new))
    assert reason in problem.reason
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    ("text", "line", "field", "reason"),
    [
        ("", 1, "file", "not a mapping"),
        ("campaigns:\n", 1, "campaigns", "not a list"),
        ("- name: x\n", 1, "file", "not a mapping"),
        ("campaigns:\n  - name: [\n", 3, "file", "not YAML"),
        ("campaigns: []\n---\ncampaigns: []\n", 2, "file", "not YAML"),
        ("campaigns: &a [*a]\n", 1, "file", "cannot be read"),
        ("campaigns: []\n? [1, 2]\n: 3\n", 2, "file", "not YAML"),
        (b"campaigns: \xff\xfe\n", 1, "file", "not YAML"),
        ("campaigns: [3]\n", 1, "campaigns[0]", "not a mapping"),
        ("campaigns: !!python/object/apply:os.system ['true']\n", 1, "file", "not YAML"),
    ],
)
def test_what_is_no_campaign_file_is_refused_with_a_place(
    text: str | bytes, line: int, field: str, reason: str
) -> None:
    found = problems(text)
    assert [(each.line, each.field) for each in found] == [(line, field)]
    assert reason in found[0].reason


def test_no_campaigns_contact_nobody() -> None:
    assert parse_campaigns(b"campaigns: []\n").campaigns == ()


def test_a_missing_file_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(CampaignFileError, match="TENURE_CAMPAIGNS_FILE") as refused:
        read_campaigns(tmp_path / "none.yaml")
    assert "none.yaml" in str(refused.value)


def test_a_floor_of_float_arithmetic_is_no_error() -> None:
    """0.35 and 0.15 are no sums of twentieths in binary, 0.3 - 0.1 is none either."""
    lower = with_line("0.6", "0.3").replace("0.15", "0.1")
    assert only(lower).trigger == risk_over(0.3, 0.2)
    assert only(with_line("0.6", "0.35")).trigger == risk_over(0.35, 0.2)
    assert only(with_line("0.6", "1")).trigger == risk_over(1.0, 0.85)
