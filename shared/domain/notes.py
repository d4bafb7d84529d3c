"""What is noted of single events: the profile, the ledger, and what of both the row repeats."""

from __future__ import annotations

from typing import Final

from shared.domain import labels, ledger
from shared.domain.batch import Events
from shared.domain.customer import CustomerTable, Indices, Rows
from shared.domain.emission import Step
from shared.domain.event_data import AccountData
from shared.domain.events import Account, Contact, Cost, Event, Purchase, Usage
from shared.domain.features import DAY_MS, plan_codes
from shared.domain.ledger import Ledger
from shared.domain.lifecycle import CLOSED_INVOLUNTARY
from shared.domain.outputs import Profile
from shared.domain.policy import Policy
from shared.domain.profiles import update_profile
from shared.domain.service_use import use
from shared.domain.signs import MOST, NOTICE, SAID, rating_code

_TELL_OF_CLOSING: Final = frozenset({"closed", "payment_failed", "overdue", "settled"})
#: The last day and second that a row can hold.
_LAST_DAY: Final = 2**16 - 1
_LAST_SECOND: Final = 2**32 - 1


def note(  # noqa: PLR0917  # the step, and whose events of it
    table: CustomerTable,
    step: Step,
    which: Indices,
    events: list[Event],
    columns: Events,
    policy: Policy,
) -> None:
    """Note an event of some of the customers, ``which`` (m,) of the step's n, in place.

    Parameters
    ----------
    events, columns
        (m,) what happened to each of them, and the fold's view of it.

    """
    rows = zip(
        which.tolist(), step.indices[which].tolist(), events, columns["at"].tolist(),
        columns["cost"].tolist(), strict=True,
    )  # fmt: skip
    for n, index, event, at, cost in rows:
        kept = table.ledger(index) or Ledger()
        match event:
            case Usage(data=data):
                use(kept.services, data.service, at, data.quantity)
            case Purchase(data=data):
                ledger.buy(kept, data, at)
            case Contact(data=data):
                ledger.touch(kept, data, at)
                if data.outcome == "complained" or data.score is not None:
                    _repeat_signs(step.rows[n : n + 1], kept, table.profile(index))
            case Cost(data=data):
                ledger.spend(kept, data.kind, cost)
            case Account(data=data):
                profile = table.profile(index)
                table.profiles[index] = profile = update_profile(profile, kept, data, at)
                if cost:
                    ledger.spend(kept, "acquisition", cost)
                _repeat(step.rows[n : n + 1], kept)
                _repeat_signs(step.rows[n : n + 1], kept, profile)
                step.rows["market"][n] = policy.thresholds.code(profile.market)
                if data.status in _TELL_OF_CLOSING:
                    _mark_closed(step.rows[n : n + 1], kept, data, at, policy)
        table.note(index, kept)


def _mark_closed(  # the row, what is known, and the event
    row: Rows, kept: Ledger, data: AccountData, at: int, policy: Policy
) -> None:
    """Mark snapshots of a row (1,) by an account closed, or by what tells how one was."""
    closed_at = at if data.status == "closed" else ledger.last_closed(kept)
    if closed_at:
        forced = ledger.way_out(kept, closed_at) == CLOSED_INVOLUNTARY
        labels.mark_closed(row, closed_at, policy, involuntary=forced)


def _repeat(row: Rows, kept: Ledger) -> None:
    """Put into a row (1,) what steps of many customers have to know of the account."""
    plan, since = ledger.plan(kept)
    row["plan"], row["family"] = plan_codes(plan) if plan else (0, 0)
    row["plan_at"] = since
    row["closed"], _ = ledger.closing(kept)
    row["paused_s"], row["resumed_s"] = (at // 1000 for at in ledger.pause(kept))


def _repeat_signs(row: Rows, kept: Ledger, profile: Profile) -> None:
    """Put into a row (1,) what is a sign of leaving: all of it follows from ledger and profile."""
    found = {
        "complaints": min(kept.complaints, MOST),
        "rating": rating_code(kept.rating[1] if kept.rating else None),
        "failed": min(ledger.payments_failed(kept), MOST),
        "complained_d": min(kept.complained_at // DAY_MS, _LAST_DAY),
        "overdue_d": min(ledger.overdue(kept) // DAY_MS, _LAST_DAY),
        "ends_s": min(max(profile.contract_end or 0, 0) // 1000, _LAST_SECOND),
        "limit": profile.plan_limit or 0.0,
    }
    for name, value in found.items():
        row[name] = value
    gave_notice = NOTICE if ledger.notice(kept) else 0
    row["signs"] = (SAID if any(found.values()) else 0) | gave_notice
