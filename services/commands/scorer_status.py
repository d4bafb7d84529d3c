"""What a scorer says of itself, for the commands that ask one."""

from __future__ import annotations

from typing import Any, Final

import httpx

from shared.domain.errors import TenureError
from shared.settings import load_settings

_TIMEOUT_S: Final = 10.0


class ScorerUnreachableError(TenureError):
    """No scorer answers."""


def partitions_of(url: str | None) -> dict[str, dict[str, Any]]:
    """Return what a scorer's ``/status`` tells of each of its partitions.

    Parameters
    ----------
    url
        The scorer's address; that of the settings when None.

    Raises
    ------
    ScorerUnreachableError
        With the remedy.

    """
    settings = load_settings()
    url = url or f"http://{settings.scorer_host}:{settings.scorer_port}"
    try:
        answer = httpx.get(f"{url}/status", timeout=_TIMEOUT_S, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        raise ScorerUnreachableError(
            f"no scorer at {url}: {error}. Start one, or name another with --url"
        ) from None
    found: dict[str, dict[str, Any]] = answer.json()["partitions"]
    return found
