"""Who was erased, as Kafka remembers it: names that only the deployment's key can make."""

from __future__ import annotations

from services.campaigner.ports import Bus
from shared.domain.campaign_outputs import AHEAD_MS
from shared.topics import ERASURES


def erased(bus: Bus, since: int) -> set[str]:
    """Return the names of who was erased since a time (epoch ms).

    Raises
    ------
    KafkaError
        The topic cannot be read now.

    """
    return set(bus.find(ERASURES.name, max(since - AHEAD_MS, 0)))
