"""The thresholds file: YAML in, thresholds out, or every error with its remedy at once."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
import yaml

from shared.domain.errors import TenureError
from shared.domain.thresholds import MOST_MARKETS, LifecycleThresholds, Thresholds

_TYPES = {each.name: each.type for each in msgspec.structs.fields(Thresholds)}


class ThresholdsFileError(TenureError):
    """A file that cannot be used; the message has a line for each error."""


def read_thresholds(path: Path, version: int) -> LifecycleThresholds:
    """Read ``default`` and ``markets`` from a file; a market has the default's where it says none.

    Raises
    ------
    ThresholdsFileError
        Naming each field, what is wrong with it and the remedy.

    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ThresholdsFileError(f"{path}: {error.strerror}. Name a file that exists") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ThresholdsFileError(f"{path}: no YAML: {error}. Mend the file") from None
    content = {} if content is None else content
    problems = [*_problems(content)]
    if problems:
        raise ThresholdsFileError("\n".join(f"{path}: {each}" for each in problems))
    default = content.get("default") or {}
    markets = {
        name: msgspec.convert({**default, **(own or {})}, Thresholds)
        for name, own in (content.get("markets") or {}).items()
    }
    return LifecycleThresholds(version, msgspec.convert(default, Thresholds), markets)


def _problems(content: Any) -> Iterator[str]:  # noqa: ANN401  # whatever the file holds
    if not isinstance(content, dict):
        yield "$: not a mapping. Write `default:` and `markets:`"
        return
    for name in content.keys() - {"default", "markets"}:
        yield f"{name}: unknown. Only `default` and `markets` stand here"
    default, markets = content.get("default") or {}, content.get("markets") or {}
    yield from _of_section("default", default, {})
    if not isinstance(markets, dict):
        yield "markets: not a mapping. Write a market's name, and below it its thresholds"
        return
    if len(markets) > MOST_MARKETS:
        yield f"markets: {len(markets)}, and at most {MOST_MARKETS} may differ. Leave some out"
    for name, own in markets.items():
        if not isinstance(name, str):
            yield f"markets.{name}: not a text. Put the market's name in quotes"
        yield from _of_section(f"markets.{name}", own or {}, default)


def _of_section(path: str, own: Any, default: Any) -> Iterator[str]:  # noqa: ANN401  # likewise
    if not isinstance(own, dict):
        yield f"{path}: not a mapping. Write `onboarding_days: 30`, for example"
        return
    wrong = [*_of_fields(path, own)]
    yield from wrong
    if wrong or not isinstance(default, dict) or any(_of_fields("", default)):
        return
    try:
        msgspec.convert({**default, **own}, Thresholds)
    except msgspec.ValidationError as error:
        yield f"{path}: {error}. Change one of them"


def _of_fields(path: str, own: dict[Any, Any]) -> Iterator[str]:
    for name, value in own.items():
        if name not in _TYPES:
            near = get_close_matches(str(name), _TYPES, n=1)
            remedy = f"Did you mean `{near[0]}`?" if near else f"One of: {', '.join(_TYPES)}"
            yield f"{path}.{name}: unknown. {remedy}"
            continue
        try:
            msgspec.convert(value, _TYPES[name])
        except msgspec.ValidationError as error:
            yield f"{path}.{name}: {error}. Give a number in that range"
