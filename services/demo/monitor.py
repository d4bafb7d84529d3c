"""What the services say of themselves, asked again and again while history passes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from services.standalone.stack import Stack

#: In the order of a customer's life.
STAGES: Final = (
    "prospect",
    "onboarding",
    "growth",
    "maturity",
    "decline",
    "dormant",
    "lapsed",
    "won_back",
)
OUTCOMES: Final = ("fired", "held_out", "suppressed", "expired")


@dataclass(frozen=True)
class Model:
    """How good the churn model is by its own account (prequential, over all labels so far)."""

    version: int = 0
    labels: int = 0
    auc: float | None = None
    log_loss: float | None = None
    ece: float | None = None


@dataclass(frozen=True)
class Sample:
    """All that is asked at one moment.

    Attributes
    ----------
    seconds
        Since the monitor began.
    now
        Time of the slowest partition, in milliseconds since 1970; 0 before the first event.
    at
        The partitions' time on average: what the counts of this moment belong to.
    accepted
        Events that ingest answered 202.
    counts
        What became of the events in the scorer, over all partitions.
    lag
        Records of customer-events that are not in the state yet.
    effect
        What the first campaign achieved so far, as the campaigner's API answers it.
    behind
        Scores that the campaigner has not decided about, and triggers that have not left.

    """

    seconds: float = 0.0
    now: int = 0
    at: int = 0
    accepted: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    lag: int = 0
    behind: int = 0
    customers: int = 0
    stages: dict[str, int] = field(default_factory=dict)
    model: Model = Model()
    outcomes: dict[str, int] = field(default_factory=dict)
    effect: dict[str, Any] | None = None

    @property
    def in_state(self) -> int:
        """Events that count in a customer's state."""
        return self.counts.get("applied", 0)

    @property
    def accounted(self) -> int:
        """Events of which it is known what became of them, each counted once.

        Duplicates are not in it: the demo's events are all different, so a duplicate is one that
        was sent again because the answer to it was lost.
        """
        return self.in_state + self.counts.get("dead_letters", 0)

    @property
    def moving(self) -> tuple[object, ...]:
        """What changes while anything is under way, but for the time, which passes by itself."""
        outcomes = tuple(self.outcomes.items())
        return (self.accounted, self.behind, self.customers, self.model, outcomes)


class Monitor:
    """Samples the services of a stack until it is stopped.

    Parameters
    ----------
    stack
        Whose services to ask.
    accepted
        Returns the events that ingest answered 202, as their sender counted them: ingest's own
        counter would begin anew with the process.
    clock
        Seconds that only go forward.

    """

    def __init__(
        self,
        stack: Stack,
        accepted: Callable[[], int],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stack = stack
        self._accepted = accepted
        self._clock = clock
        self._start = clock()
        self._http = httpx.AsyncClient(timeout=5.0, trust_env=False)
        self.samples: list[Sample] = [Sample()]

    @property
    def last(self) -> Sample:
        """The newest sample."""
        return self.samples[-1]

    async def samples_forever(self, every_s: float = 0.5) -> AsyncIterator[Sample]:
        """Yield a sample each time; a service that does not answer just now is asked again."""
        while True:
            if sample := await self.sample():
                yield sample
            await asyncio.sleep(every_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def sample(self) -> Sample | None:
        """Take a sample; ``None`` when a service did not answer."""
        accepted = self._accepted()
        try:
            status, campaigns, gauges = await asyncio.gather(
                self._json("scorer", "/status"),
                self._json("campaigner", "/v1/campaigns"),
                self._metrics("campaigner"),
            )
            effect = await self._effect(campaigns)
        except (httpx.HTTPError, ValueError):
            return None
        seconds = self._clock() - self._start
        sample = read_sample(seconds, accepted, status, campaigns, gauges, effect=effect)
        self.samples.append(sample)
        return sample

    async def _effect(self, campaigns: dict[str, Any]) -> dict[str, Any] | None:
        for each in campaigns["campaigns"][:1]:
            found: dict[str, Any] = await self._json(
                "campaigner", f"/v1/campaigns/{each['name']}/report"
            )
            return found
        return None

    async def _json(self, service: str, path: str) -> Any:  # noqa: ANN401 - JSON
        answer = await self._http.get(self._stack.url(service) + path)
        return answer.raise_for_status().json()

    async def _metrics(self, service: str) -> dict[str, float]:
        answer = await self._http.get(self._stack.url(service) + "/metrics")
        return read_metrics(answer.raise_for_status().text)


def read_metrics(text: str) -> dict[str, float]:
    """Return a page of metrics: the sum over the labels of each."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            values[each.name] = values.get(each.name, 0.0) + each.value
    return values


def read_sample(
    seconds: float,
    accepted: int,
    status: dict[str, Any],
    campaigns: dict[str, Any],
    gauges: dict[str, float],
    *,
    effect: dict[str, Any] | None = None,
) -> Sample:
    """Put together what the services answered."""
    partitions = list(status["partitions"].values())
    times = [each["now"] for each in partitions]
    stages = _added(each["stages"] for each in partitions)
    return Sample(
        seconds=seconds,
        now=min(times, default=0),
        at=round(sum(times) / len(times)) if times else 0,
        accepted=accepted,
        counts=_added(each["counts"] for each in partitions),
        lag=status["lag"],
        behind=round(sum(gauges.get(name, 0.0) for name in _BEHIND)),
        customers=sum(each["customers"] for each in partitions),
        stages={stage: stages.get(stage, 0) for stage in STAGES},
        model=_model(status["model"]),
        outcomes=_outcomes(campaigns),
        effect=effect,
    )


#: What the campaigner has yet to do: scores to decide about, and outbox rows to publish.
_BEHIND: Final = ("tenure_campaigner_lag_records", "tenure_campaigner_outbox_rows")


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def _model(report: dict[str, Any] | None) -> Model:
    """Return the trainer's report; there is none while the trainer's seat is empty."""
    if report is None:
        return Model()
    names = ("version", "labels", "auc", "log_loss", "ece")
    return Model(**{name: report[name] for name in names})


def _outcomes(campaigns: dict[str, Any]) -> dict[str, int]:
    total = _added(each["outcomes"] for each in campaigns["campaigns"])
    return {outcome: total.get(outcome, 0) for outcome in OUTCOMES}
