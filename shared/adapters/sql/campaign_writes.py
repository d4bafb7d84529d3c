"""How a batch of the campaigner's becomes rows; `campaign_store` says in which transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec
from sqlalchemy import Connection, bindparam, delete, update

from shared.adapters.sql.base_store import book, encode_booked
from shared.adapters.sql.budget_store import take
from shared.adapters.sql.bulk import Row, insert_rows, update_rows, upsert_rows
from shared.adapters.sql.lead_store import encode_lead
from shared.adapters.sql.offer_store import learn
from shared.adapters.sql.product_store import encode_held
from shared.adapters.sql.tables import (
    armings,
    customers,
    decisions,
    memberships,
    outbox,
    sweeps,
    units,
)
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch
from shared.domain.controls import ALL
from shared.domain.outputs import Score
from shared.domain.standings import Enrolment
from shared.domain.units import Achieved


def write(connection: Connection, batches: Sequence[Batch], now: int) -> None:
    """Write all that batches add, but for their positions; ``now`` is the wall clock, epoch ms."""
    upsert_rows(connection, customers, _all(map(_profiles, batches)))
    upsert_rows(connection, armings, _all(map(_standing, batches)))
    upsert_rows(connection, memberships, _all(map(_memberships, batches)))
    upsert_rows(connection, sweeps, _all(map(_swept, batches)))
    insert_rows(connection, decisions, _all(map(_decisions, batches)))
    _revise(connection, [each for batch in batches for each in batch.revised])
    _withdraw(connection, [gone for each in batches for gone in each.released])
    insert_rows(connection, units, _all(map(_enrolled, batches)))
    update_rows(connection, units, _all(map(_achieved, batches)))
    learn(connection, batches, now)
    book(connection, batches)
    take(connection, batches)
    insert_rows(connection, outbox, _all(_outbox(each, now) for each in batches))


def _all(rows: Iterable[Iterable[Row]]) -> list[Row]:
    return list(chain.from_iterable(rows))


def _profiles(batch: Batch) -> Iterable[Row]:
    for score, raw in batch.profiles.values():
        yield _profile(batch, score, raw)


def _profile(batch: Batch, score: Score, raw: str) -> Row:
    return {
        "customer": score.customer,
        "partition": batch.lease.partition,
        "stage": score.stage,
        "risk": score.risk,
        "at": score.at,
        "origin_partition": score.origin.partition,
        "origin_offset": score.origin.offset,
        "origin_ordinal": score.origin.ordinal,
        "score": raw,
        "clv": score.clv,
        "booked": encode_booked(batch.booked[score.customer]),
        "held": encode_held(batch.held.get(score.customer)),
        "lead": encode_lead(batch.leads.get(score.customer)),
        "segment": score.segment,
        "value_band": score.value_band,
    }


def _standing(batch: Batch) -> Iterable[Row]:
    for (customer, campaign), arming in batch.armings.items():
        whose = {"customer": customer, "campaign": campaign, "partition": batch.lease.partition}
        yield whose | msgspec.structs.asdict(arming)


def _memberships(batch: Batch) -> Iterable[Row]:
    for (customer, segment), membership in batch.memberships.items():
        whose = {"customer": customer, "segment": segment, "partition": batch.lease.partition}
        yield whose | msgspec.structs.asdict(membership)


def _swept(batch: Batch) -> Iterable[Row]:
    if batch.swept is not None:
        yield {"partition": batch.lease.partition, **msgspec.structs.asdict(batch.swept)}


def _enrolled(batch: Batch) -> Iterable[Row]:
    for unit in batch.units.values():
        yield {"partition": batch.lease.partition, **msgspec.structs.asdict(unit)}


def _achieved(batch: Batch) -> Iterable[Row]:
    for (customer, campaign), found in batch.outcomes.items():
        yield {"campaign": campaign, "customer": customer, **_gains(found)}


def _gains(found: Achieved) -> Row:
    return {
        "retained": found.retained,
        "revenue_gained": found.revenue,
        "margin_gained": found.margin,
        "opted_out": found.opted_out,
        "clv_gained": found.clv,
        "has_accepted": found.accepted,
        "has_complained": found.complained,
        "rating": found.rating,
    }


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
    row = dict.fromkeys(("decision", "letter", "customer", "change"))
    row |= {"partition": batch.lease.partition, "created_at": now}
    for decision in (*batch.decisions, *batch.revised):
        if decision.outcome != "deferred":  # that is not for the world yet
            yield {**row, "decision": decision.id}
    for letter in batch.letters:
        yield {**row, "letter": msgspec.json.encode(letter).decode()}
    for change in batch.changes:
        told = msgspec.json.encode(change).decode()
        yield {**row, "customer": change.customer, "change": told}


def _revise(connection: Connection, changed: list[Decision]) -> None:
    """Replace decisions that had been deferred by what they are now."""
    if not changed:
        return
    change = (
        update(decisions)
        .where(decisions.c.id == bindparam("whose"), decisions.c.outcome == "deferred")
        .values(outcome=bindparam("what"), at=bindparam("when"), record=bindparam("now"))
    )
    rows = [
        {"whose": each.id, "what": each.outcome, "when": each.at, "now": _encoded(each)}
        for each in changed
    ]
    connection.execute(change, rows)


def expire(connection: Connection, changed: list[Decision]) -> None:
    """Let decisions be expired, that were not final yet."""
    if not changed:
        return
    change = (
        update(decisions)
        .where(decisions.c.id == bindparam("whose"), decisions.c.settled_at.is_(None))
        .values(outcome="expired", record=bindparam("now"))
    )
    rows = [{"whose": each.id, "now": _encoded(each)} for each in changed]
    connection.execute(change, rows)


def release(connection: Connection, enrolments: list[Enrolment]) -> None:
    """Take back cool-downs and units; the owner of the partition does the same in memory."""
    if not enrolments:
        return
    # Of all campaigns together as well; what counts those is never more than first.
    enrolments = [*enrolments, *(each._replace(campaign=ALL) for each in enrolments)]
    rows = _named(enrolments)
    for moment in (armings.c.enrolled_at, armings.c.first_at):
        change = (
            update(armings)
            .where(armings.c.customer == bindparam("who"), armings.c.campaign == bindparam("what"))
            .where(moment == bindparam("when"))
            .values({moment: None})
        )
        connection.execute(change, rows)
    fewer = (
        update(armings)
        .where(armings.c.customer == bindparam("who"), armings.c.campaign == bindparam("what"))
        .where(armings.c.enrolments > 0)
        .values(enrolments=armings.c.enrolments - 1)
    )
    connection.execute(fewer, [{"who": who, "what": what} for who, what, _ in enrolments])
    _withdraw(connection, enrolments)


def _withdraw(connection: Connection, enrolments: list[Enrolment]) -> None:
    """Take back the units that enrolments made."""
    if not enrolments:
        return
    gone = (
        delete(units)
        .where(units.c.customer == bindparam("who"), units.c.campaign == bindparam("what"))
        .where(units.c.at == bindparam("when"))
    )
    connection.execute(gone, _named(enrolments))


def _named(enrolments: list[Enrolment]) -> list[Row]:
    return [dict(zip(("who", "what", "when"), each, strict=True)) for each in enrolments]


def _encoded(decision: Decision) -> str:
    return msgspec.json.encode(decision).decode()
