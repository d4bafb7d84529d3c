"""`tenure bench state` measures what it says: every customer waits with all its snapshots."""

import time

from services.scorer.bench.state import filled
from services.scorer.bench.workload import Workload
from shared.domain.customer import PENDING
from shared.domain.policy import DAY_MS


def test_every_customer_has_all_the_snapshots_that_a_row_holds() -> None:
    start = time.time() - 30 * DAY_MS / 1000
    values = [value for _, value in Workload(200, 1, record_events=50).warm_up(start)]
    partition = filled(0, lambda _: 0, values)
    assert len(partition.table) == 200
    assert set(partition.table.rows["pending"][:200].tolist()) == {PENDING}
