"""Configurations that are tried: each changes one thing of the one that is deployed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from shared.domain.configuration import CHAMPION, Configuration

#: What each field of a `Configuration` is tried with.
TRIED: Final[dict[str, tuple[Any, ...]]] = {
    "memory": (0.5, 2.0),
    "level_days": (3.5, 14.0, 28.0),
    "cells": (1.0, 20.0),
    "belief": (100.0, 3000.0),
    "pull": (10.0, 100.0),
    "level_pull": (1.0,),
    "usual": (0.5, 1.5),
    "left": (1.0, 0.8, 0.7),
    "season_prior": (0.01,),
    "seasons": (False,),
    "long_run": (0.0, 0.3, 0.7, 1.0),
}
#: What the configuration that is deployed is called.
DEPLOYED: Final = "as deployed"
Rows = dict[str, Configuration]


def rows() -> Rows:
    """Return each configuration by its name; that which is deployed is the first."""
    changed = {
        _name(field, value): replace(CHAMPION, **{field: value})
        for field, values in TRIED.items()
        for value in values
    }
    return {DEPLOYED: CHAMPION} | {name: each for name, each in changed.items() if each != CHAMPION}


def _name(field: str, value: Any) -> str:  # noqa: ANN401 - a field's own type
    said = field.replace("_", " ")
    if isinstance(value, bool):
        return f"{'with' if value else 'without'} {said}"
    return f"{said} {value:g}"
