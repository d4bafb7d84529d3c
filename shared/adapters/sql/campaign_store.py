"""What the campaigner writes: all that a batch changes in one transaction, fenced by leases.

A partition belongs to who claimed it last. Each transaction first moves the partition's position,
on condition that epoch and offset are still its own: whoever was paused, and lost the partition
meanwhile, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    bindparam,
    delete,
    func,
    select,
    update,
)

from shared.adapters.sql.bulk import Row, insert_rows, upsert_rows
from shared.adapters.sql.engine import reading
from shared.adapters.sql.tables import (
    armings,
    campaign_versions,
    customers,
    decisions,
    outbox,
    positions,
)
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import (
    Batch,
    Claimed,
    Enrolment,
    Lease,
    LostPartitionError,
    Seen,
    Settled,
    Standings,
    Waiting,
)
from shared.domain.campaigns import Arming
from shared.domain.outputs import Identity, Score

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

    """

    def __init__(
        self, engine: Engine, topic: str, *, hook: Callable[[str], None] = lambda _: None
    ) -> None:
        self._engine = engine
        self._topic = topic
        self._hook = hook

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
            return Standings(
                _seen(connection, lease.partition), _armings(connection, lease.partition)
            )

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
            upsert_rows(connection, customers, [row for each in batches for row in _profiles(each)])
            upsert_rows(connection, armings, [row for each in batches for row in _standing(each)])
            insert_rows(
                connection, decisions, [row for each in batches for row in _decisions(each)]
            )
            insert_rows(connection, outbox, [row for each in batches for row in _outbox(each, now)])
            self._hook("written")

    def waiting(self, partitions: Sequence[int], after: int, limit: int) -> list[Waiting]:
        """Return rows of the outbox with numbers over ``after``, the oldest first."""
        columns = (outbox.c.seq, outbox.c.partition, outbox.c.created_at)
        query = (
            select(*columns, decisions.c.record, outbox.c.letter)
            .outerjoin(decisions, decisions.c.id == outbox.c.decision)
            .where(outbox.c.partition.in_(partitions), outbox.c.seq > after)
            .order_by(outbox.c.seq)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [Waiting(*row[:3], _decoded(row.record), row.letter) for row in rows]

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
            _expire(connection, changed)
            _release(connection, [Enrolment.of(each) for each in changed])
            for rows in _chunks(settled):
                ids = [each.row.decision.id for each in rows if each.row.decision]
                final = update(decisions).where(decisions.c.id.in_(ids)).values(settled_at=now)
                connection.execute(final)
                sequence = outbox.c.seq.in_([each.row.seq for each in rows])
                connection.execute(delete(outbox).where(sequence))
            self._hook("settled")

    def backlog(self, partitions: Sequence[int]) -> tuple[int, int | None]:
        """Return how many rows of the outbox wait, and since when (epoch ms) the oldest does."""
        query = select(func.count(), func.min(outbox.c.created_at)).where(
            outbox.c.partition.in_(partitions)
        )
        with reading(self._engine) as connection:
            count, oldest = connection.execute(query).one()
        return count, oldest

    def keep_versions(self, documents: dict[tuple[str, str], str], now: int) -> None:
        """Remember versions of campaigns by (name, version); known ones stay as they are."""
        rows = [
            {"campaign": name, "version": version, "document": document, "loaded_at": now}
            for (name, version), document in documents.items()
        ]
        with self._engine.begin() as connection:
            upsert_rows(connection, campaign_versions, rows, replace=False)

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


def _all(rows: Iterable[Iterable[Row]]) -> list[Row]:
    return list(chain.from_iterable(rows))


def _profiles(batch: Batch) -> Iterable[Row]:
    for score, raw in batch.profiles.values():
        yield _profile(batch.lease.partition, score, raw)


def _profile(partition: int, score: Score, raw: str) -> Row:
    return {
        "customer": score.customer,
        "partition": partition,
        "stage": score.stage,
        "risk": score.risk,
        "at": score.at,
        "origin_partition": score.origin.partition,
        "origin_offset": score.origin.offset,
        "origin_ordinal": score.origin.ordinal,
        "score": raw,
    }


def _standing(batch: Batch) -> Iterable[Row]:
    for (customer, campaign), arming in batch.armings.items():
        whose = {"customer": customer, "campaign": campaign, "partition": batch.lease.partition}
        yield whose | msgspec.structs.asdict(arming)


def _decisions(batch: Batch) -> Iterable[Row]:
    for decision in batch.decisions:
        yield {
            "id": decision.id,
            "customer": decision.customer,
            "campaign": decision.campaign,
            "outcome": decision.outcome,
            "at": decision.at,
            "record": _encoded(decision),
        }


def _outbox(batch: Batch, now: int) -> Iterable[Row]:
    row = {"partition": batch.lease.partition, "created_at": now}
    for decision in batch.decisions:
        yield {**row, "decision": decision.id, "letter": None}
    for letter in batch.letters:
        yield {**row, "decision": None, "letter": msgspec.json.encode(letter).decode()}


def _expire(connection: Connection, changed: list[Decision]) -> None:
    if not changed:
        return
    change = (
        update(decisions)
        .where(decisions.c.id == bindparam("whose"), decisions.c.settled_at.is_(None))
        .values(outcome="expired", record=bindparam("now"))
    )
    rows = [{"whose": each.id, "now": _encoded(each)} for each in changed]
    connection.execute(change, rows)


def _release(connection: Connection, enrolments: list[Enrolment]) -> None:
    """Take back cool-downs; the owner of the partition does the same in memory."""
    if not enrolments:
        return
    change = (
        update(armings)
        .where(armings.c.customer == bindparam("who"), armings.c.campaign == bindparam("what"))
        .where(armings.c.enrolled_at == bindparam("when"))
        .values(enrolled_at=None)
    )
    rows = [dict(zip(("who", "what", "when"), each, strict=True)) for each in enrolments]
    connection.execute(change, rows)


def _seen(connection: Connection, partition: int) -> dict[str, Seen]:
    c = customers.c
    query = select(
        c.customer, c.risk, c.stage, c.at, c.origin_partition, c.origin_offset, c.origin_ordinal
    ).where(c.partition == partition)
    return {
        customer: Seen(risk, stage, at, Identity(*origin))
        for customer, risk, stage, at, *origin in connection.execute(query)
    }


def _armings(connection: Connection, partition: int) -> dict[str, dict[str, Arming]]:
    c = armings.c
    query = select(c.customer, c.campaign, c.number, c.armed, c.enrolled_at)
    found: dict[str, dict[str, Arming]] = {}
    for customer, campaign, *arming in connection.execute(query.where(c.partition == partition)):
        found.setdefault(customer, {})[campaign] = Arming(*arming)
    return found


def _chunks(settled: Sequence[Settled]) -> Iterable[Sequence[Settled]]:
    for start in range(0, len(settled), _CHUNK):
        yield settled[start : start + _CHUNK]


def _encoded(decision: Decision) -> str:
    return msgspec.json.encode(decision).decode()


def _decoded(record: str | None) -> Decision | None:
    return None if record is None else _decision.decode(record)
