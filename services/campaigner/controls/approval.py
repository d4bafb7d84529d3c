"""Who may approve a version of a campaign: somebody with a name, who did not write it."""

from __future__ import annotations

from collections.abc import Callable

from services.campaigner.campaign_file import CampaignBook
from shared.adapters.api_keys import ANYONE, Caller
from shared.adapters.sql.control_store import ControlStore, RefusedError
from shared.domain.errors import TenureError


class OutdatedError(TenureError):
    """What was read is not in force any more."""


def approve(
    store: ControlStore,
    book: CampaignBook,
    knows: Callable[[str], bool],
    *,
    campaign: str,
    version: str,
    caller: Caller,
) -> None:
    """Approve the version of a campaign that was read.

    Parameters
    ----------
    store, book
        Where it is kept, and what is in force.
    knows
        Tells whether an API key has a name.

    Raises
    ------
    RefusedError
        The caller has no name, wrote it, or nobody can tell.
    OutdatedError
        Another version is in force by now.

    """
    if caller is ANYONE:
        raise RefusedError(
            "An approval needs a name: set TENURE_CAMPAIGNER_KEYS_FILE to a keys file."
        )
    current = {each.name: each.version for each in book.campaigns}.get(campaign)
    if version != current:
        raise OutdatedError(f"{current} is in force, and not {version}. Read it first.")
    author = book.rails.author
    if author is not None and not knows(author):
        raise RefusedError(
            f"No API key is named {author}, whom the file names as its author, so nobody can "
            "tell whether that is you. Write the name of the author's key in `author:`."
        )
    store.approve(campaign, version, caller.name)
