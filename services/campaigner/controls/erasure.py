"""Asking that customers be erased: noted, told to the log, and dead letters taken out.

1. The audit log notes who asked, with names instead of ids.
2. The log of each customer's partition gets a control event: from there on the scorer knows nobody
   of that id, and its word takes the customer out of scores, and out of the campaigner's database.
3. Dead letters about the customers are taken out.

Killed anywhere, or answered by an error: ask again. What was done is done again, to no effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence

import msgspec
import structlog
from aiokafka.errors import KafkaError

from services.dead_letters.box import LetterBox
from shared.adapters.control_log import tell_customers
from shared.adapters.kafka_connection import KafkaAccessError
from shared.adapters.sql.control_store import ControlStore
from shared.domain.erasure import pseudonym
from shared.domain.errors import TenureError
from shared.domain.event_data import ErasureData
from shared.domain.events import Erasure
from shared.schemas.control_events import MOVES_NOTHING
from shared.settings import Settings

log = structlog.get_logger(__name__)


Tell = Callable[[Settings, Mapping[str, bytes]], Coroutine[None, None, int]]


class NotToldError(TenureError):
    """Kafka did not take the erasure, or nobody knows whether it did."""


async def tell_kafka(settings: Settings, events: Mapping[str, bytes]) -> int:
    """Tell the log, and take dead letters out; return how many those were."""
    await tell_customers(settings, events)
    async with LetterBox(settings) as box:
        return await box.erase(events)


class Eraser:
    """Erases customers. Any thread may call it, since it has no connections of its own.

    Parameters
    ----------
    settings
        Kafka, and the key of names.
    controls
        Where it is noted.
    clock
        The wall clock.
    tell
        Tells Kafka what each customer's partition is to hear, and takes their dead letters out;
        returns how many those were.

    """

    def __init__(
        self,
        settings: Settings,
        controls: ControlStore,
        clock: Callable[[], int],
        tell: Tell = tell_kafka,
    ) -> None:
        self._tell = tell
        self._settings = settings
        self._controls = controls
        self._clock = clock

    def erase(self, customers: Sequence[str], by: str, reason: str) -> None:
        """Return once the log has it.

        Raises
        ------
        NotToldError
            Asking again is safe.

        """
        names = {each: self.name(each) for each in dict.fromkeys(customers)}
        self._controls.note_erasure(list(names.values()), by, reason)
        try:
            now = self._clock()
            events = {customer: _event(customer, name, now) for customer, name in names.items()}
            letters = asyncio.run(self._tell(self._settings, events))
        except (KafkaAccessError, KafkaError) as error:
            raise NotToldError(f"Kafka did not take it: {error}. Ask again.") from error
        log.info("erased", customers=list(names.values()), dead_letters=letters, by=by)

    def name(self, customer: str) -> str:
        """Return the name under which a customer is remembered as erased."""
        return pseudonym(self._settings.erasure_key.get_secret_value().encode(), customer)


def _event(customer: str, name: str, now: int) -> bytes:
    return msgspec.json.encode(
        Erasure(
            specversion="1.0",
            id=f"erasure/{name}/{now}",
            source="tenure/campaigner",
            time=MOVES_NOTHING,
            data=ErasureData(customer, now),
        )
    )
