"""The demo, one step after the other: start, replay, wait until all is decided, report, stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Final

from services.demo.data import Slice, demo_events
from services.demo.evidence import read_evidence
from services.demo.monitor import Monitor, Sample
from services.demo.plots import write_page
from services.demo.report import Report, build_report, write_report
from services.demo.screen import Screen
from services.replay.client import IngestClient
from services.replay.pace import EventsPerSecond
from services.replay.plan import Step
from services.replay.service import Progress, Replay
from services.standalone.stack import Place, Stack, throwaway, urls
from shared.adapters.event_files import Good
from shared.domain.errors import TenureError

CAMPAIGNS: Final = "demo_campaigns.yaml"
_YEAR_DAYS: Final = 365
#: Events under way at the most, about three days of the year. A scorer that is further behind
#: would meet the model's newer versions only after the whole backlog, as they lie behind it.
_AHEAD: Final = 1_500
#: Nothing may change for so long before the demo believes that all is done.
_QUIET_S: Final = 2.0
_PATIENCE_S: Final = 60.0
_SAMPLE_EVERY_S: Final = 0.5


class UnsettledError(TenureError):
    """What was accepted did not all arrive in time; the message says what is missing."""


@dataclass(frozen=True)
class Options:
    """What a person may choose.

    Attributes
    ----------
    replay_s
        Seconds that the history should take: the model learns while it passes.
    report_dir
        Where the report goes.
    keep
        Go on living after the report, until interrupted.

    """

    report_dir: Path
    part: Slice = field(default_factory=Slice)
    replay_s: float = 66.0
    keep: bool = False


def place(logs: Path) -> Place:
    """Return where the demo runs: a throwaway stack whose campaign lets history fire."""
    text = resources.files(__package__).joinpath(CAMPAIGNS).read_text(encoding="utf-8")
    return throwaway(files={CAMPAIGNS: text}, campaigns_file=Path(CAMPAIGNS), logs=logs)


class Demo:
    """A stack with the demo's history on its way into it.

    Parameters
    ----------
    stack
        Services that are ready.
    history
        The events, in the order of their time.
    screen
        Where it shows how it goes.

    """

    def __init__(self, stack: Stack, history: list[Good], screen: Screen) -> None:
        self.history = history
        self._stack = stack
        self._screen = screen
        self._replay_s = 0.0
        self.progress = Progress()
        self.monitor = Monitor(stack, lambda: self.progress.accepted)

    async def replay(self, seconds: float) -> Sample:
        """Send the history in about so many seconds; return when all of it is decided.

        Raises
        ------
        UnsettledError, ReplayError, RefusedError
            Something did not arrive.

        """
        started = time.monotonic()
        watching = asyncio.create_task(self._watch())
        try:
            await self._send(seconds)
            self._screen.say("All accepted; waiting until all is in the state and decided")
            await until(self.monitor, self._missing, quiet_s=_QUIET_S)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self.monitor.close()
        self._replay_s = time.monotonic() - started
        return self.monitor.last

    async def report(self, folder: Path, started: float) -> Report:
        """Write what came out; ``started`` is when the demo began, on the monotonic clock."""
        evidence = await read_evidence(self._stack.settings, self.history)
        report = build_report(
            self.monitor.last,
            evidence,
            horizon_ms=self._stack.settings.policy().horizon_ms,
            replay_s=self._replay_s,
            seconds=time.monotonic() - started,
        )
        write_report(report, folder)
        write_page(folder, report, self.monitor.samples, evidence)
        return report

    async def _send(self, seconds: float) -> None:
        pace = EventsPerSecond(max(1.0, len(self.history) / seconds))
        async with IngestClient(self._stack.url("ingest")) as client:
            replay = Replay(client, pace=InStep(pace, self.monitor, self._ahead))
            self.progress = replay.progress
            await replay.run(self.history)

    async def _watch(self) -> None:
        async for sample in self.monitor.samples_forever(_SAMPLE_EVERY_S):
            self._screen.show(sample)

    def _ahead(self, sample: Sample) -> list[str]:
        ahead = self.progress.accepted - sample.accounted
        return [f"{ahead} accepted events are not in the state"] if ahead > _AHEAD else []

    def _missing(self, sample: Sample) -> list[str]:
        """Say what of the history is not yet where it belongs."""
        found = {
            f"{self.progress.accepted - sample.accounted} accepted events are not in the state": (
                sample.accounted != self.progress.accepted
            ),
            "the scorer has not seen the present": sample.now < self.progress.at,
            f"the campaigner is {sample.behind} records behind": sample.behind > 0,
        }
        return [text for text, is_missing in found.items() if is_missing]


class InStep:
    """A pace that waits for the scorer too, however fast the machine is."""

    def __init__(
        self, pace: EventsPerSecond, monitor: Monitor, ahead: Callable[[Sample], list[str]]
    ) -> None:
        self._pace = pace
        self._monitor = monitor
        self._ahead = ahead

    async def wait(self, step: Step) -> None:
        """Return when a step is due and the scorer is near."""
        await self._pace.wait(step)
        await until(self._monitor, self._ahead)


async def until(
    monitor: Monitor,
    missing: Callable[[Sample], list[str]],
    *,
    quiet_s: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when nothing is missing, and nothing has changed for a while.

    Parameters
    ----------
    monitor
        Whose samples to look at; somebody else takes them.
    missing
        Returns what a sample still lacks, in words.
    quiet_s
        How long nothing may have changed.

    Raises
    ------
    UnsettledError
        Something is missing, and nothing has changed for a minute.

    """
    seen, since = None, clock()
    while True:
        sample = monitor.last
        lacking = missing(sample)
        # The scorer's time is a sign of life, and once all has arrived it is no unrest.
        state = (sample.moving, sample.now if lacking else None)
        if state != seen:
            seen, since = state, clock()
        quiet = clock() - since
        if not lacking and quiet >= quiet_s:
            return
        if quiet > _PATIENCE_S:
            raise UnsettledError(
                f"{'; '.join(lacking)}, and nothing has moved for {_PATIENCE_S:.0f} s. "
                "The services' logs are beside the report"
            )
        await asyncio.sleep(0.05)


async def run_demo(options: Options, screen: Screen) -> Report:
    """Run the demo; the report is written when it returns.

    Raises
    ------
    TenureError
        It could not be done; the services' logs are then in ``report_dir/logs``.

    """
    started = time.monotonic()
    screen.say("Reading a year of purchases")
    reading = asyncio.create_task(asyncio.to_thread(demo_events, datetime.now(UTC), options.part))
    async with Stack(place(options.report_dir / "logs"), screen.say) as stack:
        demo = Demo(stack, await reading, screen)
        screen.say(f"Replaying {len(demo.history):,} events into {stack.url('ingest')}")
        screen.say("The demo's campaign fires on history; elsewhere an old crossing reaches nobody")
        screen.expect(len(demo.history))
        await demo.replay(options.replay_s)
        report = await demo.report(options.report_dir, started)
        if options.keep:
            screen.say(f"Still running: {urls(stack)}. Control-C ends it")
            await asyncio.Event().wait()
    return report


async def replay_once(stack: Stack, screen: Screen, part: Slice) -> None:
    """Replay the demo's year into a stack that has no data yet; else say so, and leave it alone.

    A part of it passes as fast as the whole. A second time it would count again: deduplication
    reaches back some events, not a year.
    """
    monitor = Monitor(stack, lambda: 0)
    found = await monitor.sample()
    await monitor.close()
    if found is None or found.customers:
        screen.say("There is data already, so the demo's year is not replayed")
        return
    screen.say("Reading a year of purchases")
    history = await asyncio.to_thread(demo_events, datetime.now(UTC), part)
    screen.expect(len(history))
    passes_s = Options.replay_s * min(part.days or _YEAR_DAYS, _YEAR_DAYS) / _YEAR_DAYS
    await Demo(stack, history, screen).replay(passes_s)
