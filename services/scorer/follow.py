"""Follows traced events through a fold: which score belongs to which trace.

Only records that say so are looked at, so a request that nobody follows costs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from shared.adapters.tracing import NO_TRACES, Traces, Work, read_traces
from shared.domain.batch import Record
from shared.domain.emission import Effects
from shared.domain.events import is_array

#: What the work is called in a trace.
_NAME: Final = "score"


class _About(msgspec.Struct):
    subject: str | None = None


_one, _many = msgspec.json.Decoder(_About), msgspec.json.Decoder(list[_About])


def follow(
    records: Sequence[Record], effects: Effects, traces: Traces, since_ns: int
) -> list[Work]:
    """Note in ``effects`` the trace of each score that a traced event of these records caused.

    Returns
    -------
    The work, which is over once the effects are durable.

    """
    if traces is NO_TRACES:
        return []
    parents = {
        (record.offset, customer): parent
        for record in records
        if record.headers
        for customer, parent in _traced(record)
    }
    if not parents:
        return []
    works = []
    for score in effects.scores:
        parent = parents.get((score.origin.offset, score.customer))
        if parent is not None:
            work = traces.begin(_NAME, parent, since_ns)
            works.append(work)
            if work.traceparent is not None:
                effects.traces[score.origin] = work.traceparent
    return works


def _traced(record: Record) -> Iterator[tuple[str, str]]:
    """Yield the customers of a record's traced events, each with its trace."""
    if not (traced := read_traces(record.headers)):
        return
    customers = _customers(record.value or b"")
    for part in traced:
        for customer in customers[part.first : part.first + part.events]:
            if customer is not None:
                yield customer, part.traceparent


def _customers(value: bytes) -> list[str | None]:
    try:
        events = _many.decode(value) if is_array(value) else [_one.decode(value)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []  # the fold makes a dead letter of it
    return [event.subject for event in events]
