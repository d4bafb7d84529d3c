"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # works, and should not stay so in production
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it.

    Attributes
    ----------
    check
        What was looked at: ``broker``, ``topics`` and so on.
    text
        What was seen.
    remedy
        What to do; empty when all is well.

    """

    check: str
    outcome: Outcome
    text: str
    remedy: str = ""


def good(check: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Outcome.OK, text)


def bad(check: str, text: str, remedy: str) -> Finding:
    """Return what keeps Tenure from working."""
    return Finding(check, Outcome.FAILED, text, remedy)


def warning(check: str, text: str, remedy: str) -> Finding:
    """Return what works, and should not stay so."""
    return Finding(check, Outcome.WARNING, text, remedy)
