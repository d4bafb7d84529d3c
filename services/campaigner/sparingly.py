"""Work that may be done now and then, and may not take much of the machine."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from threading import Event
from typing import Final

import structlog

log = structlog.get_logger(__name__)

_LOOK_S: Final = 5.0
#: It may take a twentieth of a core: history is replayed by the day in seconds.
_SHARE: Final = 20.0


class Sparingly(ABC):
    """Looks every few seconds whether something is due, and rests by how long it took.

    Parameters
    ----------
    failed
        What is logged when it could not be done.
    monotonic
        Seconds that only go forward.

    """

    def __init__(self, failed: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._failed = failed
        self._monotonic = monotonic
        self._rest_until = 0.0

    def run(self, stop: Event) -> None:
        """Look every few seconds until ``stop`` is set."""
        while not stop.wait(_LOOK_S):
            try:
                self.look()
            except Exception:  # what was done last holds on
                log.exception(self._failed)

    def look(self) -> bool:
        """Do it if it is due; return whether it was done."""
        started = self._monotonic()
        if started < self._rest_until:
            return False
        try:
            return self._renew()
        finally:
            ended = self._monotonic()
            self._rest_until = ended + _SHARE * (ended - started)

    @abstractmethod
    def _renew(self) -> bool:
        """Do it if it is due; return whether it was done."""
