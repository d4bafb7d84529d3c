"""Which score belongs to which trace: by the place in the record, and by the customer."""

import msgspec
import pytest

from services.scorer.follow import follow
from services.scorer.records import writes
from shared import topics
from shared.adapters.tracing import (
    NO_TRACES,
    TRACEPARENT,
    TRACES_HEADER,
    Traced,
    read_traces,
    traces_header,
)
from shared.domain.batch import Record, read_batch
from shared.domain.emission import Effects
from tests.unit.domain.histories import POLICY, T0, Json, partition, purchase, record

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Work:
    def __init__(self, parent: str) -> None:
        self.traceparent: str | None = f"child of {parent}"
        self.ended = False

    def end(self) -> None:
        self.ended = True


class Followed:
    """Traces that only remember what was begun."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def begin(self, name: str, parent: str, since_ns: int | None = None) -> Work:
        self.begun.append(f"{name} {parent} {since_ns}")
        return Work(parent)


def folded(events: list[Json], *headers: tuple[str, bytes]) -> tuple[Record, Effects]:
    plain = record(0, events, T0 + 1_000)
    one = plain._replace(headers=headers)
    batch = read_batch(0, [one], POLICY.future_tolerance_ms)
    return one, partition().apply(batch, {})


EVENTS = [purchase("a", T0), purchase("b", T0 + 1), purchase("c", T0 + 2)]


def followed_by(*headers: tuple[str, bytes]) -> dict[str, str]:
    one, effects = folded(EVENTS, *headers)
    follow([one], effects, Followed(), 7)  # type: ignore[arg-type]
    of = {score.origin: score.customer for score in effects.scores}
    return {of[origin]: trace for origin, trace in effects.traces.items()}


def test_only_the_customers_of_traced_events_are_followed() -> None:
    header = traces_header([Traced(1, 1, TRACE)])
    assert followed_by(*header) == {"b": f"child of {TRACE}"}
    assert followed_by() == {}


def test_a_producers_own_traceparent_is_for_the_whole_record() -> None:
    assert followed_by((TRACEPARENT, TRACE.encode())).keys() == {"a", "b", "c"}


@pytest.mark.parametrize("value", [b"", b"no JSON", b'{"a": 1}', b"[[1]]", b"\xff"])
def test_a_header_that_cannot_be_read_follows_nothing(value: bytes) -> None:
    assert followed_by((TRACES_HEADER, value)) == {}


def test_where_traces_are_off_no_header_is_looked_at() -> None:
    one, effects = folded(EVENTS, *traces_header([Traced(0, 3, TRACE)]))
    assert follow([one], effects, NO_TRACES, 7) == []
    assert effects.traces == {}


def test_a_record_that_cannot_be_read_follows_nothing() -> None:
    broken = Record(0, T0, b"[{", headers=traces_header([Traced(0, 1, TRACE)]))
    assert follow([broken], Effects(), Followed(), 7) == []  # type: ignore[arg-type]


def test_a_record_names_few_enough_traces_to_stay_small() -> None:
    ((_, value),) = traces_header([Traced(n, 1, TRACE) for n in range(100)])
    assert len(value) < 1_000
    assert len(read_traces([(TRACES_HEADER, value)])) == 8


def test_the_trace_is_in_the_header_of_its_score_alone() -> None:
    one, effects = folded(EVENTS, *traces_header([Traced(2, 1, TRACE)]))
    target = partition()
    follow([one], effects, Followed(), 7)  # type: ignore[arg-type]
    written = {
        write.topic.name: write.entries for write in writes(0, "events", [effects], target.position)
    }
    for topic in (topics.CUSTOMER_SCORES.name, topics.SCORE_HISTORY.name):
        headers = {entry.key: entry.headers for entry in written[topic] if entry.headers}
        assert headers == {b"c": [(TRACEPARENT, f"child of {TRACE}".encode())]}
    assert msgspec.json.decode(written[topics.CUSTOMER_SCORES.name][0].value)["customer"] == "a"
