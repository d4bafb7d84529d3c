"""What is noted of single events: the profile, the ledger, and what of both the row repeats."""

from __future__ import annotations

from shared.domain import labels, ledger
from shared.domain.batch import Events
from shared.domain.customer import CustomerTable, Indices, Rows
from shared.domain.emission import Step
from shared.domain.events import Account, Contact, Cost, Event, Purchase, Usage
from shared.domain.features import plan_codes
from shared.domain.ledger import Ledger
from shared.domain.policy import Policy
from shared.domain.profiles import update_profile
from shared.domain.service_use import use


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
            case Cost(data=data):
                ledger.spend(kept, data.kind, cost)
            case Account(data=data):
                profile = table.profile(index)
                table.profiles[index] = profile = update_profile(profile, kept, data, at)
                if cost:
                    ledger.spend(kept, "acquisition", cost)
                _repeat(step.rows[n : n + 1], kept)
                step.rows["market"][n] = policy.thresholds.code(profile.market)
                if data.status == "closed":
                    labels.mark_closed(step.rows[n : n + 1], at, policy)
        table.note(index, kept)


def _repeat(row: Rows, kept: Ledger) -> None:
    """Put into a row (1,) what steps of many customers have to know of the account."""
    plan, since = ledger.plan(kept)
    row["plan"], row["family"] = plan_codes(plan) if plan else (0, 0)
    row["plan_at"] = since
    row["closed"], _ = ledger.closing(kept)
    row["paused_s"], row["resumed_s"] = (at // 1000 for at in ledger.pause(kept))
