"""Why a request is refused, free of HTTP."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from shared.domain.errors import InvalidEventError, TenureError

Reason = Literal[
    "unreadable", "invalid", "forbidden", "quota", "overloaded", "draining", "unavailable"
]

#: What a sender whose request failed half-way needs to know.
RETRY_IS_SAFE: Final = (
    "It is not known which of the events were written. Send the same request again:"
    " events are told apart by their source and id, and a repeated one counts once."
)


class Problem(Struct, frozen=True):
    """What is wrong with one event.

    Attributes
    ----------
    index
        Place of the event in the request, from 0.
    field
        Path of the field, e.g. ``data.quantity``; ``$`` is the event as a whole.
    reason, remedy
        What is wrong with it, and what to send instead.

    """

    index: int
    field: str
    reason: str
    remedy: str

    @staticmethod
    def of(index: int, error: InvalidEventError) -> Problem:
        """Return what is wrong with the event at ``index``."""
        return Problem(index, error.field, error.reason, error.remedy)


class RefusedError(TenureError):
    """A request is refused as a whole.

    Parameters
    ----------
    reason
        Kind of refusal; a label of metrics, and what transports derive their answer from.
    detail
        What is wrong and what to do, for people.
    events
        How many events the request held, as far as known.
    problems
        The bad events, if that is why.
    retry_after_s
        When to try again; ``None`` when trying again is no use.

    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        events: int = 0,
        problems: list[Problem] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail
        self.events = events
        self.problems = problems or []
        self.retry_after_s = retry_after_s
