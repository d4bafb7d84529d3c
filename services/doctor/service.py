"""All checks in order; what cannot be looked at without another is left out."""

from __future__ import annotations

import asyncio

from services.doctor.findings import Finding, Outcome, bad, good
from services.doctor.kafka import examine_topics, examine_use
from services.doctor.local import examine_machine
from shared.settings import Settings, SettingsError, load_settings


def examine() -> list[Finding]:
    """Look at everything that this environment's settings name."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return [bad("settings", line, "Correct it") for line in str(error).splitlines()]
    return [
        good("settings", "valid"),
        *_kafka(settings),
        *examine_machine(settings),
    ]


def _kafka(settings: Settings) -> list[Finding]:
    found = list(examine_topics(settings))
    if any(each.outcome is Outcome.FAILED for each in found):
        return found
    return found + asyncio.run(_use(settings))


async def _use(settings: Settings) -> list[Finding]:
    return [finding async for finding in examine_use(settings)]
