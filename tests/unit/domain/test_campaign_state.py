"""Generated score histories: one decision a crossing, whatever is batched, repeated or replayed."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.campaigns import Arming, Campaign, draw_arm
from shared.domain.outputs import Identity, Score
from shared.domain.seen import Seen
from shared.domain.standings import Enrolment, Standings
from tests.campaign_builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    campaign,
    campaign_sets,
    histories,
    raw,
    risk_over,
    score,
)

SALT = "salt"


def run(
    scores: Sequence[Score],
    campaigns: Sequence[Campaign],
    standings: Standings | None = None,
    now: int | None = None,
) -> Batch:
    """Fold scores in one batch; ``now`` is the time of the first unless given."""
    batch = Batch(Lease(0, 1), 0, len(scores))
    now = now if now is not None else T0
    fold = Fold(standings or Standings(), batch, Rules(campaigns, SALT), now)
    for each in scores:
        fold.take(each, raw(each))
    return batch


def failed(decision: Decision) -> list[str]:
    return [each.check for each in decision.checks if not each.passed]


def expected_ids(scores: Sequence[Score], rule: Campaign) -> list[tuple[str, int, int]]:
    """Return (customer, number, time) of the decisions, straight from the words of the design."""
    found = []
    for customer in sorted({each.customer for each in scores}):
        number, armed, previous = 1, True, None
        for each in (each for each in scores if each.customer == customer):
            over = each.risk >= rule.trigger.threshold
            was_below = previous is not None and previous < rule.trigger.threshold
            genuine = was_below and each.cause != "model"
            if armed and over and (genuine or rule.trigger.include_existing):
                found.append((customer, number, each.at))
                armed = False
            if not armed and each.risk < rule.trigger.rearm_below:
                armed, number = True, number + 1
            previous = each.risk
    return found


@given(histories(), campaign_sets())
def test_every_crossing_has_one_decision(scores: list[Score], campaigns: list[Campaign]) -> None:
    decisions = run(scores, campaigns).decisions
    for rule in campaigns:
        own = [each for each in decisions if each.campaign == rule.name]
        assert sorted((each.customer, each.number, each.at) for each in own) == expected_ids(
            scores, rule
        )
    assert max(Counter(each.id for each in decisions).values(), default=1) == 1


@given(histories(), campaign_sets(), st.integers(0, 60 * MINUTE))
def test_outcomes_keep_what_the_campaign_promises(
    scores: list[Score], campaigns: list[Campaign], later: int
) -> None:
    now = T0 + later
    rules = {rule.name: rule for rule in campaigns}
    last: dict[tuple[str, str], int] = {}
    for decision in run(scores, campaigns, now=now).decisions:
        rule, whose = rules[decision.campaign], (decision.customer, decision.campaign)
        resting = whose in last and decision.at - last[whose] < rule.cool_down_ms
        assert ("cool_down" in failed(decision)) is resting
        assert (decision.outcome == "expired") is (now > decision.at + rule.valid_for_ms)
        if decision.outcome in ("fired", "held_out"):
            arm = "treatment" if decision.outcome == "fired" else "control"
            assert decision.arm == arm == draw_arm(rule, decision.customer, SALT)
            assert decision.stage in rule.audience.stages
            assert not resting
            last[whose] = decision.at


@given(histories(), campaign_sets(), st.data())
def test_batches_change_nothing(
    scores: list[Score], campaigns: list[Campaign], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(scores)))
    whole, parts = Standings(), Standings()
    together = run(scores, campaigns, whole).decisions
    apart = run(scores[:cut], campaigns, parts).decisions
    apart += run(scores[cut:], campaigns, parts).decisions
    assert (together, whole) == (apart, parts)


@given(histories(), campaign_sets(), st.data())
def test_a_history_sent_again_changes_nothing(
    scores: list[Score], campaigns: list[Campaign], data: st.DataObject
) -> None:
    """As by a scorer that was rebuilt from its source: same places in the log, new records."""
    standings = Standings()
    run(scores, campaigns, standings)
    known = dict(standings.seen), {who: dict(each) for who, each in standings.armings.items()}
    again = scores[data.draw(st.integers(0, len(scores))) :]
    batch = run(again, campaigns, standings)
    assert (batch.decisions, batch.armings, batch.profiles) == ([], {}, {})
    assert (standings.seen, standings.armings) == known


def test_a_new_source_topic_is_no_repetition() -> None:
    """Offsets that begin anew come with a later time; another partition has its own offsets."""
    seen = Seen.of(score(at=T0, origin=Identity(0, 900, 4)))
    assert seen.covers(score(at=T0, origin=Identity(0, 900, 4)))
    assert seen.covers(score(at=T0 - 1, origin=Identity(0, 899, 7)))
    assert not seen.covers(score(at=T0, origin=Identity(0, 900, 5)))
    assert not seen.covers(score(at=T0 + 1, origin=Identity(0, 3, 0)))
    assert not seen.covers(score(at=T0, origin=Identity(1, 3, 0)))


def test_a_move_by_the_model_is_remembered_but_decides_nothing() -> None:
    rise = [score(risk=0.1), score(risk=0.7, step=1, cause="model"), score(risk=0.75, step=2)]
    batch = run(rise, [campaign()])
    assert batch.decisions == []
    assert batch.profiles["anna"][0].risk == 0.75


def test_a_batch_holds_only_the_last_of_each_customer() -> None:
    batch = run([score(risk=0.1), score("bela", 0.2, 1), score(risk=0.3, step=2)], [])
    assert {who: each.risk for who, (each, _) in batch.profiles.items()} == {
        "anna": 0.3, "bela": 0.2,
    }  # fmt: skip
    assert batch.at == T0 + 2 * MINUTE


def decisions_of(standings: Standings, risks: list[float], rule: Campaign) -> list[Decision]:
    start = len(standings.seen) and 100
    return run(
        [score(risk=risk, step=start + step) for step, risk in enumerate(risks)], [rule], standings
    ).decisions


def test_an_enrolment_that_came_to_nothing_costs_no_cool_down() -> None:
    rule, standings = campaign(cool_down_ms=DAY), Standings()
    (first,) = decisions_of(standings, [0.1, 0.7], rule)
    batch = Batch(Lease(0, 1), 2, 3)
    fold = Fold(standings, batch, Rules([rule], SALT), T0)
    fold.release(Enrolment("anna", rule.name, first.at))
    assert batch.armings == {("anna", rule.name): Arming(1, armed=False, enrolled_at=None)}
    (second,) = decisions_of(standings, [0.1, 0.7], rule)
    assert (second.number, second.outcome) == (2, "fired")


def test_a_raised_threshold_does_not_decide_again() -> None:
    standings = Standings()
    lower = campaign(valid_for_ms=DAY)
    higher = campaign(valid_for_ms=DAY, trigger=risk_over(0.8, 0.7))
    assert len(decisions_of(standings, [0.1, 0.65], lower)) == 1
    late = [score(risk=0.85, step=200), score(risk=0.65, step=201), score(risk=0.9, step=202)]
    numbers = [each.number for each in run(late, [higher], standings).decisions]
    assert numbers == [2]


def test_first_sight_of_everyone_decides_nothing_in_a_fresh_database() -> None:
    crowd = [score(f"c{number}", 0.9, number) for number in range(100)]
    assert run(crowd, [campaign(valid_for_ms=24 * HOUR)]).decisions == []
