"""What the console is made of: everything that its questions ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.ports import Clock
from services.campaigner.products import NextProducts
from shared.adapters.health import Health
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.adapters.sql.console_queries import ConsoleQueries
from shared.adapters.sql.control_store import ControlStore
from shared.settings import Settings


@dataclass(frozen=True)
class Parts:
    """What of a campaigner the console may use.

    Attributes
    ----------
    queries, console_queries
        The database, to be read.
    products
        Suggests what a customer takes up next.
    controls
        What people change, and the log of it.
    book
        Returns the campaigns in force.
    knows
        Tells whether an API key has a name.
    health
        Of this campaigner.
    clock
        The wall clock, epoch milliseconds.

    """

    settings: Settings
    queries: CampaignQueries
    console_queries: ConsoleQueries
    products: NextProducts
    controls: ControlStore
    book: Callable[[], CampaignBook]
    knows: Callable[[str], bool]
    health: Health
    clock: Clock
