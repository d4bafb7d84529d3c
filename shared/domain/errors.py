"""Errors that carry what a person needs: the field, the reason and the remedy."""

from __future__ import annotations


class TenureError(Exception):
    """Base of all errors that Tenure raises on purpose."""


class InvalidEventError(TenureError):
    """An event that can never be accepted, however often it is sent.

    Parameters
    ----------
    field
        Path of the offending field inside the event, e.g. ``data.quantity``.
    reason
        What is wrong with it.
    remedy
        What the sender can do about it.

    """

    def __init__(self, field: str, reason: str, remedy: str) -> None:
        super().__init__(f"{field}: {reason}. {remedy}")
        self.field = field
        self.reason = reason
        self.remedy = remedy
