"""What the campaigner relies on of its database: all or nothing, one owner, nothing forgotten."""

from collections.abc import Callable, Sequence
from threading import Event, Thread

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, select

from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.tables import (
    armings,
    customers,
    decisions,
    outbox,
    units,
)
from shared.domain.campaign_decisions import expired
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import (
    Batch,
    Claimed,
    Lease,
    LostPartitionError,
    Rules,
    Settled,
)
from shared.domain.campaigns import Arming, Campaign, GuardRails
from shared.domain.outputs import DeadLetter, Identity, Reason, Score
from shared.domain.quiet_hours import QuietHours
from shared.domain.standings import Enrolment, Standings
from tests.campaign_builders import DAY, MINUTE, T0, campaign, consents, raw, score

TOPIC = "customer-scores"
RISE = [score(risk=0.1), score("bela", 0.2, 1), score(risk=0.7, step=2)]


class Killed(BaseException):
    """The process ends here."""


def killing(where: str) -> Callable[[str], None]:
    def hook(place: str) -> None:
        if place == where:
            raise Killed(place)

    return hook


@pytest.fixture
def store(database: Engine) -> CampaignStore:
    return CampaignStore(database, TOPIC)


def batch_of(
    lease: Lease,
    scores: Sequence[Score],
    *,
    start: int = 0,
    standings: Standings | None = None,
    rules: Sequence[Campaign] = (campaign(valid_for_ms=DAY),),
) -> Batch:
    batch = Batch(lease, start, start + len(scores))
    fold = Fold(standings or Standings(), batch, Rules(rules, "salt"), T0)
    for each in scores:
        fold.take(each, raw(each))
    return batch


def claim(store: CampaignStore, *partitions: int, owner: str = "one") -> list[Claimed]:
    return store.claim(partitions or [0], owner, T0)


def decision_in(batch: Batch) -> Decision:
    (decision,) = batch.decisions
    return decision


def count(database: Engine) -> dict[str, int]:
    with database.connect() as connection:
        return {
            table.name: len(connection.execute(select(table)).all())
            for table in (customers, armings, decisions, outbox)
        }


NOTHING = {"customers": 0, "armings": 0, "decisions": 0, "outbox": 0}


def test_a_new_partition_starts_at_the_beginning(store: CampaignStore) -> None:
    assert claim(store, 0, 3) == [
        Claimed(Lease(0, 1), 0, None),
        Claimed(Lease(3, 1), 0, None),
    ]


def test_each_claim_has_a_higher_epoch_and_keeps_the_position(store: CampaignStore) -> None:
    ((lease, _, _),) = claim(store)
    store.commit([batch_of(lease, RISE)], T0)
    assert claim(store, owner="two") == [Claimed(Lease(0, 2), 3, T0 + 2 * MINUTE)]


def test_topics_do_not_share_positions(store: CampaignStore, database: Engine) -> None:
    store.commit([batch_of(claim(store)[0].lease, RISE)], T0)
    other = CampaignStore(database, "blue-customer-scores")
    assert claim(other) == [Claimed(Lease(0, 1), 0, None)]


def test_what_was_committed_is_read_back(store: CampaignStore) -> None:
    ((lease, _, _),) = claim(store)
    standings = Standings()
    store.commit([batch_of(lease, RISE, standings=standings)], T0)
    assert store.standings(lease) == standings
    assert standings.armings == {
        "anna": {
            "early-warning": Arming(
                1, armed=False, enrolled_at=RISE[2].at, first_at=RISE[2].at, enrolments=1
            )
        }
    }
    assert store.standings(Lease(1, 1)) == Standings()


def test_a_later_score_replaces_the_profile(store: CampaignStore, database: Engine) -> None:
    ((lease, _, _),) = claim(store)
    standings = Standings()
    store.commit([batch_of(lease, RISE, standings=standings)], T0)
    later = score(risk=0.3, step=9, stage="decline")
    store.commit([batch_of(lease, [later], start=3, standings=standings)], T0)
    with database.connect() as connection:
        rows = connection.execute(select(customers).where(customers.c.customer == "anna")).all()
    assert [(row.risk, row.stage, row.at) for row in rows] == [(0.3, "decline", later.at)]
    assert msgspec.json.decode(rows[0].score, type=Score) == later


def test_texts_are_kept_character_for_character(store: CampaignStore, database: Engine) -> None:
    odd = 'quote " backslash \\ nul \0 \u2028 line\nfeed \U0001f600 {a,b} NULL'
    who = odd.replace("\0", "")
    ((lease, _, _),) = claim(store)
    reasons = [Reason("recency", 0.5, odd)]
    scores = [score(who, 0.1), score(who, 0.7, 1, reasons=reasons)]
    store.commit([batch_of(lease, scores)], T0)
    (row,) = store.waiting([0], 0, 10)
    assert row.decision is not None
    assert (row.decision.customer, row.decision.reasons) == (who, reasons)
    assert set(store.standings(lease).seen) == {who}
    with database.connect() as connection:
        stored = connection.execute(select(customers.c.score)).scalar_one()
    assert stored == raw(scores[1])


@pytest.mark.parametrize("where", ["advanced", "written"])
def test_a_death_within_the_transaction_leaves_nothing(
    database: Engine, store: CampaignStore, where: str
) -> None:
    ((lease, _, _),) = claim(store)
    with pytest.raises(Killed):
        CampaignStore(database, TOPIC, hook=killing(where)).commit([batch_of(lease, RISE)], T0)
    assert count(database) == NOTHING
    assert claim(store)[0].next_offset == 0


def test_who_lost_a_partition_writes_nothing(store: CampaignStore, database: Engine) -> None:
    (zombie, other) = claim(store, 0, 1)
    claim(store, 0, owner="two")
    batches = [batch_of(zombie.lease, RISE), batch_of(other.lease, [score("chris", 0.2)])]
    with pytest.raises(LostPartitionError, match="Partition 0"):
        store.commit(batches, T0)
    assert count(database) == NOTHING
    assert claim(store, 1)[0].next_offset == 0


def test_the_same_records_cannot_be_committed_twice(store: CampaignStore) -> None:
    ((lease, _, _),) = claim(store)
    store.commit([batch_of(lease, RISE)], T0)
    with pytest.raises(LostPartitionError):
        store.commit([batch_of(lease, RISE)], T0)


@pytest.mark.parametrize("where", ["written", "settled"])
def test_a_zombie_in_the_middle_of_its_transaction_is_waited_for(
    database: Engine, store: CampaignStore, where: str
) -> None:
    """Whoever claims sees either all of the former owner's transaction, or makes it fail."""
    ((lease, _, _),) = claim(store)
    inside, go_on = Event(), Event()

    def pause(place: str) -> None:
        if place == where:
            inside.set()
            assert go_on.wait(10)

    slow = CampaignStore(database, TOPIC, hook=pause)

    def work() -> None:
        slow.commit([batch_of(lease, RISE)], T0)
        if where == "settled":
            slow.settle([lease], [Settled(row) for row in slow.waiting([0], 0, 10)], T0)

    zombie = Thread(target=work)
    zombie.start()
    assert inside.wait(10)
    claimed: list[Claimed] = []
    successor = Thread(target=lambda: claimed.extend(claim(store, owner="two")))
    successor.start()
    successor.join(0.3)
    assert not claimed  # it waits for the row, or the file, that the zombie has locked
    go_on.set()
    zombie.join(10)
    successor.join(10)
    assert [(each.lease.epoch, each.next_offset) for each in claimed] == [(2, 3)]


def test_the_outbox_gives_decisions_and_letters_in_order(store: CampaignStore) -> None:
    first, second = (each.lease for each in claim(store, 0, 1))
    letter = DeadLetter(b"{", "DecodeError", "$", "cut", "Send JSON", 1, 7, None)
    one = batch_of(first, RISE)
    two = Batch(second, 0, 1, letters=[letter])
    store.commit([two, one], T0)
    rows = store.waiting([0, 1], after=0, limit=10)
    assert [row.seq for row in rows] == sorted(row.seq for row in rows)
    assert [row.decision for row in rows if row.decision] == one.decisions
    letters = [row.letter for row in rows if row.letter]
    assert [msgspec.json.decode(each, type=DeadLetter) for each in letters] == [letter]
    assert {row.created_at for row in rows} == {T0}
    assert [row.partition for row in store.waiting([1], after=0, limit=10)] == [1]
    assert store.waiting([0, 1], after=rows[0].seq, limit=10) == rows[1:]
    assert store.waiting([0, 1], after=0, limit=1) == rows[:1]


def test_settling_empties_the_outbox_and_dates_the_decision(
    store: CampaignStore, database: Engine
) -> None:
    ((lease, _, _),) = claim(store)
    store.commit([batch_of(lease, RISE)], T0)
    store.settle([lease], [Settled(row) for row in store.waiting([0], 0, 10)], T0 + 5)
    assert store.waiting([0], 0, 10) == []
    with database.connect() as connection:
        row = connection.execute(select(decisions)).one()
    assert (row.outcome, row.settled_at) == ("fired", T0 + 5)


def test_what_expires_at_the_outbox_costs_no_cool_down(
    store: CampaignStore, database: Engine
) -> None:
    ((lease, _, _),) = claim(store)
    batch = batch_of(lease, RISE)
    store.commit([batch], T0)
    late = expired(decision_in(batch))
    (row,) = store.waiting([0], 0, 10)
    store.settle([lease], [Settled(row, late)], T0 + DAY)
    assert store.standings(lease).armings["anna"] == {
        "early-warning": Arming(1, armed=False, enrolled_at=None)
    }
    with database.connect() as connection:
        stored = connection.execute(select(decisions)).one()
    assert (stored.outcome, stored.settled_at) == ("expired", T0 + DAY)
    assert msgspec.json.decode(stored.record, type=Decision) == late


def test_a_later_enrolment_is_not_released_by_an_earlier_one(store: CampaignStore) -> None:
    ((lease, _, _),) = claim(store)
    batch = batch_of(lease, RISE)
    earlier = msgspec.structs.replace(decision_in(batch), at=T0 - DAY)
    store.commit([batch], T0)
    (row,) = store.waiting([0], 0, 10)
    store.settle([lease], [Settled(row, expired(earlier))], T0)
    assert store.standings(lease).armings["anna"]["early-warning"].enrolled_at == RISE[2].at


def test_who_lost_a_partition_settles_nothing(store: CampaignStore) -> None:
    ((lease, _, _),) = claim(store)
    store.commit([batch_of(lease, RISE)], T0)
    rows = store.waiting([0], 0, 10)
    claim(store, owner="two")
    with pytest.raises(LostPartitionError):
        store.settle([lease], [Settled(rows[0])], T0)
    assert store.waiting([0], 0, 10) == rows


def test_a_death_while_settling_leaves_the_row_waiting(
    store: CampaignStore, database: Engine
) -> None:
    ((lease, _, _),) = claim(store)
    store.commit([batch_of(lease, RISE)], T0)
    rows = store.waiting([0], 0, 10)
    with pytest.raises(Killed):
        CampaignStore(database, TOPIC, hook=killing("settled")).settle(
            [lease], [Settled(rows[0])], T0
        )
    assert store.waiting([0], 0, 10) == rows


def test_thousands_settle_at_once(store: CampaignStore) -> None:
    ((lease, _, _),) = claim(store)
    crowd = [f"c{number}" for number in range(2_500)]
    low = [score(who, 0.1, step) for step, who in enumerate(crowd)]
    high = [score(who, 0.7, 2_500 + step) for step, who in enumerate(crowd)]
    store.commit([batch_of(lease, low + high, rules=[campaign(valid_for_ms=90 * DAY)])], T0)
    rows = store.waiting([0], 0, 10_000)
    assert len(rows) == 2_500
    store.settle([lease], [Settled(row) for row in rows], T0)
    assert store.waiting([0], 0, 10) == []


def test_an_enrolment_names_customer_campaign_and_time() -> None:
    batch = batch_of(Lease(0, 1), RISE)
    assert Enrolment.of(decision_in(batch)) == ("anna", "early-warning", RISE[2].at)


WINDOW = 28 * DAY
MEASURED = [campaign(valid_for_ms=DAY, window_ms=WINDOW, control=0.5, cost_per_contact=0.25)]


def units_of(database: Engine) -> dict[str, tuple[str, bool | None, float | None]]:
    c = units.c
    with database.connect() as connection:
        rows = connection.execute(select(c.customer, c.arm, c.retained, c.margin_gained))
        return {who: (arm, retained, margin) for who, arm, retained, margin in rows}


def enrol(store: CampaignStore, crowd: Sequence[str]) -> tuple[Lease, Standings]:
    """Enrol a crowd at the second minute, half of it as control by chance."""
    ((lease, _, _),) = claim(store)
    standings = Standings()
    scores = [score(who, 0.1) for who in crowd]
    scores += [score(who, 0.7, 2, origin=Identity(0, 9, n)) for n, who in enumerate(crowd)]
    store.commit([batch_of(lease, scores, standings=standings, rules=MEASURED)], T0)
    return lease, standings


def pass_time(
    store: CampaignStore, lease: Lease, standings: Standings, start: int, at: int
) -> None:
    batch = Batch(lease, start, start + 1)
    Fold(standings, batch, Rules(MEASURED, "salt"), T0).pass_time(at)
    store.commit([batch], T0)


def test_units_are_read_back_until_their_window_has_ended(
    store: CampaignStore, database: Engine
) -> None:
    lease, standings = enrol(store, ["anna", "bela"])
    assert store.standings(lease) == standings
    assert set(standings.units) == {("anna", "early-warning"), ("bela", "early-warning")}
    stays = score(risk=0.2, step=5, last_activity=T0 + 5 * MINUTE, margin=31.0)
    store.commit([batch_of(lease, [stays], start=4, standings=standings, rules=MEASURED)], T0)
    pass_time(store, lease, standings, 5, T0 + 2 * MINUTE + WINDOW + 1)
    found = units_of(database)
    assert {who: retained for who, (_, retained, _) in found.items()} == {
        "anna": True, "bela": False,
    }  # fmt: skip
    assert found["anna"][2] == 10.0
    assert store.standings(lease) == standings
    assert standings.units == {}


def test_a_unit_goes_with_the_enrolment_that_expired(
    store: CampaignStore, database: Engine
) -> None:
    lease, _ = enrol(store, ["anna", "bela"])
    rows = store.waiting([0], 0, 10)
    late = next(row for row in rows if row.decision and row.decision.customer == "anna")
    assert late.decision is not None
    store.settle([lease], [Settled(late, expired(late.decision))], T0 + DAY)
    assert set(units_of(database)) == {"bela"}
    assert store.standings(lease).arming("anna", "early-warning").first_at is None
    assert store.standings(lease).arming("bela", "early-warning").first_at is not None


def test_a_unit_that_is_gone_is_not_measured(store: CampaignStore, database: Engine) -> None:
    """As when its trigger expired while its window ended: whoever is first, there is no unit."""
    lease, standings = enrol(store, ["anna", "bela"])
    rows = [row for row in store.waiting([0], 0, 10) if row.decision]
    gone = [Settled(row, expired(row.decision)) for row in rows if row.decision]
    store.settle([lease], gone, T0 + DAY)
    pass_time(store, lease, standings, 4, T0 + 90 * DAY)
    assert units_of(database) == {}


def test_sums_over_units_are_those_of_a_report(store: CampaignStore, database: Engine) -> None:
    crowd = [f"c{number}" for number in range(200)]
    lease, standings = enrol(store, crowd)
    queries = CampaignQueries(database)
    waiting = {each.arm: each for each in queries.unit_sums()["early-warning"]}
    assert waiting["treatment"].enrolled + waiting["control"].enrolled == 200
    assert waiting["treatment"].retained == (0, 0.0, 0.0)
    assert waiting["treatment"].cost == 0.0
    stay = [
        score(who, 0.2, 5, last_activity=T0 + 5 * MINUTE, revenue=70.0 + n, margin=21.0 + n / 2)
        for n, who in enumerate(crowd[:80])
    ]
    stay[::4] = [replace(each, profile=consents({"sms": False})) for each in stay[::4]]
    store.commit([batch_of(lease, stay, start=400, standings=standings, rules=MEASURED)], T0)
    pass_time(store, lease, standings, 480, T0 + 90 * DAY)
    arms = {who: arm for who, (arm, _, _) in units_of(database).items()}
    for sums in queries.unit_sums("early-warning")["early-warning"]:
        gained = [float(n) for n in range(80) if arms[crowd[n]] == sums.arm]
        size = sum(arm == sums.arm for arm in arms.values())
        assert (sums.control_share, sums.enrolled) == (0.5, size)
        assert sums.retained == (size, len(gained), len(gained))
        squares = sum(each**2 for each in gained)
        assert sums.revenue == pytest.approx((size, sum(gained), squares))
        assert sums.margin == pytest.approx((size, sum(gained) / 2, squares / 4))
        gone = sum(n % 4 == 0 for n in gained)
        assert sums.opted_out == (size, gone, gone)
        assert sums.cost == (0.25 * size if sums.arm == "treatment" else 0.0)
    assert queries.unit_sums("another") == {}


NIGHT = GuardRails("UTC", QuietHours(8 * 60, 12 * 60))  # T0 is at eight
QUIET = Rules([campaign(valid_for_ms=DAY)], "salt", NIGHT)


def fold_quiet(
    store: CampaignStore, lease: Lease, standings: Standings, start: int, *scores: Score | int
) -> Batch:
    batch = Batch(lease, start, start + len(scores))
    fold = Fold(standings, batch, QUIET, T0, store.latest)
    for each in scores:
        if isinstance(each, int):
            fold.pass_time(each)
        else:
            fold.take(each, raw(each))
    store.commit([batch], T0)
    return batch


def test_a_deferred_decision_waits_in_the_database_and_leaves_once(
    store: CampaignStore, database: Engine
) -> None:
    ((lease, _, _),) = claim(store)
    standings = Standings()
    batch = fold_quiet(store, lease, standings, 0, *RISE)
    assert [each.outcome for each in batch.decisions] == ["deferred"]
    assert store.waiting([0], 0, 10) == []
    restarted = store.standings(lease)
    assert restarted == standings
    assert list(restarted.deferred.values()) == batch.decisions
    opened = fold_quiet(store, lease, restarted, 3, T0 + 4 * 60 * MINUTE)
    (row,) = store.waiting([0], 0, 10)
    assert [row.decision] == opened.revised
    assert row.decision is not None
    assert (row.decision.id, row.decision.outcome) == (batch.decisions[0].id, "fired")
    again = store.standings(lease)
    assert (again.armings, again.units, again.enrolments) == (
        restarted.armings, restarted.units, restarted.enrolments,
    )  # fmt: skip
    assert again.deferred == restarted.deferred == {}
    assert set(restarted.units) == {("anna", "early-warning")}
    with database.connect() as connection:
        stored = connection.execute(select(decisions)).one()
    assert (stored.outcome, stored.at) == ("fired", T0 + 4 * 60 * MINUTE)


def test_what_caps_count_is_read_back_and_given_back(store: CampaignStore) -> None:
    ((lease, _, _),) = claim(store)
    standings = Standings()
    store.commit([batch_of(lease, RISE, standings=standings)], T0)
    known = store.standings(lease)
    assert known.enrolments == standings.enrolments == {"anna": (RISE[2].at,)}
    assert known.history("anna") == ((RISE[2].at,), 1)
    (row,) = store.waiting([0], 0, 10)
    assert row.decision is not None
    store.settle([lease], [Settled(row, expired(row.decision))], T0 + DAY)
    assert store.standings(lease).history("anna") == ((), 0)
