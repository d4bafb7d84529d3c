"""How the services are: their own word for it (``/readyz``), and their metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from services.campaigner.console.parts import Parts
from shared import metrics
from shared.settings import Settings

#: A service that does not answer so soon is not well, whatever it will say.
_TIMEOUT_S: Final = 1.5
_ANY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  # these are what is replaced

Samples = dict[tuple[str, str], float]


@dataclass(frozen=True)
class Service:
    """A service, and what keeps it from its work.

    Attributes
    ----------
    reasons
        By check; empty when it is ready.

    """

    name: str
    url: str
    reasons: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether it can do its work."""
        return not self.reasons


@dataclass(frozen=True)
class Fleet:
    """All services.

    Attributes
    ----------
    per_second
        Events accepted by ingest, made durable by the scorer, and records taken by this
        campaigner, since the last look; ``None`` at the first.
    scorer_lag, campaigner_lag
        Records behind the end of their logs; ``None`` where nobody says.

    """

    services: list[Service]
    per_second: dict[str, float] | None
    scorer_lag: float | None
    campaigner_lag: float | None
    metrics: Samples = field(default_factory=dict)


class FleetWatch:
    """Asks the services.

    Parameters
    ----------
    parts
        Of this campaigner, which need not ask itself by HTTP.
    transport
        Instead of the network.
    clock
        Seconds, never back.

    """

    def __init__(
        self,
        parts: Parts,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = parts
        self._clock = clock
        self._http = httpx.Client(timeout=_TIMEOUT_S, transport=transport, trust_env=False)
        self._before: tuple[float, dict[str, float]] | None = None

    def look(self) -> Fleet:
        """Return how everything is; takes a few seconds when nothing answers."""
        settings = self._parts.settings
        ingest, scorer = ingest_url(settings), scorer_url(settings)
        own = Service("campaigner", "this process", self._parts.health.reasons())
        read = self._metrics(ingest) | self._metrics(scorer) | _own_metrics()
        return Fleet(
            [self._ready("ingest", ingest), self._ready("scorer", scorer), own],
            self._rates(_counts(read)),
            read.get(("tenure_scorer_lag_records", "")),
            read.get(("tenure_campaigner_lag_records", "")),
            read,
        )

    def _ready(self, name: str, url: str) -> Service:
        try:
            answer: dict[str, Any] = self._http.get(f"{url}/readyz").json()
            reasons = {str(check): str(why) for check, why in answer["reasons"].items()}
        except (httpx.HTTPError, ValueError, KeyError, AttributeError):
            variable = f"TENURE_CONSOLE_{name.upper()}_URL"
            reasons = {"answer": f"nobody answers. Start it, or name its address in {variable}"}
        return Service(name, url, reasons)

    def _metrics(self, url: str) -> Samples:
        try:
            return parsed(self._http.get(f"{url}/metrics").text)
        except (httpx.HTTPError, ValueError):
            return {}

    def _rates(self, counts: dict[str, float]) -> dict[str, float] | None:
        now, before = self._clock(), self._before
        self._before = now, counts
        if before is None or now <= before[0]:
            return None
        # A service that was started anew counts from 0 again.
        return {
            name: max(0.0, count - before[1][name]) / (now - before[0])
            for name, count in counts.items()
            if name in before[1]
        }


def parsed(text: str) -> Samples:
    """Return samples of Prometheus' text format by name and label value (of one label at most)."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if len(sample.labels) <= 1
    }


def _own_metrics() -> Samples:
    registry: CollectorRegistry = metrics.of("campaigner")
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in registry.collect()
        for sample in family.samples
        if len(sample.labels) <= 1
    }


def _counts(read: Samples) -> dict[str, float]:
    wanted = {
        "accepted": ("tenure_ingest_events_accepted_total", ""),
        "scored": ("tenure_scorer_events_total", "accepted"),
        "decided": ("tenure_campaigner_records_total", ""),
    }
    return {name: read[key] for name, key in wanted.items() if key in read}


def ingest_url(settings: Settings) -> str:
    """Return ingest's address."""
    return settings.console_ingest_url or _local(settings.ingest_host, settings.ingest_port)


def scorer_url(settings: Settings) -> str:
    """Return the scorer's address."""
    return settings.console_scorer_url or _local(settings.scorer_host, settings.scorer_port)


def _local(host: str, port: int) -> str:
    name = "127.0.0.1" if host in _ANY else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
