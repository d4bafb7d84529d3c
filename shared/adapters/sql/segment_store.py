"""Segments in the read model: how many are in each, and what quintiles follow from it."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Engine, func, select

from shared.adapters.sql.bulk import upsert_rows
from shared.adapters.sql.engine import reading
from shared.adapters.sql.tables import boundaries, customers, memberships, positions
from shared.domain.named_segments import Membership
from shared.domain.rfm import Boundaries, Ranked

_ROWS_AT_ONCE: Final = 5_000
_ranked = msgspec.json.Decoder(Ranked)
_boundaries = msgspec.json.Decoder(Boundaries)


class Kept(NamedTuple):
    """Boundaries that scorers were told, and how many customers the read model knew then."""

    boundaries: Boundaries
    known: int


class SegmentStore:
    """Questions about segments, and the boundaries that were told."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def counts(self) -> dict[str, int]:
        """Return how many customers are in each segment, of all kinds."""
        c = customers.c
        query = select(c.segment, c.value_band, func.count()).group_by(c.segment, c.value_band)
        found: dict[str, int] = {}
        with reading(self._engine) as connection:
            for segment, band, count in connection.execute(query):
                for name in (segment, f"value-{band}" if band else ""):
                    if name:
                        found[name] = found.get(name, 0) + count
            m = memberships.c
            members = select(m.segment, func.count()).where(m.member).group_by(m.segment)
            found.update((row[0], row[1]) for row in connection.execute(members))
        return found

    def of(self, customer: str) -> dict[str, Membership]:
        """Return where a customer stands with segments by conditions."""
        m = memberships.c
        columns = [m[each] for each in Membership.__struct_fields__]
        query = select(m.segment, *columns).where(m.customer == customer)
        with reading(self._engine) as connection:
            return {name: Membership(*known) for name, *known in connection.execute(query)}

    def known(self) -> int:
        """Return how many customers the read model knows."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.count()).select_from(customers)).scalar_one()

    def now(self) -> int:
        """Return the time of the base: the latest of all partitions' (epoch ms), 0 before any."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.max(positions.c.at))).scalar() or 0

    def ranked(self) -> list[Ranked]:
        """Return what quintiles ask of every customer's last score."""
        query = select(customers.c.score).execution_options(yield_per=_ROWS_AT_ONCE)
        with reading(self._engine) as connection:
            return [_ranked.decode(score) for (score,) in connection.execute(query)]

    def newest(self) -> Kept | None:
        """Return the boundaries that were told last."""
        b = boundaries.c
        query = select(b.record, b.known).order_by(b.version.desc()).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Kept(_boundaries.decode(row.record), row.known)

    def keep(self, found: Boundaries, known: int) -> None:
        """Remember that scorers were told."""
        record = msgspec.json.encode(found).decode()
        row = {"version": found.version, "known": known, "record": record}
        with self._engine.begin() as connection:
            upsert_rows(connection, boundaries, [row])
