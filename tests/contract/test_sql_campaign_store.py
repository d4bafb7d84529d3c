"""What the campaigner relies on of its database: all or nothing, one owner, nothing forgotten."""

from collections.abc import Callable, Sequence
from threading import Event, Thread

import msgspec
import pytest
from sqlalchemy import Engine, select

from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.tables import armings, campaign_versions, customers, decisions, outbox
from shared.domain.campaign_decisions import expired
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import (
    Batch,
    Claimed,
    Enrolment,
    Fold,
    Lease,
    LostPartitionError,
    Rules,
    Settled,
    Standings,
)
from shared.domain.campaigns import Arming, Campaign
from shared.domain.outputs import DeadLetter, Reason, Score
from tests.campaign_builders import DAY, MINUTE, T0, campaign, raw, score

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
        "anna": {"early-warning": Arming(1, armed=False, enrolled_at=RISE[2].at)}
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


def test_each_version_of_a_campaign_is_kept(store: CampaignStore, database: Engine) -> None:
    store.keep_versions({("early-warning", "v1"): "{}"}, T0)
    store.keep_versions({("early-warning", "v1"): "changed", ("early-warning", "v2"): "{}"}, T0 + 1)
    with database.connect() as connection:
        rows = connection.execute(select(campaign_versions)).all()
    assert sorted((row.version, row.document, row.loaded_at) for row in rows) == [
        ("v1", "{}", T0),
        ("v2", "{}", T0 + 1),
    ]
