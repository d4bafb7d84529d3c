"""What the campaigner needs of the world: a database, a bus, a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from shared.domain.budgets import Due
from shared.domain.campaign_state import Batch, Claimed, Lease, Settled, Waiting
from shared.domain.offers import Learned
from shared.domain.outputs import Score
from shared.domain.standings import Standings

#: Wall clock, epoch milliseconds.
Clock = Callable[[], int]
#: Called with the name of a place where a crash is interesting; tests crash there.
Hook = Callable[[str], None]


def no_hook(_: str) -> None:
    """Do nothing, as every hook outside of tests."""


class Record(Protocol):
    """A record of ``customer-scores``."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def key(self) -> bytes | None:
        """The customer."""

    @property
    def value(self) -> bytes | None:
        """JSON of a score or a clock; ``None`` takes a customer out of the topic."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """What trace a score is part of, if any."""


class Store(Protocol):
    """The database; `shared.adapters.sql.campaign_store` says what each operation promises."""

    def claim(self, partitions: Sequence[int], owner: str, now: int) -> list[Claimed]:
        """Become the owner of partitions."""

    def standings(self, lease: Lease) -> Standings:
        """Read the customers of a partition."""

    def forget(self, is_erased: Callable[[str], bool]) -> int:
        """Forget the customers that were erased."""

    def latest(self, customer: str) -> Score:
        """Return a known customer's last score."""

    def page(self, partition: int, after: str, limit: int) -> list[Score]:
        """Return last scores of a partition's customers, in the order of ids."""

    def learned(self, campaign: str) -> Learned:
        """Return what is known of a campaign's offers."""

    def lend(self, lease: Lease, due: Due, needed: int) -> int:
        """Lend a partition more of an allowance."""

    def commit(self, batches: Sequence[Batch], now: int) -> None:
        """Write batches, all or none."""

    def waiting(self, partitions: Sequence[int], after: int, limit: int) -> list[Waiting]:
        """Return rows of the outbox with numbers over ``after``."""

    def settle(self, leases: Sequence[Lease], settled: Sequence[Settled], now: int) -> None:
        """Take rows out of the outbox."""

    def backlog(self, partitions: Sequence[int]) -> tuple[int, int | None]:
        """Return how many rows wait, and since when the oldest does."""


class Message(NamedTuple):
    """A record for the bus. ``topic`` is the declared name, without the deployment's prefix."""

    topic: str
    key: str | None
    value: bytes
    headers: Sequence[tuple[str, str]]


class Bus(Protocol):
    """Where decisions and triggers go."""

    def send(self, messages: Sequence[Message]) -> list[bool]:
        """Publish, and return for each message whether every in-sync replica has it.

        A message that was not acknowledged may have arrived all the same.
        """

    def find(self, topic: str, since: int) -> Mapping[str, Mapping[str, str]]:
        """Return the headers of a topic's records by their ``ce_id``.

        Parameters
        ----------
        topic
            Declared name.
        since
            Epoch milliseconds: records that were written before may be left out.

        """
