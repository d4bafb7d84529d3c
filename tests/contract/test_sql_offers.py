"""What is known of offers in a database: counted by partition, numbered, and found again."""

import pytest
from sqlalchemy import Engine, select

from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.offer_store import offer_library
from shared.adapters.sql.tables import units
from shared.domain.campaign_decisions import expired
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_report import reports_on
from shared.domain.campaign_state import Batch, Lease, LostPartitionError, Rules, Settled
from shared.domain.campaigns import GuardRails
from shared.domain.controls import ALL
from shared.domain.dealings import Dealings, Touch
from shared.domain.offers import UNKNOWN, Offer, Offers, Tally
from shared.domain.outputs import Identity
from shared.domain.standings import Standings
from tests.campaign_builders import DAY, MINUTE, T0, campaign, raw, score

WINDOW = 14 * DAY
RULE = campaign(
    offer="",
    offers=Offers((Offer("a", 2.0), Offer("b", 1.0)), by="plan"),
    control=0.2,
    valid_for_ms=90 * DAY,
    window_ms=WINDOW,
    cost_per_contact=0.25,
)
RAILS = GuardRails(control=0.3, window_ms=2 * WINDOW)
RULES = Rules([RULE], "salt", RAILS)


@pytest.fixture
def store(database: Engine) -> CampaignStore:
    return CampaignStore(database, "customer-scores")


class Part:
    """A partition whose customers are enrolled, and accept or do not."""

    def __init__(self, store: CampaignStore, partition: int) -> None:
        self.store = store
        self.lease = store.claim([partition], "one", T0)[0].lease
        self.standings = Standings()
        self.at = 0

    def batch(self, *scores: object, until: int | None = None) -> Batch:
        batch = Batch(self.lease, self.at, self.at + 1)
        fold = Fold(self.standings, batch, RULES, T0, self.store.latest, learned=self.store.learned)
        for each in scores:
            fold.take(each, raw(each))  # type: ignore[arg-type]
        if until is not None:
            fold.pass_time(until)
        return batch

    def commit(self, batch: Batch, now: int = T0) -> Batch:
        self.store.commit([batch], now)
        self.at += 1
        return batch

    def enrol(self, crowd: list[str], at: int = T0) -> Batch:
        low = [score(who, 0.1, n, at=at) for n, who in enumerate(crowd)]
        high = [
            score(who, 0.7, 2, at=at + MINUTE, origin=Identity(0, 10**6, n))
            for n, who in enumerate(crowd)
        ]
        return self.commit(self.batch(*low, *high))

    def accept(self, crowd: list[str], at: int) -> None:
        answers = Dealings(
            accepted=1, complaints=1, rating=9.0, last_contact=Touch(at, "sms", "rated")
        )
        self.commit(
            self.batch(
                *(
                    score(who, 0.7, 3, at=at, clv=60.0, origin=Identity(0, 2 * 10**6, n),
                          dealings=answers)
                    for n, who in enumerate(crowd)
                )
            )
        )  # fmt: skip


def treated(batch: Batch) -> dict[str, str]:
    return {each.customer: each.offer for each in batch.decisions if each.outcome == "fired"}


def test_what_partitions_know_adds_up_and_is_numbered(store: CampaignStore) -> None:
    assert store.learned(RULE.name) == UNKNOWN
    parts = [Part(store, 0), Part(store, 1)]
    crowds = [[f"p{part}-{n}" for n in range(60)] for part in (0, 1)]
    got = [treated(part.enrol(crowd)) for part, crowd in zip(parts, crowds, strict=True)]
    for part, crowd in zip(parts, crowds, strict=True):
        part.accept(crowd[::3], T0 + DAY)
    parts[0].commit(parts[0].batch(until=T0 + WINDOW + DAY), T0 + 5)
    one = store.learned(RULE.name)
    assert (one.version, one.at) == (1, T0 + 5)
    parts[1].commit(parts[1].batch(until=T0 + WINDOW + DAY), T0 + 9)
    two = store.learned(RULE.name)
    assert (two.version, two.at) == (2, T0 + 9)
    everybody = {who: offer for each in got for who, offer in each.items()}
    accepted = {who for crowd in crowds for who in crowd[::3]}
    assert two.tallies == {
        "plan=": {
            offer: Tally(
                sum(each == offer for each in everybody.values()),
                sum(each == offer and who in accepted for who, each in everybody.items()),
                0,
            )
            for offer in ("a", "b")
        }
    }
    later = parts[0].enrol(["somebody", "else", "and", "more"], T0 + 20 * DAY)
    assert {each.chosen.version for each in later.decisions if each.chosen} == {2}


def test_all_that_was_numbered_is_found_again(store: CampaignStore, database: Engine) -> None:
    part = Part(store, 0)
    for turn in range(3):
        part.enrol([f"t{turn}-{n}" for n in range(20)], T0 + turn * 30 * DAY)
        part.commit(part.batch(until=T0 + turn * 30 * DAY + WINDOW + DAY), T0 + turn)
    library = offer_library(database)
    assert [each.version for each in library[RULE.name]] == [1, 2, 3]
    assert library[RULE.name][-1] == store.learned(RULE.name)
    assert [each.at for each in library[RULE.name]] == [T0, T0 + 1, T0 + 2]


def test_who_lost_the_partition_teaches_nothing(store: CampaignStore) -> None:
    part = Part(store, 0)
    part.enrol(["anna", "bela", "chris", "dora", "emil"])
    measured = part.batch(until=T0 + WINDOW + DAY)
    assert measured.tallies
    store.claim([0], "two", T0)
    with pytest.raises(LostPartitionError):
        store.commit([measured], T0)
    assert store.learned(RULE.name) == UNKNOWN


def test_the_control_group_of_all_is_a_unit_of_all_and_of_no_campaign(
    store: CampaignStore, database: Engine
) -> None:
    part, crowd = Part(store, 0), [f"c{n}" for n in range(300)]
    batch = part.enrol(crowd)
    alone = {each.customer for each in batch.decisions if each.left_alone}
    assert 50 < len(alone) < 130
    assert all(each.outcome == "held_out" for each in batch.decisions if each.left_alone)
    with database.connect() as connection:
        rows = connection.execute(select(units.c.campaign, units.c.customer, units.c.arm)).all()
    of_all = {who: arm for name, who, arm in rows if name == ALL}
    assert {who for who, arm in of_all.items() if arm == "control"} == alone
    assert set(of_all) == set(crowd)
    assert {who for name, who, _ in rows if name == RULE.name} == set(crowd) - alone
    assert store.standings(part.lease) == part.standings
    part.accept(crowd[:150], T0 + DAY)
    part.commit(part.batch(until=T0 + 3 * WINDOW))
    own, together = reports_on(CampaignQueries(database).unit_sums())
    assert together.campaign == ALL
    assert (together.control.measured, together.treatment.measured) == (
        len(alone), len(crowd) - len(alone),
    )  # fmt: skip
    assert together.cost == own.cost > 0
    assert own.balance.expected_control == pytest.approx(0.2 * (len(crowd) - len(alone)))
    fired = treated(batch)
    spent = sum(0.25 for _ in fired)
    spent += sum({"a": 2.0, "b": 1.0}[fired[who]] for who in crowd[:150] if who in fired)
    assert own.cost == pytest.approx(spent)
    in_time = [who for who in crowd[:150] if who in fired]
    treatment = own.treatment
    assert (treatment.accepted, treatment.complained, treatment.rated, treatment.rating) == (
        len(in_time), len(in_time), len(in_time), 9.0,
    )  # fmt: skip
    assert treatment.clv == pytest.approx(len(in_time) * (60.0 - 48.5))
    assert own.cost_per_acceptance == pytest.approx(spent / len(in_time))
    assert {each.offer: each.treatment.enrolled for each in own.offers} == {
        offer: sum(each == offer for each in fired.values()) for offer in ("a", "b")
    }
    assert sum(each.control.enrolled for each in own.offers) == own.control.enrolled


def test_what_expired_before_it_left_is_a_unit_of_nothing(
    store: CampaignStore, database: Engine
) -> None:
    part = Part(store, 0)
    part.enrol(["anna", "bela"])
    rows = store.waiting([0], 0, 10)
    gone = [Settled(row, expired(row.decision)) for row in rows if row.decision]
    store.settle([part.lease], gone, T0 + DAY)
    with database.connect() as connection:
        assert connection.execute(select(units)).all() == []
    known = store.standings(part.lease)
    assert known.arming("anna", ALL).first_at is None
    assert known.history("anna") == ((), 0)
    part.standings = known
    again = part.enrol(["anna"], T0 + 2 * DAY)
    assert again.units["anna", ALL].at == T0 + 2 * DAY + MINUTE


def test_a_lease_is_what_counts(store: CampaignStore) -> None:
    with pytest.raises(LostPartitionError):
        store.commit([Batch(Lease(0, 9), 0, 1, tallies={("x", "", "a"): Tally(1)})], T0)
    assert store.learned("x") == UNKNOWN
