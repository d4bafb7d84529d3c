"""The dashboards, each in a module of its own."""

from __future__ import annotations

from typing import Final

from deploy.grafana.boards.campaigns import CAMPAIGNS
from deploy.grafana.boards.lifecycle import LIFECYCLE
from deploy.grafana.boards.model import MODEL
from deploy.grafana.boards.operations import OPERATIONS

BOARDS: Final = (OPERATIONS, LIFECYCLE, MODEL, CAMPAIGNS)
