"""Traces by OpenTelemetry: who decides what is followed, and what logs and others are told."""

import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from shared.adapters.otlp import OtlpTraces
from shared.adapters.tracing import NO_TRACES, open_traces
from shared.settings import load_settings

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED, LEFT_OUT = f"00-{TRACE}-b7ad6b7169203331-01", f"00-{TRACE}-b7ad6b7169203331-00"


def memory() -> tuple[OtlpTraces, InMemorySpanExporter]:
    provider, kept = TracerProvider(sampler=ParentBased(ALWAYS_OFF)), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return OtlpTraces(provider), kept


def test_the_caller_decides_and_logs_have_the_trace() -> None:
    traces, kept = memory()
    with traces.serve("POST", {"traceparent": SAMPLED}):
        current = traces.current()
        assert structlog.contextvars.get_contextvars() == {"trace_id": TRACE}
    assert current is not None
    assert current.split("-")[1] == TRACE
    assert traces.current() is None
    assert structlog.contextvars.get_contextvars() == {}
    assert [span.name for span in kept.get_finished_spans()] == ["POST"]


def test_who_is_not_followed_leaves_no_trace() -> None:
    traces, kept = memory()
    for headers in ({}, {"traceparent": LEFT_OUT}, {"traceparent": "nonsense"}):
        with traces.serve("POST", headers):
            assert traces.current() is None
    work = traces.begin("score", LEFT_OUT)
    work.end()
    assert work.traceparent is None
    assert kept.get_finished_spans() == ()


def test_work_lasts_from_the_time_given_until_its_end() -> None:
    traces, kept = memory()
    work = traces.begin("score", SAMPLED, since_ns=7)
    assert kept.get_finished_spans() == ()
    work.end()
    (span,) = kept.get_finished_spans()
    assert (span.name, span.start_time) == ("score", 7)
    assert work.traceparent == f"00-{TRACE}-{span.context.span_id:016x}-01"


def test_they_are_off_unless_asked_for() -> None:
    assert open_traces(load_settings(), "ingest") is NO_TRACES
