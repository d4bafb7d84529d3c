"""The rules in force: what the campaign file says now, or said before it was broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from services.campaigner.campaign_file import (
    CampaignBook,
    CampaignFileError,
    campaign_bytes,
    parse_campaigns,
)
from shared import metrics
from shared.domain.campaign_state import Rules
from shared.domain.controls import UNCONTROLLED, Controls

log = structlog.get_logger(__name__)

_LOOK_S: Final = 1.0


class LiveRules:
    """Follows the campaign file: call it for the rules that are in force now.

    A changed file takes effect within a second or two. One that cannot be used changes nothing but
    the log and a metric.

    Parameters
    ----------
    path
        The file; ``None`` for the built-in campaigns.
    salt
        That of the control groups.
    keep
        Called with the campaigns before they take effect, so that every version is on record.
    controls
        Returns what people decided beside the file.
    monotonic
        Seconds that only go forward.

    Raises
    ------
    CampaignFileError
        The file cannot be used now, at the start.

    """

    def __init__(
        self,
        path: Path | None,
        salt: str,
        *,
        keep: Callable[[CampaignBook], None] = lambda _: None,
        controls: Callable[[], Controls] = lambda: UNCONTROLLED,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._salt = salt
        self._keep = keep
        self._controls = controls
        self._monotonic = monotonic
        self._name = str(path or "built-in campaigns")
        self._content = b""
        self._said = ""  # the last error that was logged
        #: The campaigns in force.
        self.book = self._load(campaign_bytes(path))
        self._look_at = self._monotonic() + _LOOK_S

    def __call__(self) -> Rules:
        """Return the rules in force, after a look at the file if the last one is a while ago."""
        if self._path is not None and self._monotonic() >= self._look_at:
            self._look_at = self._monotonic() + _LOOK_S
            self._look()
        book, controls = self.book, self._controls()
        segments = book.segments, book.definitions
        return Rules(book.campaigns, self._salt, book.rails, controls, *segments)

    def _look(self) -> None:
        # Read and compared as a whole: it is small, and times and sizes can deceive.
        try:
            content = campaign_bytes(self._path)
            if content != self._content:
                self.book = self._load(content)
        except CampaignFileError as error:
            metrics.CAMPAIGNER_FILE_VALID.set(0)
            self._say(str(error))
        else:
            metrics.CAMPAIGNER_FILE_VALID.set(1)
            self._said = ""

    def _say(self, problem: str) -> None:
        if problem != self._said:  # once, and not with each look
            log.error("campaign file not usable, the former stays", problem=problem)
            self._said = problem

    def _load(self, content: bytes) -> CampaignBook:
        book = parse_campaigns(content, self._name)
        self._keep(book)
        self._content, self._said = content, ""
        metrics.CAMPAIGNER_FILE_VALID.set(1)
        log.info("campaigns in force", version=book.version, campaigns=len(book.campaigns))
        return book
