"""What people decide, and what contacts use up, in either database."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier

import msgspec
import pytest
from sqlalchemy import Engine, delete, select, update
from sqlalchemy.exc import DBAPIError

from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.control_store import ControlStore, RefusedError
from shared.adapters.sql.tables import audit, budgets, campaign_versions
from shared.domain.budgets import CHANNEL, MILLIONTHS, Allowance, Due
from shared.domain.campaign_state import Batch, Lease
from shared.domain.controls import ALL, Controls, Hold
from tests.campaign_builders import DAY, MINUTE, T0

ONE = MILLIONTHS
DAILY = Allowance("all", "day", 100 * ONE)


@pytest.fixture
def controls(database: Engine) -> ControlStore:
    ticks = count(T0)
    return ControlStore(database, lambda: next(ticks))


@pytest.fixture
def store(database: Engine) -> CampaignStore:
    return CampaignStore(database, "customer-scores")


def spend(store: CampaignStore, lease: Lease, offset: int, amount: int, due_at: int = T0) -> None:
    period = DAILY.period(due_at, "UTC")
    batch = Batch(lease, offset, offset + 1, spent={("all", period): amount})
    store.commit([batch], T0)


def test_a_partition_is_lent_a_part_and_more_when_it_needs_it(store: CampaignStore) -> None:
    due = DAILY.due(ONE, T0, "UTC")
    assert store.lend(Lease(0, 1), due, ONE) == 100 * ONE // 8
    assert store.lend(Lease(0, 1), due, ONE) == 100 * ONE // 8
    assert store.lend(Lease(0, 1), due, 60 * ONE) == 60 * ONE
    assert store.lend(Lease(1, 1), due, ONE) == 5 * ONE
    assert store.lend(Lease(1, 1), due, 41 * ONE) == 5 * ONE  # there are 35 left: not enough
    assert store.lend(Lease(1, 1), due, 40 * ONE) == 40 * ONE


def test_what_is_spent_is_spent_with_the_decision(store: CampaignStore) -> None:
    (claimed, *_) = store.claim([0], "one", T0)
    due = DAILY.due(ONE, T0, "UTC")
    store.lend(claimed.lease, due, 100 * ONE)
    spend(store, claimed.lease, 0, 30 * ONE)
    assert store.lend(claimed.lease, due, ONE) == 70 * ONE
    (successor, *_) = store.claim([0], "two", T0)  # after a crash: nothing is lost or twice there
    assert store.lend(successor.lease, due, ONE) == 70 * ONE
    tomorrow = DAILY.due(ONE, T0 + 24 * 60 * MINUTE, "UTC")
    assert store.lend(successor.lease, tomorrow, 100 * ONE) == 100 * ONE


def test_a_lowered_budget_takes_back_what_is_not_spent(store: CampaignStore) -> None:
    leases = [each.lease for each in store.claim([0, 1], "one", T0)]
    due = DAILY.due(ONE, T0, "UTC")
    for lease, part in zip(leases, (60, 40), strict=True):
        assert store.lend(lease, due, part * ONE) == part * ONE
    spend(store, leases[0], 0, 30 * ONE)
    spend(store, leases[1], 0, 10 * ONE)
    lowered = DAILY._replace(most=50 * ONE).due(ONE, T0, "UTC")
    assert store.lend(leases[0], lowered, ONE) == 0  # the other still has more than there is
    assert store.lend(leases[1], lowered, 10 * ONE) == 10 * ONE
    assert store.lend(leases[0], lowered, ONE) == 0


def test_many_ask_at_once_and_no_more_is_lent_than_there_is(store: CampaignStore) -> None:
    """There is enough for one of them, in each of the periods."""
    for day in range(5):
        due, together = DAILY.due(ONE, T0 + day * DAY, "UTC"), Barrier(8)

        def ask(part: int, due: Due = due, together: Barrier = together) -> int:
            together.wait()
            return store.lend(Lease(part, 1), due, 60 * ONE)

        with ThreadPoolExecutor(8) as threads:
            lent = list(threads.map(ask, range(8)))
        assert sorted(lent)[-2:] == [0, 60 * ONE]


def test_minutes_that_are_over_leave_nothing_behind(store: CampaignStore, database: Engine) -> None:
    rate = Allowance(f"{CHANNEL}sms", "minute", 10 * ONE)
    for minute in range(3):
        store.lend(Lease(0, 1), rate.due(ONE, T0 + minute * MINUTE, "UTC"), ONE)
    with database.connect() as connection:
        (row,) = connection.execute(select(budgets)).all()
    assert row.period == rate.period(T0 + 2 * MINUTE, "UTC")


def test_holds_are_seen_until_they_are_resumed(controls: ControlStore) -> None:
    assert controls.controls() == Controls()
    controls.hold("early-warning", "olga", "wrong offer")
    controls.hold(ALL, "omar", "")
    held = controls.controls()
    assert held.holds == {
        "early-warning": Hold("olga", T0, "wrong offer"), ALL: Hold("omar", T0 + 2, ""),
    }  # fmt: skip
    assert held.why_held("win-back") == "all campaigns are stopped by omar"
    controls.resume(ALL, "ada", "")
    assert controls.controls().why_held("win-back") is None
    assert controls.controls().why_held("early-warning") == (
        "the campaign is paused by olga: wrong offer"
    )
    with pytest.raises(RefusedError, match="Nothing to resume"):
        controls.resume(ALL, "ada", "")


def test_nobody_approves_their_own_version(controls: ControlStore) -> None:
    controls.keep_versions({("early-warning", "v1"): "{}"}, "{}", "anna")
    with pytest.raises(RefusedError, match="another person"):
        controls.approve("early-warning", "v1", "anna")
    assert controls.controls().approved == frozenset()
    controls.approve("early-warning", "v1", "bert")
    assert controls.controls().approved == {("early-warning", "v1")}


def test_the_suppression_list(controls: ControlStore) -> None:
    assert controls.suppress(["zoe", "anna", "anna"], "olga", "complaint") == 2
    assert controls.suppress(["anna", "bela"], "omar", "again") == 1
    assert controls.controls().suppressed == {"anna", "bela", "zoe"}
    assert [(each.customer, each.by, each.reason) for each in controls.suppressed()] == [
        ("anna", "olga", "complaint"), ("bela", "omar", "again"), ("zoe", "olga", "complaint"),
    ]  # fmt: skip
    assert [each.customer for each in controls.suppressed("anna", 1)] == ["bela"]
    assert controls.unsuppress(["zoe", "nobody"], "ada", "settled") == 1
    assert controls.controls().suppressed == {"anna", "bela"}


def test_every_change_is_logged_and_no_entry_can_be_changed(
    controls: ControlStore, database: Engine
) -> None:
    controls.hold("early-warning", "olga", "wrong offer")
    controls.resume("early-warning", "omar", "mended")
    controls.suppress(["anna"], "olga", "complaint")
    controls.suppress(["anna"], "olga", "she was there already")
    controls.unsuppress(["anna"], "ada", "")
    newest = controls.changes()
    assert [(each.by, each.action, each.subject) for each in newest] == [
        ("ada", "unsuppress", "1 customers"),
        ("olga", "suppress", "1 customers"),
        ("omar", "resume", "early-warning"),
        ("olga", "pause", "early-warning"),
    ]
    assert newest[3].detail == {"reason": "wrong offer"}
    assert newest[1].detail["customers"] == newest[0].detail["customers"]
    assert "anna" not in str(newest[1].detail)
    assert controls.changes(before=newest[2].seq, limit=5) == newest[3:]
    for change in (update(audit).values(by="nobody"), delete(audit)):
        with pytest.raises(DBAPIError, match="only added to"), database.begin() as connection:
            connection.execute(change)
    assert controls.changes() == newest


def document(**fields: object) -> str:
    return msgspec.json.encode(fields).decode()


def test_what_a_file_changed_is_logged_once(controls: ControlStore, database: Engine) -> None:
    first = {
        ("early-warning", "v1"): document(version="v1", offer="ten", control=0.1),
        ("win-back", "w1"): document(version="w1", offer="call"),
    }
    second = {
        ("early-warning", "v2"): document(version="v2", offer="twenty", control=0.1),
        ("welcome", "x1"): document(version="x1", offer="hello"),
    }
    controls.keep_versions(first, document(per_day=None), "anna")
    another = ControlStore(database, lambda: T0)
    another.keep_versions(first, document(per_day=None), "anna")  # a restart
    controls.keep_versions(second, document(per_day=1), None)
    controls.keep_versions(first, document(per_day=1), "anna")
    back, changed, loaded = controls.changes()
    assert (loaded.by, changed.by) == ("anna", "file")
    assert loaded.detail["changed"] == {"early-warning": "added", "win-back": "added"}
    assert changed.detail["changed"] == {
        "early-warning": {"offer": ["ten", "twenty"]},
        "welcome": "added",
        "win-back": "taken out",
        "guard_rails": {"per_day": [None, 1]},
    }
    assert back.detail["changed"]["early-warning"] == {"offer": ["twenty", "ten"]}
    assert "guard_rails" not in back.detail["changed"]
    c = campaign_versions.c
    with database.connect() as connection:
        rows = connection.execute(select(c.version, c.author).order_by(c.version)).all()
    assert [tuple(row) for row in rows] == [
        ("v1", "anna"), ("v2", None), ("w1", "anna"), ("x1", None),
    ]  # fmt: skip
