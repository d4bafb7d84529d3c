"""What a person sees while the demo runs: a live picture on a terminal, else plain lines."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Final, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.campaigner.report_tables import share
from services.demo.monitor import OUTCOMES, Sample

_PLAIN_EVERY_S: Final = 5.0
_RATE_OVER_S: Final = 5.0
_SAID: Final = 6
_BAR: Final = 40
STYLES: Final = {
    "prospect": "white",
    "onboarding": "cyan",
    "growth": "green",
    "maturity": "bright_green",
    "decline": "yellow",
    "dormant": "dark_orange",
    "lapsed": "red",
    "won_back": "magenta",
}


class Screen(Protocol):
    """Shows lines and samples between entering and leaving it."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *_: object) -> None:
        """Stop showing; what was said stays."""

    def say(self, line: str) -> None:
        """Show a line about what happens."""

    def expect(self, events: int) -> None:
        """Take note of how many events are to come."""

    def show(self, sample: Sample) -> None:
        """Show how it goes."""


def screen(console: Console) -> Screen:
    """Return the screen that fits the console."""
    return LiveScreen(console) if console.is_terminal else PlainScreen(console)


class PlainScreen:
    """A line every few seconds, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0
        self._rate = Rate()

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def expect(self, events: int) -> None:
        """Need not know."""

    def show(self, sample: Sample) -> None:
        """Print a sample, when the last is long enough ago."""
        rate = self._rate.of(sample)
        if sample.seconds >= self._next:
            self._next = sample.seconds + _PLAIN_EVERY_S
            self.say(plain(sample, rate))


class LiveScreen:
    """A picture that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._total: int | None = None
        self._said: deque[str] = deque(maxlen=_SAID)
        self._sample = Sample()
        self._rate = Rate()
        self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=4)

    def __enter__(self) -> Self:
        """Take the terminal."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last picture, and give the terminal back."""
        self._live.stop()

    def say(self, line: str) -> None:
        """Show a line below the picture."""
        self._said.append(line)

    def expect(self, events: int) -> None:
        """Measure the bar against it."""
        self._total = events

    def show(self, sample: Sample) -> None:
        """Draw a sample from now on."""
        self._sample = sample
        self._rate.of(sample)

    def _picture(self) -> RenderableType:
        sample = self._sample
        said = Text("\n".join(self._said), style="dim")
        if not sample.now:
            return Panel(said, title="Tenure", title_align="left")
        parts = Table.grid(padding=(0, 4), expand=True)
        parts.add_row(_facts(sample, self._rate.value), _stages(sample))
        bar = ProgressBar(self._total or sample.accepted, sample.accepted)
        title = f"Tenure, {day(sample.now)}"
        return Panel(Group(bar, Text(), parts, Text(), said), title=title, title_align="left")


class Rate:
    """Events in the state per second, over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self.value = 0.0

    def of(self, sample: Sample) -> float:
        """Take a sample, and return the rate at it."""
        self._seen.append((sample.seconds, sample.accounted))
        while sample.seconds - self._seen[0][0] > _RATE_OVER_S:
            self._seen.popleft()
        seconds, events = self._seen[0]
        passed = sample.seconds - seconds
        self.value = (sample.accounted - events) / passed if passed else 0.0
        return self.value


def plain(sample: Sample, rate: float) -> str:
    """Put a sample into a line."""
    if not sample.now:
        return "waiting for the first event"
    outcomes = "  ".join(f"{name} {sample.outcomes.get(name, 0):,}" for name in OUTCOMES[:2])
    return (
        f"{day(sample.now)}  accepted {sample.accepted:,}  in state {sample.in_state:,}  "
        f"lag {sample.lag:,}  {rate:,.0f} events/s  customers {sample.customers:,}  "
        f"AUC {number(sample.model.auc)} ({sample.model.labels:,} labels)  {outcomes}  "
        f"uplift {uplift(sample)}"
    ).replace("held_out", "held out")


def number(value: float | None) -> str:
    """Write a measure with three places, a dash where there is none yet."""
    return "-" if value is None else f"{value:.3f}"


def uplift(sample: Sample) -> str:
    """Write what the campaign adds to the share that stays, a dash before anything is measured."""
    return "-" if sample.effect is None else share(sample.effect["retention"])


def day(at: int) -> str:
    """Return the date of a time in milliseconds since 1970."""
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def _facts(sample: Sample, rate: float) -> Table:
    model = sample.model
    rows: list[tuple[str, str]] = [
        ("events accepted", f"{sample.accepted:,}"),
        ("in the state", f"{sample.in_state:,}"),
        ("lag (records)", f"{sample.lag:,}"),
        ("events/s", f"{rate:,.0f}"),
        ("", ""),
        ("labels learned", f"{model.labels:,}"),
        ("prequential AUC", number(model.auc)),
        ("log loss, ECE", f"{number(model.log_loss)}, {number(model.ece)}"),
        ("", ""),
        *((f"triggers {name}".replace("_", " "), f"{sample.outcomes.get(name, 0):,}")
          for name in OUTCOMES),
        ("uplift (retained)", uplift(sample)),
    ]  # fmt: skip
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right", style="bold")
    for row in rows:
        table.add_row(*row)
    return table


def _stages(sample: Sample) -> Table:
    most = max(sample.stages.values(), default=0) or 1
    table = Table.grid(padding=(0, 1))
    table.add_row(Text("customers", style="dim"), f"{sample.customers:,}", "")
    for stage, count in sample.stages.items():
        bar = Text("█" * round(_BAR * count / most), style=STYLES[stage])
        table.add_row(stage.replace("_", " "), f"{count:,}", bar)
    return table
