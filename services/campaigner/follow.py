"""Follows traced scores through a batch: which decision belongs to which trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from services.campaigner.ports import Record
from shared.adapters.tracing import NO_TRACES, TRACEPARENT, Traces, Work
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch
from shared.domain.outputs import Identity

#: What the work is called in a trace.
_NAME: Final = "decide"


class _Caused(Struct):
    origin: Identity


_decode = msgspec.json.Decoder(_Caused).decode


def follow(batch: Batch, records: Sequence[Record], traces: Traces, since_ns: int) -> list[Work]:
    """Note in each decision that a traced score of these records caused which trace it is part of.

    Returns
    -------
    The work, which is over once the batch is committed.

    """
    if traces is NO_TRACES or not batch.decisions:
        return []
    parents = dict(_traced(records))
    works: list[Work] = []

    def followed(decision: Decision) -> Decision:
        if (parent := parents.get(decision.origin)) is None:
            return decision
        works.append(traces.begin(_NAME, parent, since_ns))
        return replace(decision, traceparent=works[-1].traceparent)

    batch.decisions[:] = [followed(each) for each in batch.decisions]
    return works


def _traced(records: Sequence[Record]) -> Iterator[tuple[Identity, str]]:
    for record in records:
        for name, value in record.headers:
            if name == TRACEPARENT and record.value is not None:
                try:
                    yield _decode(record.value).origin, value.decode(errors="replace")
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue  # it is a dead letter by now
