"""Logs: one JSON object a line on stderr, from structlog and from the standard library alike.

Event ids may be logged; who a customer is, what was sent and which key was used may not. Fields
of those names are struck out, tracebacks carry no local variables, and the libraries that print
what they send at DEBUG stay at INFO.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

#: Fields that name a person or a secret: their values never reach a log.
PERSONAL: Final = frozenset(
    {"authorization", "body", "customer", "customer_id", "data", "key", "payload", "subject"}
)
#: Tell of each request, and of each web socket with what opens it.
_CHATTY: Final = ("httpx", "uvicorn.error")
#: Loggers that print keys and values of records, or a line for each request, when let.
_TALKATIVE: Final = ("aiokafka", "asyncio", "faust", "httpx", "kafka", "mode", "uvicorn")
#: Loggers that say the same several times a second while Kafka is away, and how often they may.
_REPETITIVE: Final = ("aiokafka", "kafka")
_REPEAT_AFTER_S: Final = 30.0


def configure(service: str, level: str = "INFO") -> None:
    """Send every log of this process to stderr as JSON lines.

    Parameters
    ----------
    service
        Name that each line carries, e.g. ``ingest``.
    level
        Least level that is logged: DEBUG, INFO, WARNING or ERROR.

    """
    shared = _shared_processors(service)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # `configure` may run again, as tests do
    )
    _route_standard_library(shared, level)


def _shared_processors(service: str) -> list[Processor]:
    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return [
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _exceptions(),
        add_service,
        _strike_out,
    ]


def _exceptions() -> Processor:
    """Render tracebacks as data; local variables may hold events, so they stay out."""
    without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return structlog.processors.ExceptionRenderer(without_locals)


def _strike_out(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for name in PERSONAL & event.keys():
        event[name] = "[struck out]"
    return event


def _route_standard_library(shared: list[Processor], level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json_lines(shared))
    handler.addFilter(SeldomRepeated(_REPETITIVE, _REPEAT_AFTER_S))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.INFO))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


class SeldomRepeated(logging.Filter):
    """Lets a message of certain loggers pass once in a while, however its arguments differ.

    Parameters
    ----------
    loggers
        Names of the loggers; those below them are meant too.
    after_s
        Seconds after which the same message may pass again.
    clock
        Seconds that only go forward.

    """

    def __init__(
        self,
        loggers: tuple[str, ...],
        after_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._loggers = frozenset(loggers)
        self._after_s = after_s
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record may pass."""
        if record.name.partition(".")[0] not in self._loggers:
            return True
        now, key = self._clock(), (record.name, str(record.msg))
        if now - self._last.get(key, -self._after_s) < self._after_s:
            return False
        self._last[key] = now
        return True


def _json_lines(shared: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        # Records of the standard library passed their own level check already.
        foreign_pre_chain=shared[1:],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
