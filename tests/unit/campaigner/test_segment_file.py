"""Segments in the campaign file: what is wrong is named with its line and its remedy."""

import pytest

from services.campaigner.campaign_file import CampaignFileError, Problem, parse_campaigns
from services.campaigner.rules import LiveRules
from shared.domain.conditions import AllOf, AnyOf, Between, OneOf
from shared.domain.named_segments import BUILT_IN

FILE = """\
segments:
  - name: big-spenders
    where: {spend: {min: 1000}}
  - name: best
    description: big spenders who come often
    where:
      segment: [big-spenders]
      visits: {min: 50}
campaigns:
  - name: thanks
    state: live
    trigger: {risk_over: 0.6}
    audience:
      where:
        not:
          segment: [best, lost]
    channel: sms
    offer: thanks
"""
BIG = Between("spend", 1000.0)
#: Measures stand before labels.
BEST = AllOf((Between("visits", 50.0), BIG))


def problems(text: str) -> list[Problem]:
    with pytest.raises(CampaignFileError) as refused:
        parse_campaigns(text.encode())
    return refused.value.problems


def changed(old: str, new: str) -> str:
    assert old in FILE
    return FILE.replace(old, new, 1)


def test_names_mean_their_conditions_in_segments_and_audiences() -> None:
    book = parse_campaigns(FILE.encode())
    own = {each.name: each.condition for each in book.segments[len(BUILT_IN) :]}
    assert own == {"big-spenders": BIG, "best": BEST}
    where = book.campaigns[0].audience.where
    assert where is not None
    assert where.part == AnyOf((OneOf("segment", frozenset(("lost",))), BEST))  # type: ignore[union-attr]


def test_another_definition_is_another_version_of_what_names_it() -> None:
    before, after = (parse_campaigns(each.encode()) for each in (FILE, changed("1000", "1001")))
    assert before.definitions != after.definitions
    assert before.campaigns[0].version != after.campaigns[0].version
    described = parse_campaigns(changed("who come often", "who come").encode())
    assert described.definitions == before.definitions
    assert described.campaigns == before.campaigns


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "reason", "remedy"),
    [
        ("[best, lost]", "[bets]", 16, "campaigns[0].audience.where.not.segment[0]",
         "there is no segment 'bets'", "Did you mean `best`?"),
        ("[best, lost]", "[xyzzy]", 16, "campaigns[0].audience.where.not.segment[0]",
         "there is no segment 'xyzzy'", "Define it below `segments:`"),
        ("[big-spenders]", "[best]", 7, "segments[1].where.segment[0]",
         "segment 'best' stands below", "Move it above this one"),
        ("name: best", "name: big-spenders", 4, "segments[1].name",
         "'big-spenders' is the name of segments[0].name, too", "Rename one"),
        ("name: best", "name: champions", 4, "segments[1].name",
         "'champions' is a segment of Tenure's own", "Choose another name"),
        ("name: best", "name: value-3", 4, "segments[1].name",
         "'value-3' is a segment of Tenure's own", "Choose another name"),
        ("{spend: {min: 1000}}", "{spends: {min: 1000}}", 3, "segments[0].where.spends",
         "unknown", "Did you mean `spend`?"),
        ("    where: {spend: {min: 1000}}\n", "", 2, "segments[0].where", "missing",
         "Write e.g. `where:"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line_and_its_remedy(  # noqa: PLR0917  # as in the table
    old: str, new: str, line: int, field: str, reason: str, remedy: str
) -> None:
    found = [each for each in problems(changed(old, new)) if each.field == field]
    assert [(each.line, each.reason.partition(" (it is")[0]) for each in found] == [(line, reason)]
    assert found[0].remedy.startswith(remedy)


def test_an_attribute_called_segment_may_have_any_value() -> None:
    own = changed("segment: [best, lost]", "attributes: {segment: [whatever]}")
    assert parse_campaigns(own.encode()).campaigns


def test_without_a_file_there_are_tenures_own() -> None:
    rules = LiveRules(None, "salt")()
    assert rules.segments == BUILT_IN
    assert rules.definitions
