"""Traces, from the HTTP request to the trigger: W3C Trace Context, exported by OTLP over HTTP.

Off unless ``TENURE_TRACES_ENDPOINT`` is set, and then nothing of OpenTelemetry is imported. A trace
is told to whoever comes next by a ``traceparent`` (https://www.w3.org/TR/trace-context/); a request
that is not sampled has none, so that the path of its events costs what it costs without traces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, NamedTuple, Protocol

import msgspec

from shared.domain.errors import TenureError
from shared.settings import Settings

#: Name of the header, in HTTP and in Kafka, and of the CloudEvents extension (as ``ce_...``).
TRACEPARENT: Final = "traceparent"

#: Header of a record of events: which of them belong to which trace.
TRACES_HEADER: Final = "tenure-traces"
#: Traces that a record names at most: headers count as a part of its size.
_MOST: Final = 8
_ALL: Final = 2**31


class Traced(NamedTuple):
    """Some events of a record, in a row, and the trace that they belong to."""

    first: int
    events: int
    traceparent: str


def traces_header(traced: Sequence[Traced]) -> list[tuple[str, bytes]]:
    """Return the headers of a record that holds these among its events."""
    return [(TRACES_HEADER, msgspec.json.encode(traced[:_MOST]))] if traced else []


def read_traces(headers: Iterable[tuple[str, bytes]]) -> list[Traced]:
    """Return what a record's headers say; another producer's ``traceparent`` is for all of it."""
    for name, value in headers:
        if name == TRACES_HEADER:
            try:
                return msgspec.json.decode(value, type=list[Traced])
            except msgspec.DecodeError:
                return []
        if name == TRACEPARENT:
            return [Traced(0, _ALL, value.decode(errors="replace"))]
    return []


class TracesError(TenureError):
    """Traces are asked for and cannot be made."""


class Work(Protocol):
    """A piece of work that takes time.

    Attributes
    ----------
    traceparent
        Whom the work that it causes belongs to; ``None`` where nobody follows it.

    """

    traceparent: str | None

    def end(self) -> None:
        """Say that it is done."""


class Traces(Protocol):
    """What a service tells of the work it does."""

    def serve(self, name: str, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """Follow a request for as long as the block lasts; `current` is it meanwhile."""

    def begin(self, name: str, parent: str, since_ns: int | None = None) -> Work:
        """Begin work that another process' work caused, now or at a time in the past."""

    def current(self) -> str | None:
        """Return the ``traceparent`` of the request that is being served, if it is followed."""

    def close(self) -> None:
        """Send what is left."""


class _NoWork:
    traceparent: str | None = None

    def end(self) -> None:
        pass


NO_WORK: Final = _NoWork()


class NoTraces:
    """Follows nothing."""

    @contextmanager
    def serve(self, name: str, headers: Mapping[str, str]) -> Iterator[None]:  # noqa: ARG002
        """Do nothing."""
        yield

    def begin(self, name: str, parent: str, since_ns: int | None = None) -> Work:  # noqa: ARG002
        """Return work that nobody follows."""
        return NO_WORK

    def current(self) -> str | None:
        """Return nothing."""
        return None

    def close(self) -> None:
        """Do nothing."""


NO_TRACES: Final = NoTraces()


def open_traces(settings: Settings, service: str) -> Traces:
    """Return what a service tells of its work by these settings.

    Raises
    ------
    TracesError
        They are asked for, and the extra is not installed.

    """
    if settings.traces_endpoint is None:
        return NO_TRACES
    try:
        from shared.adapters.otlp import otlp_traces
    except ImportError:
        raise TracesError(
            "TENURE_TRACES_ENDPOINT is set, and OpenTelemetry is not installed. "
            "Install it (pip install 'tenure[traces]'), or unset it"
        ) from None
    return otlp_traces(settings.traces_endpoint, settings.traces_ratio, service)
