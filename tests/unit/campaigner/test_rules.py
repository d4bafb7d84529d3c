"""Following the campaign file: a good change is in force, a bad one changes nothing."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.campaigner.campaign_file import CampaignBook, CampaignFileError
from services.campaigner.rules import LiveRules
from shared import metrics

TEXT = """\
campaigns:
  - {name: one, state: live, trigger: {risk_over: 0.6}, channel: sms, offer: ten-percent-off}
"""


class Following:
    """A file, rules that follow it, and a clock to move."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.write_text(TEXT)
        self.seconds = 0.0
        self.kept: list[CampaignBook] = []
        self.rules = LiveRules(path, "salt", keep=self.kept.append, monotonic=lambda: self.seconds)

    def change(self, text: str) -> None:
        self.path.write_text(text)

    def names(self, later: float = 2.0) -> list[str]:
        self.seconds += later
        return [each.name for each in self.rules().campaigns]


@pytest.fixture
def following(tmp_path: Path) -> Following:
    return Following(tmp_path / "campaigns.yaml")


def valid() -> float:
    value = metrics.CAMPAIGNER_FILE_VALID._value.get()
    assert isinstance(value, float)
    return value


def test_a_changed_file_is_in_force_and_on_record(following: Following) -> None:
    assert following.names() == ["one"]
    following.change(TEXT.replace("one", "two"))
    assert following.names() == ["two"]
    assert [book.campaigns[0].name for book in following.kept] == ["one", "two"]
    assert following.rules.book is following.kept[1]


def test_the_file_is_not_read_with_every_batch(following: Following) -> None:
    following.names()
    following.change(TEXT.replace("one", "two"))
    assert following.names(later=0.5) == ["one"]
    assert following.names(later=0.6) == ["two"]


@pytest.mark.parametrize("broken", ["campaigns: [", TEXT.replace("0.6", "0.61"), None])
def test_a_bad_file_keeps_the_former_and_is_said_once(
    following: Following, broken: str | None
) -> None:
    following.names()
    if broken is None:
        following.path.unlink()
    else:
        following.change(broken)
    with capture_logs() as logs:
        assert [following.names() for _ in range(3)] == [["one"]] * 3
    assert [each["log_level"] for each in logs] == ["error"]
    assert valid() == 0
    following.change(TEXT.replace("one", "mended"))
    assert following.names() == ["mended"]
    assert valid() == 1


def test_going_back_to_what_is_in_force_is_valid(following: Following) -> None:
    following.names()
    following.change("campaigns: [")
    following.names()
    following.change(TEXT)
    assert following.names() == ["one"]
    assert valid() == 1


def test_what_cannot_be_put_on_record_is_not_in_force(following: Following) -> None:
    def fail(_: CampaignBook) -> None:
        raise ConnectionError

    following.rules._keep = fail
    following.change(TEXT.replace("one", "two"))
    with pytest.raises(ConnectionError):
        following.names()
    assert [each.name for each in following.rules.book.campaigns] == ["one"]
    following.rules._keep = following.kept.append
    assert following.names() == ["two"]


def test_a_bad_file_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CampaignFileError):
        LiveRules(tmp_path / "none.yaml", "salt")


def test_without_a_file_the_built_in_campaign_is_in_force() -> None:
    rules = LiveRules(None, "salt")()
    assert [each.name for each in rules.campaigns] == ["risk-over-threshold"]
    assert rules.salt == "salt"
