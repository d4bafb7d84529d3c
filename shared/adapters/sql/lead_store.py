"""Leads in the read model: who was heard of before paying anything, and what came of it."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, Engine, select

from shared.adapters.sql.engine import reading
from shared.adapters.sql.tables import customers
from shared.domain.acquisition import Source
from shared.domain.leads import Known, Lead, known_of

_ROWS_AT_ONCE: Final = 5_000
_c = customers.c
_encoder: Final = msgspec.json.Encoder()
_lead: Final = msgspec.json.Decoder(Lead)


class _Score(msgspec.Struct):
    """Of a score: by what the customer came."""

    profile: Source = Source()


_score: Final = msgspec.json.Decoder(_Score)


def encode_lead(lead: Lead | None) -> str | None:
    """Return what is kept of a lead."""
    return None if lead is None else _encoder.encode(lead).decode()


def read_leads(connection: Connection, partition: int) -> dict[str, Lead]:
    """Return the leads of a partition, those who paid meanwhile included."""
    query = select(_c.customer, _c.lead).where(_c.partition == partition, _c.lead.is_not(None))
    return {customer: _lead.decode(text) for customer, text in connection.execute(query)}


class LeadStore:
    """Questions about leads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[Known]:
        """Return who is, or ever was, a lead, in the order of ids."""
        query = select(_c.customer, _c.score, _c.lead).where(_c.lead.is_not(None))
        rows = query.order_by(_c.customer).execution_options(yield_per=_ROWS_AT_ONCE)
        with reading(self._engine) as connection:
            return [
                known_of(who, _score.decode(score).profile.acquisition_source, _lead.decode(lead))
                for who, score, lead in connection.execute(rows)
            ]
