"""Files that an evaluation leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.evaluate.service import EvaluationError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what stands in the way of a file into an error that names it.

    Raises
    ------
    EvaluationError
        It cannot be written.

    """
    try:
        yield
    except OSError as error:
        raise EvaluationError(f"cannot write {path}: {error.strerror}") from None
