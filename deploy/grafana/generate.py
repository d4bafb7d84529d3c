"""Write the dashboards: ``python -m deploy.grafana.generate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import Board

FOLDER: Final = Path(__file__).with_name("dashboards")


def main() -> None:
    """Write a file for each dashboard."""
    for board in BOARDS:
        (FOLDER / f"{board.uid}.json").write_text(rendered(board))


def rendered(board: Board) -> str:
    """Return a dashboard as Grafana reads it."""
    return json.dumps(board.build().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    main()
