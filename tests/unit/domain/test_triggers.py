"""Each trigger: where it holds, what arms anew, from where it is reached, and when time does it."""

import pytest
from msgspec.structs import replace

from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.campaigns import Audience
from shared.domain.lifecycle import STAGES
from shared.domain.outputs import Profile, Score
from shared.domain.seen import Seen
from shared.domain.standings import Standings
from shared.domain.triggers import DateNears, Milestone, RiskUnder, Silent, StageEntered, Trigger
from tests.campaign_builders import DAY, T0, campaign, raw, score

EVERYBODY = Audience(stages=frozenset(STAGES))


class Told:
    """A campaign with a trigger, told of scores and of time."""

    def __init__(self, trigger: Trigger) -> None:
        self.rule = campaign(trigger=trigger, audience=EVERYBODY, valid_for_ms=999 * DAY)
        self.campaigns = [self.rule]
        self.standings = Standings()
        self.scores: dict[str, Score] = {}

    def __call__(self, *scores: Score, until: int | None = None) -> list[Decision]:
        batch = Batch(Lease(0, 1), 0, 0)
        rules = Rules(self.campaigns, "salt")
        fold = Fold(self.standings, batch, rules, T0, self.scores.__getitem__)
        for each in scores:
            fold.take(each, raw(each))
        if until is not None:
            fold.pass_time(until)
        self.scores |= {who: each for who, (each, _) in batch.profiles.items()}
        return batch.decisions

    def restarted(self) -> None:
        old = self.standings
        self.standings = Standings(
            {who: Seen.of(each) for who, each in self.scores.items()}, old.armings
        )


def test_a_falling_risk_counts_once_until_it_rose_again() -> None:
    told = Told(RiskUnder(threshold=0.2, rearm_from=0.4))
    assert told(score(risk=0.1)) == []  # first sight
    assert told(score(risk=0.5, step=1), score(risk=0.2, step=2)) == []
    assert len(told(score(risk=0.19, step=3))) == 1
    assert told(score(risk=0.39, step=4), score(risk=0.1, step=5)) == []
    (again,) = told(score(risk=0.4, step=6), score(risk=0.1, step=7))
    assert (again.number, again.trigger, again.threshold) == (2, "risk under 0.2", 0.2)


def test_a_stage_is_entered_from_where_the_campaign_wants() -> None:
    trigger = StageEntered(stages=frozenset({"decline"}), before=frozenset({"growth"}))
    told = Told(trigger)
    assert told(score(), score(stage="maturity", step=1), score(stage="decline", step=2)) == []
    (entered,) = told(score(step=3), score(stage="decline", step=4))
    assert (entered.stage, entered.threshold, entered.number) == ("decline", None, 1)
    assert told(score(stage="decline", step=5)) == []


def test_a_stage_that_a_model_moves_the_customer_to_is_not_entered() -> None:
    told = Told(StageEntered(stages=frozenset({"decline"})))
    assert told(score(), score(stage="decline", step=1, cause="model")) == []


def test_a_milestone_is_passed_once_whatever_is_given_back() -> None:
    told = Told(Milestone(measure="spend", threshold=100.0))
    assert told(score(spend=99.0)) == []
    assert len(told(score(spend=100.0, step=1))) == 1
    assert told(score(spend=50.0, step=2), score(spend=150.0, step=3)) == []


def test_a_newcomer_counts_where_the_campaign_takes_in_who_is_there_already() -> None:
    assert Told(Milestone(measure="visits", threshold=1.0))(score(visits=1)) == []
    welcome = Milestone(measure="visits", threshold=1.0, include_existing=True)
    assert len(Told(welcome)(score(visits=1))) == 1


ACTIVE = score(last_activity=T0)


def test_silence_is_noticed_by_time_alone_and_only_once() -> None:
    told = Told(Silent(for_ms=14 * DAY))
    assert told(ACTIVE, until=T0 + 14 * DAY - 1) == []
    (silent,) = told(until=T0 + 20 * DAY)
    assert (silent.at, silent.trigger) == (T0 + 14 * DAY, "silent for 14 days")
    assert told(until=T0 + 90 * DAY) == []
    back = T0 + 91 * DAY
    (again,) = told(score(step=1, at=back, last_activity=back), until=back + 15 * DAY)
    assert (again.number, again.at) == (2, back + 14 * DAY)


def test_activity_puts_silence_off() -> None:
    told = Told(Silent(for_ms=14 * DAY))
    told(ACTIVE, score(step=1, at=T0 + 10 * DAY, last_activity=T0 + 10 * DAY))
    assert told(until=T0 + 20 * DAY) == []
    assert [each.at for each in told(until=T0 + 30 * DAY)] == [T0 + 24 * DAY]


@pytest.mark.parametrize("before", [True, False])
def test_a_restart_forgets_no_date_and_repeats_none(before: bool) -> None:
    told = Told(Silent(for_ms=14 * DAY))
    told(ACTIVE)
    if before:
        told.restarted()
    assert len(told(until=T0 + 14 * DAY)) == 1
    told.restarted()
    assert told(until=T0 + 40 * DAY) == []


def test_a_date_nears_and_a_later_one_counts_anew() -> None:
    told = Told(DateNears(date="contract_end", lead_ms=30 * DAY))
    ends = T0 + 100 * DAY
    assert told(score(), score(step=1, profile=Profile(contract_end=ends))) == []
    (near,) = told(until=T0 + 99 * DAY)
    assert (near.at, near.trigger) == (ends - 30 * DAY, "30 days before contract_end")
    renewed = Profile(contract_end=ends + 365 * DAY)
    assert told(score(step=2, at=ends, profile=renewed), until=ends + 300 * DAY) == []
    assert len(told(until=ends + 340 * DAY)) == 1


def test_a_date_that_is_near_when_a_customer_is_first_seen_is_none() -> None:
    told = Told(DateNears(date="expiry", lead_ms=30 * DAY))
    assert told(score(profile=Profile(expiry=T0 + DAY)), until=T0 + 60 * DAY) == []


def test_a_new_campaign_in_the_file_waits_for_what_is_ahead() -> None:
    told = Told(Silent(for_ms=14 * DAY))
    told.campaigns = []
    told(ACTIVE, score("bela", last_activity=T0 - 20 * DAY))
    told.campaigns = [told.rule]
    assert [each.customer for each in told(until=T0 + 15 * DAY)] == ["anna"]


def test_every_trigger_holds_or_rearms_but_never_both() -> None:
    looks = [
        Seen.of(score(risk=risk, stage=stage, visits=visits, last_activity=T0 - days * DAY))
        for risk in (0.0, 0.2, 0.5, 0.9)
        for stage in STAGES
        for visits in (0, 100)
        for days in (0, 20)
    ]
    triggers: list[Trigger] = [
        RiskUnder(threshold=0.2, rearm_from=0.4),
        StageEntered(stages=frozenset({"decline"})),
        Milestone(measure="visits", threshold=10.0),
        Silent(for_ms=14 * DAY),
        DateNears(date="expiry", lead_ms=0),
    ]
    for trigger in triggers:
        assert not any(trigger.holds(each) and trigger.rearms(each) for each in looks)
        held = replace(trigger, include_existing=True)
        assert [held.holds(each) for each in looks] == [trigger.holds(each) for each in looks]
