"""Takes in the history that is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from services.evaluate.service import EvaluationError, moment
from shared.adapters.event_files import Bad, Good, read_events
from shared.adapters.event_spool import EventSpool

_SHOWN: Final = 20


def read_history(
    file: Path,
    mapping: str | None,
    spool: EventSpool,
    complain: Callable[[str], None] = lambda _line: None,
) -> None:
    """Take the events of a file.

    Parameters
    ----------
    mapping
        As of `read_events`.
    complain
        Told the first lines that are no events, and why.

    Raises
    ------
    EvaluationError
        There are such lines, or no events at all.

    """
    bad = 0
    for line in map(_checked, read_events(file, mapping)):
        if isinstance(line, Good):
            spool.add(line)
            continue
        bad += 1
        if bad <= _SHOWN:
            complain(f"line {line.line}: {line.field}: {line.reason}. {line.remedy}")
    if bad:
        raise EvaluationError(
            f"{bad} of {bad + len(spool)} lines are no events. Mend them or leave them out"
        )
    if not len(spool):
        raise EvaluationError(f"{file} holds no events")


def _checked(line: Good | Bad) -> Good | Bad:
    """Refuse what the scorer would refuse later."""
    if isinstance(line, Good) and line.at <= 0:
        reason, remedy = f"{moment(line.at)} is not after 1970-01-01T00:00:00Z", "Correct the time"
        return Bad(line.line, "time", reason, remedy, line.value.decode())
    return line
