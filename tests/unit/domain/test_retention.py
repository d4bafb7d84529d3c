"""Whatever the log still names is there: no rebuild, and nobody who is served, misses a version."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import retention
from shared.domain.policy import DAY_MS
from shared.domain.retention import outdated, renewable

HOUR_MS = DAY_MS // 24
#: Days that the log is kept.
LOG_DAYS = 10


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "KEPT", 2)


class Life:
    """A deployment's topics, day by day: what was published, and what the log tells."""

    def __init__(self) -> None:
        self.published: dict[int, int] = {}
        self.log: list[tuple[int, str, int]] = []  # time, what, version; 0 ends a pin
        self.pinned: int | None = None
        self.version = 0

    def day(self, now: int, act: str, which: int) -> None:
        if act == "pin" and self.published:
            known = sorted(self.published)
            self.pinned = known[which % len(known)]
            self.published[self.pinned] = now
            self.log.append((now, "pin", self.pinned))
        elif act == "unpin" and self.pinned:
            self.pinned = None
            self.log.append((now, "pin", 0))
        elif act == "publish":
            self.publish(now)

    def publish(self, now: int) -> None:
        self.version += 1
        self.log = [one for one in self.log if one[0] >= now - LOG_DAYS * DAY_MS]
        pins = {self.pinned} - {None}
        beginning = self.log[0][0] if self.log else now
        for version in renewable(self.published, now, pins):
            self.published[version] = now
        for version in outdated(self.published, beginning, pins):
            del self.published[version]
        self.published[self.version] = now
        self.log.append((now, "activate", self.version))

    def needed(self, before: Sequence[tuple[int, str, int]]) -> set[int]:
        """Return what a replay of the log asks for, and a state from just before it serves."""
        named = {version for _, _, version in self.log if version}
        told = [one for one in before if one not in self.log]
        newest = max((version for _, what, version in told if what == "activate"), default=0)
        pin = [version for _, what, version in told if what == "pin"]
        serving = pin[-1] if pin and pin[-1] else newest
        return (named | {serving, newest if not self.pinned else serving}) - {0}


acts = st.lists(
    st.tuples(
        st.sampled_from(["publish"] * 5 + ["pin", "unpin"]), st.integers(0, 50), st.integers(1, 23)
    ),
    max_size=120,
)


@given(acts)
def test_what_the_log_names_and_what_is_served_stays(acts: list[tuple[str, int, int]]) -> None:
    life, told, now = Life(), [], 1_000 * DAY_MS
    for act, which, hours in acts:
        now += hours * HOUR_MS
        life.day(now, act, which)
        told += [one for one in life.log if one not in told]
        assert life.needed(told) <= set(life.published)
        if life.pinned:
            assert life.pinned in life.published


def test_what_the_log_does_not_name_goes() -> None:
    life, now = Life(), 1_000 * DAY_MS
    for _ in range(100):
        now += DAY_MS
        life.day(now, "publish", 0)
    margin = retention.MARGIN_MS // DAY_MS
    assert len(life.published) <= LOG_DAYS + margin + 3
    assert max(life.published) == 100


def test_the_newest_stay_however_short_the_log_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "KEPT", 3)
    published = {version: version * DAY_MS for version in range(1, 8)}
    assert outdated(published, 1_000 * DAY_MS, {2}) == [1, 3, 4]
    assert outdated(published, 0, ()) == []
    assert outdated({}, 1_000 * DAY_MS, ()) == []


def test_what_served_when_the_log_began_stays_and_clocks_may_differ() -> None:
    days = {1: 900.0, 2: 946.0, 3: 948.5, 4: 949.9, 5: 951.0, 6: 952.0}
    published = {version: round(day * DAY_MS) for version, day in days.items()}
    # By clocks two days apart, 3 and 4 may be of the time of the log; 2 served until 3 did.
    assert outdated(published, 950 * DAY_MS, ()) == [1]


def test_only_what_is_pinned_and_was_not_published_for_a_day_is_published_again() -> None:
    published = {1: 0, 2: 0, 3: DAY_MS}
    assert renewable(published, DAY_MS + 1, {1, 3, 9}) == [1]
