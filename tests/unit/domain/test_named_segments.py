"""Segments by conditions: one entry for each, whatever comes twice or late, and time alone."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.campaign_fold import Fold
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.conditions import AllOf, AnyOf, Between, Condition, HeavyUse, Not, OneOf
from shared.domain.dealings import Dealings
from shared.domain.named_segments import (
    BUILT_IN,
    NamedSegment,
    SegmentChange,
    is_reserved,
    resolved,
    segments_of,
)
from shared.domain.outputs import Score
from shared.domain.segment_fold import SWEEP
from shared.domain.standings import Standings
from tests.campaign_builders import CUSTOMERS, DAY, HOUR, MINUTE, T0, score

RISKY = NamedSegment("risky", Between("risk", 0.6))
QUIET = NamedSegment("quiet", Between("silence_days", 30.0))
RULES = Rules((), "salt", segments=(*BUILT_IN, RISKY, QUIET), definitions="v1")


def fold(standings: Standings, batch: Batch, rules: Rules = RULES) -> Fold:
    return Fold(standings, batch, rules, T0)


def taken(scores: list[Score], standings: Standings | None = None) -> list[SegmentChange]:
    batch = Batch(Lease(0, 1), 0, 0)
    whole = fold(Standings() if standings is None else standings, batch)
    for each in scores:
        whole.take(each, "")
    return batch.changes


def told(changes: list[SegmentChange]) -> list[tuple[str, str, str, int]]:
    return [(each.customer, each.segment, each.change, each.number) for each in changes]


risks = st.lists(st.tuples(st.sampled_from(CUSTOMERS), st.sampled_from([0.1, 0.7])), max_size=30)


@given(risks, st.randoms(use_true_random=False))
def test_there_is_one_entry_for_each_however_often_and_late_scores_are_read(
    lives: list[tuple[str, float]], random: Random
) -> None:
    scores = [score(who, risk, step) for step, (who, risk) in enumerate(lives)]
    log = list[Score]()
    for number, each in enumerate(scores):
        log.append(each)
        log += random.choices(scores[: number + 1], k=random.randrange(3))  # read again
    changes = [each for each in taken(log) if each.segment == "risky"]
    assert changes == [each for each in taken(scores) if each.segment == "risky"]
    assert len({each.id for each in changes}) == len(changes)
    for who in CUSTOMERS:
        was, crossings = False, []
        for customer, risk in lives:
            if customer == who and (risk >= 0.6) != was:
                was = not was
                crossings.append("entered" if was else "left")
        mine = [each for each in changes if each.customer == who]
        assert [each.change for each in mine] == crossings
        assert [each.number for each in mine] == [1 + n // 2 for n in range(len(mine))]


@given(risks, st.integers(0, 30))
def test_going_on_after_a_restart_tells_the_same(lives: list[tuple[str, float]], stop: int) -> None:
    scores = [score(who, risk, step) for step, (who, risk) in enumerate(lives)]
    standings = Standings()
    first = taken(scores[:stop], standings)
    assert [*first, *taken(scores, standings)] == taken(scores)


def test_an_exit_says_how_long_it_lasted() -> None:
    scores = [score("anna", 0.7, 1), score("anna", 0.1, 6)]
    entered, left = taken(scores)
    assert (entered.at, entered.lasted_ms) == (T0 + MINUTE, None)
    assert (left.at, left.lasted_ms) == (T0 + 6 * MINUTE, 5 * MINUTE)
    assert left.origin == scores[1].origin


# -- time


def swept(standings: Standings, scores: list[Score], now: int, rules: Rules = RULES) -> Batch:
    """Return what one batch finds by time alone."""
    batch = Batch(Lease(0, 1), 0, 0)
    whole = fold(standings, batch, rules)
    sweep = whole.segments.due(now)
    if sweep is not None:
        ahead = [each for each in scores if each.customer > (sweep.after or "")]
        whole.segments.sweep(sweep, ahead[:SWEEP])
    return batch


def test_time_alone_moves_a_customer_within_a_day() -> None:
    standings, known = Standings(), score("anna", 0.1, last_activity=T0 - 29 * DAY)
    taken([known], standings)
    assert told(swept(standings, [known], T0).changes) == []
    for days in (1, 2):
        at = T0 + days * DAY
        fold(standings, Batch(Lease(0, 1), 0, 0)).pass_time(at)
        changes = swept(standings, [known], at).changes
        assert told(changes) == ([("anna", "quiet", "entered", 1)] if days == 1 else [])
        assert [each.at for each in changes] == ([at] if days == 1 else [])
        assert swept(standings, [known], at).swept is None  # once a day


def test_other_conditions_are_looked_at_at_once_a_few_customers_with_each_batch() -> None:
    standings = Standings()
    base = [score(f"c{n:04}", 0.4, n) for n in range(SWEEP + 1)]
    taken(base, standings)
    while swept(standings, base, T0).swept is not None:
        pass
    lower = RULES._replace(
        segments=(NamedSegment("risky", Between("risk", 0.3)),), definitions="v2"
    )
    found = [len(swept(standings, base, T0, lower).changes) for _ in range(3)]
    assert found == [SWEEP, 1, 0]
    gone = RULES._replace(segments=BUILT_IN, definitions="v3")
    assert {each.change for each in swept(standings, base, T0, gone).changes} == {"left"}


def test_history_is_not_swept() -> None:
    standings = Standings()
    taken([score("anna")], standings)
    assert swept(standings, [score("anna")], T0 + HOUR + 1).swept is None
    assert swept(standings, [score("anna")], T0 + HOUR).swept is not None


# -- Tenure's own, and names


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        ({"stage": "dormant"}, {"inactive"}),
        ({"stage": "lapsed"}, {"inactive"}),
        ({"stage": "lapsed", "closed": True}, set()),
        ({"dealings": Dealings(payments_failed=2)}, {"bad-debt-risk"}),
        ({"dealings": Dealings(payments_failed=1)}, set()),
        ({"dealings": Dealings(overdue_since=T0 - 14 * DAY)}, {"bad-debt-risk"}),
        ({"heavy_use": ["data", "voice"]}, {"heavy-data", "heavy-voice"}),
    ],
)
def test_tenures_own(facts: dict[str, object], names: set[str]) -> None:
    assert segments_of(score(**facts), BUILT_IN) == names  # type: ignore[arg-type]


def test_entries_into_tenures_own_are_counted_and_not_told() -> None:
    standings = Standings()
    assert taken([score("anna", 0.1, stage="dormant")], standings) == []
    assert standings.memberships["anna"]["inactive"].number == 1


@pytest.mark.parametrize(
    ("names", "matching", "other"),
    [
        ({"champions"}, {"segment": "champions"}, {"segment": "lost"}),
        ({"value-4"}, {"value_band": 4}, {"value_band": 5}),
        ({"heavy-data"}, {"heavy_use": ["data"]}, {"heavy_use": ["voice"]}),
        ({"inactive"}, {"stage": "dormant"}, {"stage": "dormant", "closed": True}),
        ({"mine", "lost"}, {"risk": 0.7}, {"risk": 0.5}),
        ({"mine", "lost"}, {"segment": "lost"}, {"segment": "new"}),
    ],
)
def test_an_audience_means_what_a_name_means(
    names: set[str], matching: dict[str, object], other: dict[str, object]
) -> None:
    named = OneOf("segment", frozenset(names))
    for wrap in (AllOf((named,)), AnyOf((named,)), Not(Not(named))):
        condition: Condition = resolved(wrap, {"mine": Between("risk", 0.6)})
        assert condition.unmet(score(**matching)) is None  # type: ignore[arg-type]
        assert condition.unmet(score(**other)) is not None  # type: ignore[arg-type]


def test_an_attribute_of_that_name_is_none() -> None:
    own = OneOf("segment", frozenset(("gold",)), attribute=True)
    assert resolved(own, {}) == own


@pytest.mark.parametrize("name", ["loyal", "value-1", "value-5", "heavy-x", "inactive"])
def test_reserved_names(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize("name", ["value-0", "value-6", "heavy-", "mine"])
def test_free_names(name: str) -> None:
    assert not is_reserved(name)


def test_heavy_use_says_why_not() -> None:
    assert HeavyUse(frozenset(("data",))).unmet(score()) == "no heavy use of data"
