"""What the campaigner writes: all that a batch changes in one transaction, fenced by leases.

A partition belongs to who claimed it last. Each transaction first moves the partition's position,
on condition that epoch and offset are still its own: whoever was paused, and lost the partition
meanwhile, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, delete, func, select, update

from shared.adapters.sql.budget_store import give_back, lend
from shared.adapters.sql.bulk import upsert_rows
from shared.adapters.sql.campaign_reads import read_page, read_score, read_standings
from shared.adapters.sql.campaign_writes import expire, release, write
from shared.adapters.sql.engine import reading
from shared.adapters.sql.erasure_store import forget, forget_all
from shared.adapters.sql.offer_store import last_known
from shared.adapters.sql.tables import decisions, outbox, positions
from shared.domain.budgets import Due
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import (
    Batch,
    Claimed,
    Lease,
    LostPartitionError,
    Settled,
    Waiting,
)
from shared.domain.offers import Learned
from shared.domain.outputs import Score
from shared.domain.standings import Enrolment, Standings

_CHUNK = 1_000  # values in one IN list
_decision = msgspec.json.Decoder(Decision)


class CampaignStore:
    """The campaigner's side of the database.

    Parameters
    ----------
    engine
        An open database.
    topic
        Name of the topic whose positions are kept.
    hook
        Called with a name at places where a crash is interesting; for tests.
    deliver
        Called in the transaction that makes outcomes final, for whoever else is to hear of them.

    """

    def __init__(
        self,
        engine: Engine,
        topic: str,
        *,
        hook: Callable[[str], None] = lambda _: None,
        deliver: Callable[[Connection, Sequence[Settled], int], None] = lambda *_: None,
    ) -> None:
        self._engine = engine
        self._topic = topic
        self._hook = hook
        self._deliver = deliver

    def claim(self, partitions: Sequence[int], owner: str, now: int) -> list[Claimed]:
        """Become the owner of partitions: who owned them before can write no more.

        Parameters
        ----------
        partitions
            Any number; unknown ones start at offset 0.
        owner
            Name of this campaigner, for people.
        now
            Wall clock, epoch milliseconds.

        """
        fresh = {"topic": self._topic, "epoch": 0, "next_offset": 0}
        fresh |= {"owner": owner, "claimed_at": now}
        claim = (
            update(positions)
            .where(self._mine(), positions.c.partition.in_(partitions))
            .values(epoch=positions.c.epoch + 1, owner=owner, claimed_at=now)
            .returning(
                positions.c.partition, positions.c.epoch, positions.c.next_offset, positions.c.at
            )
        )
        rows = [{**fresh, "partition": each} for each in partitions]
        with self._engine.begin() as connection:
            upsert_rows(connection, positions, rows, replace=False)
            claimed = connection.execute(claim).all()
        return sorted(Claimed(Lease(*row[:2]), *row[2:]) for row in claimed)

    def standings(self, lease: Lease) -> Standings:
        """Read the customers of a claimed partition; nobody else can change them now."""
        with reading(self._engine) as connection:
            return read_standings(connection, self._topic, lease.partition)

    def forget(self, is_erased: Callable[[str], bool]) -> int:
        """Forget everybody of whom ``is_erased`` is true; return how many there were."""
        with self._engine.begin() as connection:
            return forget_all(connection, is_erased)

    def latest(self, customer: str) -> Score:
        """Return a known customer's last score."""
        with reading(self._engine) as connection:
            return read_score(connection, customer)

    def page(self, partition: int, after: str, limit: int) -> list[Score]:
        """Return last scores of a partition's customers behind one, in the order of ids."""
        with reading(self._engine) as connection:
            return read_page(connection, partition, after, limit)

    def learned(self, campaign: str) -> Learned:
        """Return what is known of a campaign's offers."""
        with reading(self._engine) as connection:
            return last_known(connection, campaign)

    def lend(self, lease: Lease, due: Due, needed: int) -> int:
        """Return what a partition has left of an allowance, lent more where that is too little."""
        with self._engine.begin() as connection:
            left = lend(connection, lease.partition, due, needed)
        self._hook("lent")
        return left

    def commit(self, batches: Sequence[Batch], now: int) -> None:
        """Write batches of distinct partitions, all or none.

        Raises
        ------
        LostPartitionError
            A partition has another owner, or stands elsewhere.

        """
        with self._engine.begin() as connection:
            for batch in sorted(batches, key=lambda each: each.lease):
                self._advance(connection, batch)
            self._hook("advanced")
            write(connection, batches, now)
            forget(connection, [gone for each in batches for gone in each.erased])
            self._hook("written")

    def waiting(self, partitions: Sequence[int], after: int, limit: int) -> list[Waiting]:
        """Return rows of the outbox with numbers over ``after``, the oldest first."""
        columns = (outbox.c.seq, outbox.c.partition, outbox.c.created_at)
        query = (
            select(*columns, decisions.c.record, outbox.c.letter, outbox.c.change)
            .outerjoin(decisions, decisions.c.id == outbox.c.decision)
            .where(outbox.c.partition.in_(partitions), outbox.c.seq > after)
            .order_by(outbox.c.seq)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [Waiting(*row[:3], _decoded(row.record), row.letter, row.change) for row in rows]

    def settle(self, leases: Iterable[Lease], settled: Sequence[Settled], now: int) -> None:
        """Take rows out of the outbox: their outcomes are final from now on.

        Raises
        ------
        LostPartitionError
            A partition has another owner, who will settle its rows.

        """
        changed = [each.expired for each in settled if each.expired is not None]
        with self._engine.begin() as connection:
            self._hold(connection, leases)
            expire(connection, changed)
            release(connection, [Enrolment.of(each) for each in changed])
            give_back(
                connection, [(each.row.partition, each.expired) for each in settled if each.expired]
            )
            for rows in _chunks(settled):
                ids = [each.row.decision.id for each in rows if each.row.decision]
                final = update(decisions).where(decisions.c.id.in_(ids)).values(settled_at=now)
                connection.execute(final)
                sequence = outbox.c.seq.in_([each.row.seq for each in rows])
                connection.execute(delete(outbox).where(sequence))
            self._deliver(connection, settled, now)
            self._hook("settled")

    def backlog(self, partitions: Sequence[int]) -> tuple[int, int | None]:
        """Return how many rows of the outbox wait, and since when (epoch ms) the oldest does."""
        query = select(func.count(), func.min(outbox.c.created_at)).where(
            outbox.c.partition.in_(partitions)
        )
        with reading(self._engine) as connection:
            count, oldest = connection.execute(query).one()
        return count, oldest

    def _mine(self) -> ColumnElement[bool]:
        return positions.c.topic == self._topic

    def _advance(self, connection: Connection, batch: Batch) -> None:
        """Move the partition's position: the fence of the transaction."""
        lease = batch.lease
        move = (
            update(positions)
            .where(self._mine(), positions.c.partition == lease.partition)
            .where(positions.c.epoch == lease.epoch, positions.c.next_offset == batch.start)
            .values(next_offset=batch.end)
        )
        if batch.at is not None:
            move = move.values(at=batch.at)
        if connection.execute(move).rowcount != 1:
            raise _lost(lease)

    def _hold(self, connection: Connection, leases: Iterable[Lease]) -> None:
        """Keep others from claiming the partitions until the transaction ends."""
        wanted = sorted(set(leases))
        query = (
            select(positions.c.partition, positions.c.epoch)
            .where(self._mine(), positions.c.partition.in_([each.partition for each in wanted]))
            .with_for_update(read=True)
        )
        held = {Lease(*row) for row in connection.execute(query)}
        for lease in wanted:
            if lease not in held:
                raise _lost(lease)


def _lost(lease: Lease) -> LostPartitionError:
    return LostPartitionError(
        f"Partition {lease.partition} is not ours any more (epoch {lease.epoch} is over)"
    )


def _chunks(settled: Sequence[Settled]) -> Iterable[Sequence[Settled]]:
    for start in range(0, len(settled), _CHUNK):
        yield settled[start : start + _CHUNK]


def _decoded(record: str | None) -> Decision | None:
    return None if record is None else _decision.decode(record)
