"""Traces by OpenTelemetry: the extra ``traces``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.adapters.tracing import TRACEPARENT, Work

#: How long the spans that are left may take to leave when a process stops.
_FLUSH_MS: Final = 3_000


class _Followed:
    """Work with a span of its own, from now until `end`."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.traceparent = _traceparent(span)

    def end(self) -> None:
        self._span.end(time.time_ns())


class OtlpTraces:
    """Sends spans to a collector, in the background and in batches.

    Parameters
    ----------
    provider
        OpenTelemetry's, with where spans go and which of them.

    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("tenure", version("tenure"))

    @contextmanager
    def serve(self, name: str, headers: Mapping[str, str]) -> Iterator[None]:
        """Follow a request, as part of its caller's trace if it says so."""
        caller = _context(headers[TRACEPARENT]) if TRACEPARENT in headers else None
        with self._tracer.start_as_current_span(name, caller, SpanKind.SERVER) as span:
            trace_id = f"{span.get_span_context().trace_id:032x}"
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                yield

    def begin(self, name: str, parent: str, since_ns: int | None = None) -> Work:
        """Begin work that another process' work caused."""
        context = _context(parent)
        return _Followed(
            self._tracer.start_span(name, context, SpanKind.CONSUMER, start_time=since_ns)
        )

    def current(self) -> str | None:
        """Return the ``traceparent`` of the request that is being served, if it is sampled."""
        return _traceparent(get_current_span())

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._provider.force_flush(_FLUSH_MS)
        self._provider.shutdown()


def otlp_traces(endpoint: str, ratio: float, service: str) -> OtlpTraces:
    """Return traces that go to a collector.

    Parameters
    ----------
    endpoint
        Where, for OTLP over HTTP.
    ratio
        Share of requests that are traced where their caller has not decided.
    service
        Whose they are.

    """
    told = {"service.name": f"tenure-{service}", "service.version": version("tenure")}
    provider = TracerProvider(
        resource=Resource.create(told), sampler=ParentBased(TraceIdRatioBased(ratio))
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return OtlpTraces(provider)


def _context(traceparent: str) -> Context:
    """Read a ``traceparent``; one that cannot be read is none."""
    return TraceContextTextMapPropagator().extract({TRACEPARENT: traceparent})


def _traceparent(span: Span) -> str | None:
    found = span.get_span_context()
    if not (found.is_valid and found.trace_flags.sampled):
        return None
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-01"
