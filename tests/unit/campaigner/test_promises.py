"""Whatever happens to whom, and whatever breaks or is changed meanwhile: the promises hold.

Two campaigners, a partition each, share a database. Scores and time come in batches of any size;
some come again, campaigners start anew, and people stop campaigns and suppress customers.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from shared.adapters.sql.campaign_history import decisions_between
from shared.adapters.sql.offer_store import offer_library
from shared.adapters.sql.tables import budgets, units
from shared.domain.budgets import CHANNEL, MILLIONTHS, Allowance, Budget, allowances
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Rules
from shared.domain.campaigns import Campaign, GuardRails, draw_arm, left_alone
from shared.domain.controls import ALL, Controls
from shared.domain.outputs import Clock, Profile, Score
from shared.domain.seen import Seen
from shared.domain.simulation import Told, simulate, used_before
from shared.domain.triggers import DateNears, Silent
from tests.campaign_builders import CUSTOMERS, DAY, HOUR, MINUTE, T0, campaign
from tests.campaign_builders import score as score_of
from tests.campaign_lives import RAILS, SEVERAL, files, happenings, lives
from tests.unit.campaigner.world import World, emptied

END = T0 + 1_000 * DAY
PARTITION = {who: number % 2 for number, who in enumerate(CUSTOMERS)}


class Step(NamedTuple):
    """So much happens; then a person does something, or a campaigner does."""

    happenings: int
    then: Literal["nothing", "restart", "again", "stop", "go", "suppress", "approve"]
    publishes: bool
    lag: int


STEPS = st.lists(
    st.builds(
        Step,
        happenings=st.integers(1, 40),
        then=st.sampled_from(["nothing", "restart", "again", "stop", "go", "suppress", "approve"]),
        publishes=st.booleans(),
        lag=st.sampled_from([0, 0, MINUTE, 2 * HOUR]),
    ),
    min_size=1,
    max_size=8,
)


RULES = st.builds(
    Rules,
    files(),
    st.sampled_from("abcdefgh"),
    RAILS,
    segments=st.just(()),
    definitions=st.just(""),
)


class Deployment:
    """Two campaigners, and what was held and suppressed whenever something left."""

    def __init__(self, engine: Engine, rules: Rules) -> None:
        emptied(engine)
        self.worlds = [
            World(engine, rules.campaigns, rules.salt, rails=rules.rails, partition=part)
            for part in (0, 1)
        ]
        self.controls = self.worlds[0].controls
        self.stopped = False
        self.suppressed: set[str] = set()
        self.approved = False
        self.sent: list[str] = []
        #: What each partition was told, and when (wall clock).
        self.told: dict[int, list[Told]] = {0: [], 1: []}

    def live(self, happened: Sequence[Score | int], step: Step) -> None:
        now = happened[-1] if isinstance(happened[-1], int) else happened[-1].at
        for world in self.worlds:
            world.now = max(world.now, now + step.lag)
            mine = [one for each in happened if (one := _of(world.partition, each)) is not None]
            world.append(*mine)
            self.told[world.partition] += [Told(world.now, each) for each in mine]
            world.process(0)  # from the beginning each time: as if all of it were sent again
            if step.publishes:
                self.publish(world)
        self.then(step)

    def publish(self, world: World) -> None:
        before = len(world.bus.triggers())
        world.publish()
        for trigger in world.bus.triggers()[before:]:
            assert not self.stopped
            assert trigger.customer not in self.suppressed
            assert world.now <= trigger.expires_at
            self.sent.append(trigger.decision)

    def then(self, step: Step) -> None:
        if step.then == "restart":
            for world in self.worlds:
                world.start()
        elif step.then == "stop":
            self.controls.hold(ALL, "olga", "")
            self.stopped = True
        elif step.then == "go" and self.stopped:
            self.controls.resume(ALL, "ada", "")
            self.stopped = False
        elif step.then == "approve":
            self.controls.approve("early-warning", "v1", "bert")
            self.approved = True
        elif step.then == "suppress":
            self.controls.suppress(CUSTOMERS[:1], "olga", "")
            self.suppressed |= set(CUSTOMERS[:1])

    def end(self, at: int) -> list[Decision]:
        """Let all that waits be decided and leave, or expire; return every decision."""
        for later in (3 * DAY, 6 * DAY):  # what waited, and what was deferred then
            self.live([at + later], Step(1, "nothing", True, 0))
        for world in self.worlds:
            world.now = at + 30 * DAY
            world.publish()
        stored = self.worlds[0].stored()
        assert all(settled is not None for _, settled, _ in stored)
        assert all(outcome == record.outcome for outcome, _, record in stored)
        return [record for _, _, record in stored]


def _of(partition: int, each: Score | int) -> Score | Clock | None:
    if isinstance(each, int):
        return Clock(partition=partition, at=each)
    return each if PARTITION[each.customer] == partition else None


def lived(
    memory: Engine,
    scores: Sequence[Score],
    rules: Rules,
    steps: Sequence[Step],
) -> tuple[Deployment, list[Decision]]:
    deployment, left = Deployment(memory, rules), list(happenings(scores))
    for step in [*steps, Step(len(left), "nothing", True, 0)]:
        some, left = left[: step.happenings], left[step.happenings :]
        if some:
            deployment.live(some, step)
    end = max((each.at for each in scores), default=T0)
    return deployment, deployment.end(end + 3 * DAY)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lives(), RULES, STEPS)
def test_promises_hold(
    memory: Engine,
    scores: list[Score],
    rules: Rules,
    steps: list[Step],
) -> None:
    deployment, decisions = lived(memory, scores, rules, steps)
    by_name = {each.name: each for each in rules.campaigns}
    fired = [each for each in decisions if each.outcome == "fired"]
    # one decision a crossing, one final outcome each, one trigger for what fired, none for others
    assert max(Counter(each.id for each in decisions).values(), default=1) == 1
    assert Counter(deployment.sent) == Counter(each.id for each in fired)
    for each in fired:
        rule = by_name[each.campaign]
        assert draw_arm(rule, each.customer, rules.salt, rules.rails) == "treatment"
        assert not rule.approval or (deployment.approved and rule.name == "early-warning")
        if not rule.transactional:
            assert not left_alone(rules.rails, each.customer, rules.salt)
        assert each.offer == "ten-percent" if rule.offers is None else each.offer in SEVERAL.names
        assert rule.starts is None or rule.starts <= (each.crossed_at or each.at)
        assert rule.ends is None or each.at < rule.ends
    assert {each.outcome for each in decisions} <= {"fired", "held_out", "suppressed", "expired"}
    expect_caps(fired, by_name, rules.rails)
    expect_budgets(memory, fired, by_name, rules.rails)
    expect_crossings(decisions, scores, by_name)
    expect_units(memory, decisions, by_name, rules)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    lives(), RULES, STEPS,
    st.sampled_from([-DAY, 0, HOUR, 2 * DAY, 8 * DAY]),
)  # fmt: skip
def test_a_simulation_of_what_happened_comes_to_what_happened(
    memory: Engine, scores: list[Score], rules: Rules, steps: list[Step], begin: int
) -> None:
    """Id for id: with budgets, rates, approvals, stops, the suppression list, and offers."""
    deployment, decisions = lived(memory, scores, rules, steps)
    approved = frozenset((each.name, each.version) for each in rules.campaigns)
    tried = rules._replace(controls=Controls(approved=approved))
    since, library = T0 + begin, offer_library(memory)
    used = used_before(decisions_between(memory, None, END), since)
    found: list[Decision] = []
    for partition, told in deployment.told.items():
        own = [
            each
            for each in decisions_between(memory, None, END)
            if PARTITION[each.decision.customer] == partition
        ]
        found += simulate(told, own, tried, (since, END), used, library=library)

    def told_of(made: Sequence[Decision]) -> dict[str, object]:
        return {each.id: (each.outcome, each.at, each.arm, each.offer) for each in made}

    assert told_of(found) == told_of([each for each in decisions if each.at >= since])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30)), min_size=1, max_size=30),
    st.sampled_from([Budget(day=3), Budget(day=2.5, in_all=6), Budget(month=4)]),
    st.sampled_from([None, Budget(day=2)]),
    st.sampled_from([{}, {"sms": 3}]),
)
@example([(number % 2, 0) for number in range(20)], Budget(day=3), None, {})
@example([(number % 2, number // 2) for number in range(30)], Budget(month=4), None, {"sms": 3})
def test_a_crowd_spends_what_there_is_and_no_more(
    memory: Engine,
    rises: list[tuple[int, int]],
    budget: Budget,
    own: Budget | None,
    rates: dict[str, int],
) -> None:
    """Many cross within two days, on either partition; minutes, hours and days apart."""
    rule = campaign(cost_per_contact=0.7, budget=own, control=0.2, valid_for_ms=DAY)
    rails = GuardRails(budget=budget, rates=rates)
    emptied(memory)
    worlds = [World(memory, [rule], rails=rails, partition=part) for part in (0, 1)]
    for number, (part, hours) in enumerate(sorted(rises, key=lambda each: each[1])):
        world, at = worlds[part], T0 + hours * 90 * MINUTE
        world.append(*rise(f"customer-{number}", at, 10 * number))
        for each in worlds:
            each.now = at
            each.process(0)
    for world in worlds:
        world.append(Clock(partition=world.partition, at=T0 + 10 * DAY))
        world.now = T0 + 10 * DAY
        world.process(0)
    decisions = [record for _, _, record in worlds[0].stored()]
    assert len(decisions) == len(rises)
    fired = [each for each in decisions if each.outcome == "fired"]
    expect_budgets(memory, fired, {rule.name: rule}, rails)
    for each in decisions:
        if each.outcome in ("fired", "held_out"):
            arm = draw_arm(rule, each.customer, "salt")
            assert each.outcome == ("fired" if arm == "treatment" else "held_out")
    if budget == Budget(day=3) and own is None and not rates and len(rises) <= 4:
        assert {each.outcome for each in decisions} <= {"fired", "held_out"}


def expect_caps(fired: Sequence[Decision], rules: dict[str, Campaign], rails: GuardRails) -> None:
    times: dict[str, list[int]] = defaultdict(list)
    by_campaign: Counter[tuple[str, str]] = Counter()
    for each in sorted(fired, key=lambda decision: decision.at):
        earlier = times[each.customer]
        assert rails.per_day is None or sum(each.at - t < DAY for t in earlier) < rails.per_day
        within_week = sum(each.at - t < 7 * DAY for t in earlier)
        assert rails.per_week is None or within_week < rails.per_week
        assert rails.in_all is None or len(earlier) < rails.in_all
        cap = rules[each.campaign].cap
        assert cap is None or by_campaign[each.customer, each.campaign] < cap
        earlier.append(each.at)
        by_campaign[each.customer, each.campaign] += 1


def expect_budgets(
    memory: Engine, fired: Sequence[Decision], rules: dict[str, Campaign], rails: GuardRails
) -> None:
    """Nobody spent more than there is, and the database knows what was spent, to the millionth."""
    spent: Counter[tuple[Allowance, str]] = Counter()
    for each in fired:
        rule = rules[each.campaign]
        limits = (
            *allowances("all", rails.budget),
            *allowances(f"campaign/{rule.name}", rule.budget),
        )
        for limit in limits:
            period = limit.period(each.at, rails.time_zone)
            spent[limit, period] += round(rule.cost_per_contact * MILLIONTHS)
        for channel, most in rails.rates.items():
            rate = Allowance(f"{CHANNEL}{channel}", "minute", most * MILLIONTHS)
            spent[rate, rate.period(each.decided_at, "UTC")] += MILLIONTHS
    for (limit, _), amount in spent.items():
        assert amount <= limit.most
    with memory.connect() as connection:
        rows = connection.execute(select(budgets)).all()
    assert all(0 <= row.spent <= row.lent for row in rows)
    money: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if not row.scope.startswith(CHANNEL):
            money[row.scope, row.period] += row.spent
    expected = {
        (limit.scope, period): amount
        for (limit, period), amount in spent.items()
        if limit.span != "minute" and amount
    }
    assert {key: amount for key, amount in money.items() if amount} == expected


def expect_crossings(
    decisions: Sequence[Decision], scores: Sequence[Score], rules: dict[str, Campaign]
) -> None:
    """None at first sight, nor by a new model alone, unless it was asked for."""
    first = {each.customer: each.origin for each in reversed(scores)}
    for each in decisions:
        trigger, at = rules[each.campaign].trigger, each.crossed_at or each.at
        own = [score for score in scores if score.customer == each.customer]
        due = {trigger.next_due(Seen.of(score)) for score in own if score.at < at}
        # What time alone brings is not a model's doing, though one may come at the same moment.
        if trigger.include_existing or at in due:
            continue
        # Those of that moment: a decision rests on the last of them, which a model may have sent.
        moment = [score for score in own if score.at == at]
        assert not moment or any(
            score.cause != "model" and score.origin != first[each.customer] for score in moment
        )


def expect_units(
    memory: Engine, decisions: Sequence[Decision], by_name: dict[str, Campaign], rules: Rules
) -> None:
    """A customer is a unit of a campaign, or of all, from the first enrolment that came to be."""
    enrolled = [each for each in decisions if each.outcome in ("fired", "held_out")]
    with memory.connect() as connection:
        rows = connection.execute(select(units.c.campaign, units.c.customer, units.c.arm)).all()
    arms = {(name, who): arm for name, who, arm in rows}
    own = {(each.campaign, each.customer): each.arm for each in enrolled if not each.left_alone}
    assert {key: arm for key, arm in arms.items() if key[0] != ALL} == own
    of_all = {each.customer for each in enrolled if not by_name[each.campaign].transactional}
    assert {who: arm for (name, who), arm in arms.items() if name == ALL} == {
        who: "control" if left_alone(rules.rails, who, rules.salt) else "treatment"
        for who in of_all
        if rules.rails.control > 0
    }


def rise(who: str, at: int, number: int) -> list[Score]:
    places = ((0.1, at), (0.7, at))
    return [score_of(who, risk, number + step, at=when) for step, (risk, when) in enumerate(places)]


def test_over_the_rate_contacts_wait_for_the_next_minute_and_none_is_lost(memory: Engine) -> None:
    rails = GuardRails(rates={"sms": 2})
    world = World(emptied(memory), [campaign()], rails=rails)
    for number in range(5):
        world.append(*rise(f"customer-{number}", T0, 10 * number))
    world.process()
    assert sorted(world.outcomes().values()) == ["deferred"] * 3 + ["fired"] * 2
    waiting = next(each for _, _, each in world.stored() if each.outcome == "deferred")
    assert (waiting.opens_at, waiting.waits_for) == (T0 + MINUTE, "room for sms")
    for minute, fired in ((1, 4), (2, 5)):
        world.now = T0 + minute * MINUTE
        world.append(Clock(partition=0, at=world.now))
        world.process(0)
        assert Counter(world.outcomes().values())["fired"] == fired
    world.publish()
    assert len(world.bus.triggers()) == 5


def test_who_waits_for_the_channel_expires_like_all_else(memory: Engine) -> None:
    rails = GuardRails(rates={"sms": 1})
    world = World(emptied(memory), [campaign(valid_for_ms=90_000)], rails=rails)
    for number in range(4):
        world.append(*rise(f"customer-{number}", T0, 10 * number))
    world.process()
    for minute in (1, 2, 3):
        world.now = T0 + minute * MINUTE
        world.append(Clock(partition=0, at=world.now))
        world.process(0)
    assert sorted(world.outcomes().values()) == ["expired"] * 2 + ["fired"] * 2


def test_money_of_what_expired_before_it_left_is_there_again(memory: Engine) -> None:
    rule = campaign(cost_per_contact=1.0)
    world = World(emptied(memory), [rule], rails=GuardRails(budget=Budget(day=1)))
    world.append(*rise("anna", T0, 0))
    world.process()
    world.now = T0 + 2 * HOUR
    world.publish()
    assert list(world.outcomes().values()) == ["expired"]
    world.append(*rise("bela", world.now, 10), *rise("chris", world.now, 20))
    world.process(0)
    assert sorted(world.outcomes().values()) == ["expired", "fired", "suppressed"]
    refused = next(each for _, _, each in world.stored() if each.outcome == "suppressed")
    assert [each.reason for each in refused.checks if not each.passed] == [
        "the budget of all today has less than 1 left"
    ]


def test_what_is_stopped_waits_in_the_outbox_and_leaves_when_it_may(memory: Engine) -> None:
    world = World(emptied(memory), [campaign()])
    world.append(*rise("anna", T0, 0))
    world.process()
    world.controls.hold("early-warning", "olga", "wrong offer")
    assert world.publish() == 0
    world.append(*rise("bela", T0 + MINUTE, 10))
    world.process(0)
    assert sorted(world.outcomes().values()) == ["fired", "suppressed"]
    world.controls.resume("early-warning", "olga", "")
    assert world.publish() == 2
    assert [each.customer for each in world.bus.triggers()] == ["anna"]


def test_nobody_on_the_suppression_list_is_contacted(memory: Engine) -> None:
    """Neither who crosses then, nor whose trigger waits; not even with what is transactional."""
    world = World(emptied(memory), [campaign(transactional=True)])
    world.append(*rise("anna", T0, 0), *rise("chris", T0, 5))
    world.process()
    world.controls.suppress(["anna", "bela"], "olga", "complaint")
    world.append(*rise("bela", T0, 10))
    world.process(0)
    world.publish()
    assert [each.customer for each in world.bus.triggers()] == ["chris"]
    refused = [each for _, _, each in world.stored() if each.outcome == "suppressed"]
    (only,) = refused
    failed = [each.check for each in only.checks if not each.passed]
    assert (only.customer, failed) == ("bela", ["suppression"])
    world.now += 2 * HOUR
    world.publish()
    assert [each.outcome for _, _, each in world.stored()] == ["expired", "fired", "suppressed"]


def test_a_version_fires_only_after_its_approval(memory: Engine) -> None:
    world = World(emptied(memory), [campaign(approval=True)])
    world.append(*rise("anna", T0, 0))
    world.process()
    world.controls.approve("early-warning", "v1", "bert")
    world.append(*rise("bela", T0, 10))
    world.process(0)
    assert [(each.customer, each.outcome) for _, _, each in world.stored()] == [
        ("anna", "suppressed"), ("bela", "fired"),
    ]  # fmt: skip


def test_a_restart_does_not_look_again_at_what_time_had_made_due(memory: Engine) -> None:
    """A date between the last score and a silence that was decided on must not arm it anew."""
    silent = campaign("win-back", trigger=Silent(for_ms=2 * DAY), valid_for_ms=9 * DAY)
    date = campaign("renewal", trigger=DateNears(date="contract_end", lead_ms=DAY))
    world = World(emptied(memory), [silent, date])
    ends = Profile(contract_end=T0 + 2 * DAY)
    world.append(score_of(at=T0, last_activity=T0, profile=ends), Clock(0, T0 + 3 * DAY))
    world.process()
    assert Counter(each.campaign for _, _, each in world.stored())["win-back"] == 1
    world.start()
    world.append(Clock(0, T0 + 4 * DAY))
    world.process()
    assert Counter(each.campaign for _, _, each in world.stored())["win-back"] == 1
