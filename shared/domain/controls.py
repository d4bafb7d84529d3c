"""What people decided about campaigns beside their file: stops, approvals, the suppression list."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct, field

from shared.domain.campaign_outputs import Decision

#: Stands for all campaigns together, where a hold names one.
ALL: Final = "*"


class Hold(Struct, frozen=True):
    """Who stopped campaigns, when (epoch ms), and why."""

    by: str
    at: int
    reason: str

    def __str__(self) -> str:
        return f"by {self.by}: {self.reason}" if self.reason else f"by {self.by}"


class Controls(Struct, frozen=True):
    """What holds beside the campaign file.

    Attributes
    ----------
    holds
        By campaign, `ALL` for the kill switch.
    approved
        (campaign, version) that another than the author approved.
    suppressed
        Customers whom no campaign contacts.

    """

    holds: Mapping[str, Hold] = field(default_factory=dict)
    approved: Collection[tuple[str, str]] = frozenset()
    suppressed: Collection[str] = frozenset()

    def why_held(self, campaign: str) -> str | None:
        """Say who stopped all campaigns, or this one; ``None`` while it runs."""
        if ALL in self.holds:
            return f"all campaigns are stopped {self.holds[ALL]}"
        if campaign in self.holds:
            return f"the campaign is paused {self.holds[campaign]}"
        return None

    def keeps(self, decision: Decision) -> bool:
        """Tell whether a decision that was made may not leave now, in either arm."""
        held = self.why_held(decision.campaign) is not None
        return held or decision.customer in self.suppressed


#: Nothing is held, approved or suppressed.
UNCONTROLLED: Final = Controls()
