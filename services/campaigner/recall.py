"""What Kafka knows of decisions that a restored database has forgotten.

A partition goes on from the time at which the database stands. Whatever it decides from there on,
and had decided before, was told to Kafka later than that time, since no decision is made before its
crossing. So the topics are read back from there, which is next to nothing unless a backup was
restored, and what they say comes before any rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import structlog

from services.campaigner.ports import Bus
from shared.domain.campaign_outputs import AHEAD_MS, Outcome, Told
from shared.topics import CAMPAIGN_DECISIONS, RETENTION_TRIGGERS

log = structlog.get_logger(__name__)


def recall(bus: Bus, since: int) -> dict[str, Told]:
    """Return what became of decisions, by id, that were told since a time (epoch ms).

    Raises
    ------
    KafkaError
        The topics cannot be read now.

    """
    start = max(since - AHEAD_MS, 0)
    decisions = bus.find(CAMPAIGN_DECISIONS.name, start)
    triggers = bus.find(RETENTION_TRIGGERS.name, start)
    told = {each: _told(headers, headers["ce_outcome"]) for each, headers in decisions.items()}
    # A trigger that left is a fact, whether or not its decision was told as well.
    told |= {each: _told(headers, "fired") for each, headers in triggers.items()}
    log.info("recalled", decisions=len(told), since=start)
    return told


def _told(headers: Mapping[str, str], outcome: str) -> Told:
    made = datetime.fromisoformat(headers["ce_time"])
    at = round(made.timestamp() * 1000)
    return Told(cast("Outcome", outcome), at, headers.get("ce_offer"))
