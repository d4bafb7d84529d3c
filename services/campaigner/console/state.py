"""The console's memory: questions with their last answers, and the threads that ask.

Pages run in the campaigner's event loop, which must not wait: whatever asks the database, Kafka
or another service does so in one of a few threads of the console's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from services.campaigner.console.entry import Entry
from services.campaigner.console.kept import Kept
from services.campaigner.console.log_reader import LogReader
from services.campaigner.console.parts import Parts
from services.campaigner.console.questions import base
from services.campaigner.console.questions.fleet import FleetWatch
from services.campaigner.console.questions.letters import Letters
from services.campaigner.console.questions.model import ModelWatch
from services.campaigner.console.questions.months import months
from services.campaigner.console.questions.moves import MoveCounter
from shared.domain.base_book import MONTHS_BY

P = ParamSpec("P")
T = TypeVar("T")

#: However many people look, so many of their questions are under way.
_THREADS: Final = 4


class Console:
    """What all pages share.

    Attributes
    ----------
    parts, entry
        What there is to ask, and who may.
    logs
        Kafka's logs.
    simulating
        Held while a simulation runs: one at a time.
    worth, risks, today, months, moves, fleet, model, letters
        Questions whose answers everybody sees.

    """

    def __init__(self, parts: Parts, entry: Entry) -> None:
        self.parts = parts
        self.entry = entry
        self.logs = LogReader(parts.settings)
        self.worth = Kept(lambda: base.worth(parts), least_s=4.0)
        self.risks = Kept(lambda: base.risks(parts), least_s=4.0)
        self.today = Kept(lambda: base.today(parts))
        self.months = {
            by: Kept(lambda by=by: months(parts, by), least_s=4.0)  # type: ignore[misc]
            for by in MONTHS_BY
        }
        self.moves = Kept(MoveCounter(self.logs).look)
        self.fleet = Kept(FleetWatch(parts).look, least_s=3.0)
        secret = parts.settings.model_key.get_secret_value().encode()
        self.model = Kept(ModelWatch(self.logs, secret).look, least_s=4.0)
        self.letters = Kept(Letters(self.logs).look)
        self.simulating = asyncio.Semaphore(1)
        self._threads = ThreadPoolExecutor(_THREADS, "console")

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return a question's answer; raises what it raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: question(*args, **kwargs))
