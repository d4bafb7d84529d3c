"""What is known of offers: counted by partition, and numbered as decisions read it.

A partition counts in rows of its own, in the transaction that measures its units, so no two wait
for each other. Whoever has counted then looks at what all partitions know, as far as that is
committed, and numbers it where it is news. Of two that do so at once one number is kept: what the
other knew is in the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine, func, select

from shared.adapters.sql.bulk import upsert_rows
from shared.adapters.sql.engine import reading
from shared.adapters.sql.tables import offer_states, offer_tallies
from shared.domain.campaign_state import Batch
from shared.domain.offers import UNKNOWN, Learned, Tally, nested

_t, _s = offer_tallies.c, offer_states.c
_tallies: Final = msgspec.json.Decoder(dict[str, dict[str, Tally]])


def learn(connection: Connection, batches: Sequence[Batch], now: int) -> None:
    """Add what batches tell of offers, and number what is known then."""
    for batch in batches:
        _count(connection, batch)
    for campaign in sorted({key[0] for each in batches for key in each.tallies}):
        _number(connection, campaign, now)


def last_known(connection: Connection, campaign: str) -> Learned:
    """Return what was numbered last."""
    query = select(_s.version, _s.at, _s.tallies).where(_s.campaign == campaign)
    row = connection.execute(query.order_by(_s.version.desc()).limit(1)).one_or_none()
    return UNKNOWN if row is None else Learned(row.version, row.at, _tallies.decode(row.tallies))


def offer_library(engine: Engine) -> dict[str, list[Learned]]:
    """Return all that was ever numbered, by campaign, ascending."""
    query = select(_s.campaign, _s.version, _s.at, _s.tallies).order_by(_s.campaign, _s.version)
    found: dict[str, list[Learned]] = defaultdict(list)
    with reading(engine) as connection:
        for campaign, version, at, tallies in connection.execute(query):
            found[campaign].append(Learned(version, at, _tallies.decode(tallies)))
    return found


def _count(connection: Connection, batch: Batch) -> None:
    if not batch.tallies:
        return
    names, partition = {key[0] for key in batch.tallies}, batch.lease.partition
    columns = (_t.campaign, _t.context, _t.offer, _t.n, _t.accepted, _t.retained)
    query = select(*columns).where(_t.campaign.in_(names), _t.partition == partition)
    stored = {tuple(row[:3]): Tally(*row[3:]) for row in connection.execute(query)}
    rows = [
        {
            **dict(zip(("campaign", "context", "offer"), key, strict=True)),
            "partition": partition,
            **stored.get(key, Tally()).plus(tally)._asdict(),
        }
        for key, tally in sorted(batch.tallies.items())
    ]
    upsert_rows(connection, offer_tallies, rows)


def _number(connection: Connection, campaign: str, now: int) -> None:
    sums = (func.sum(_t.n), func.sum(_t.accepted), func.sum(_t.retained))
    query = select(_t.context, _t.offer, *sums).where(_t.campaign == campaign)
    rows = connection.execute(query.group_by(_t.context, _t.offer))
    known = nested((row[0], row[1], Tally(*map(int, row[2:]))) for row in rows)
    last = last_known(connection, campaign)
    fresh = Learned(last.version + 1, now, known)
    if fresh.is_news_after(last):
        text = msgspec.json.encode(known).decode()
        row = {"campaign": campaign, "version": fresh.version, "at": now, "tallies": text}
        upsert_rows(connection, offer_states, [row], replace=False)
