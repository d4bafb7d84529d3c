"""Answers that are kept for a while, so that pages cost the campaigner little however many look."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final, Generic, TypeVar

import structlog

from shared.domain.errors import TenureError

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: A question takes at most a twentieth of the time, however long an answer takes.
_REST: Final = 20.0


@dataclass(frozen=True)
class Answer(Generic[T]):
    """The last answer to a question.

    Attributes
    ----------
    value
        ``None`` if there never was one.
    problem
        Why there is no newer one, and what to do; ``None`` when it is as new as it should be.

    """

    value: T | None = None
    problem: str | None = None


class Kept(Generic[T]):
    """A question that is asked again only when its last answer has aged.

    One thread at a time asks; the others get the last answer meanwhile.

    Parameters
    ----------
    ask
        Returns the answer, or raises what stands in the way.
    least_s
        Seconds for which an answer is good; longer where it took long to find.
    clock
        Seconds, never back.

    """

    def __init__(
        self,
        ask: Callable[[], T],
        *,
        least_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._least_s = least_s
        self._clock = clock
        self._asking = Lock()
        self._good_until = float("-inf")
        self._last: Answer[T] = Answer()

    def get(self) -> Answer[T]:
        """Return the last answer, a new one if it is time; blocks."""
        if self._clock() < self._good_until:
            return self._last
        nothing_yet = self._last.value is None and self._last.problem is None
        if self._asking.acquire(blocking=nothing_yet):
            try:
                self._renew()
            finally:
                self._asking.release()
        return self._last

    def _renew(self) -> None:
        if (began := self._clock()) < self._good_until:
            return  # somebody else asked while we waited
        try:
            self._last = Answer(self._ask())
        except TenureError as error:
            self._last = Answer(self._last.value, str(error))
        except Exception as error:
            log.exception("a question of the console failed")
            self._last = Answer(self._last.value, unexpected(error))
        took = self._clock() - began
        self._good_until = began + took + max(self._least_s, _REST * took)


def unexpected(error: Exception) -> str:
    """Say that something is wrong which no message of ours explains."""
    return (
        f"The database does not answer as it should ({type(error).__name__}). Its log and the "
        "campaigner's say more; this page tries again by itself."
    )
