"""The benchmark measures what it says: every score folded, every crossing decided and recorded."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select

from services.campaigner.bench.throughput import UsedDatabaseError, decide, weigh, weigh_each_kind
from shared.adapters.sql.tables import decisions, outbox


def test_every_score_change_is_weighed() -> None:
    measured = weigh(changes=2_000, customers=1_000)
    assert measured.count == 2_000
    assert measured.name == "score changes, ten campaigns, 10 crossed"
    assert measured.a_second == measured.count / measured.seconds


def test_each_kind_of_trigger_is_weighed() -> None:
    measured = weigh_each_kind(changes=1_000, customers=500)
    assert (measured.count, measured.name) == (1_000, "score changes, ten kinds of triggers")


def test_every_decision_is_recorded_with_its_outbox_row(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bench.db'}"
    assert decide(url, decisions=500).count == 500
    engine = create_engine(url)
    with engine.connect() as connection:
        for table in (decisions, outbox):
            assert connection.execute(select(func.count()).select_from(table)).scalar() == 500
    engine.dispose()
    with pytest.raises(UsedDatabaseError, match="name an empty one"):
        decide(url, decisions=500)
