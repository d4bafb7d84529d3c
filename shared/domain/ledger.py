"""What is kept of a customer's dealings: nothing that the order of events could change.

Sums are exact, or decayed to 1e-9. Of all else the newest by event time counts, and of what
happened at one instant always the same, whatever came first. What needs a history (payments that
failed since all was settled, how long a plan has been held) keeps its last times: it is exact for
delays of up to a day, as long as no more than `KEPT` of a kind fall into that day.

A ledger lies packed beside the row, and only where there is something to keep: some forty bytes
for a service, ten for a time.
"""

from __future__ import annotations

from bisect import insort
from itertools import pairwise
from statistics import median
from typing import Final, TypeVar

from msgspec import Struct

from shared.domain.dealings import Dealings, Touch
from shared.domain.event_data import ContactData, PurchaseData
from shared.domain.features import DAY_MS, MICROS
from shared.domain.lifecycle import CLOSED_INVOLUNTARY, CLOSED_VOLUNTARY, OPEN
from shared.domain.service_use import Use

_State = TypeVar("_State", bool, str)

#: Products that are told apart, and times that are kept of one kind.
KEPT: Final = 8
#: The category of purchases whose rhythm is measured.
RECHARGE: Final = "recharge"

#: What a status is kept as. Of two at one instant the later one here counts: who closes one
#: account and opens another has an account. States hold the numbers: another order, another format.
STATUSES: Final = (
    "lead", "qualified", "opportunity", "payment_failed", "overdue", "settled", "plan_changed",
    "brand_changed", "notice_given", "closed", "closed_voluntary", "closed_involuntary",
    "trial_started", "opened", "activated", "renewed", "suspended", "paused",
)  # fmt: skip
CODES: Final = {status: code for code, status in enumerate(STATUSES)}
REOPENS: Final = frozenset({"trial_started", "opened", "activated", "renewed"})
_REOPENED: Final = [CODES[name] for name in REOPENS]
#: Without a word on who wanted it; said to be by the customer; and not to be.
_CLOSED: Final = [CODES[name] for name in ("closed", "closed_voluntary", "closed_involuntary")]
_OWING: Final = [CODES[name] for name in ("payment_failed", "overdue")]
#: The last pause, and its end.
_RESTS: Final = 2
#: In the order in which they can follow each other; kept by number, as statuses are.
OUTCOMES: Final = ("sent", "delivered", "opened", "accepted", "declined", "complained", "rated")
_UNRATED: Final = -1.0

#: A touch point as it is kept: at, number of the outcome, channel, trigger id, score.
_Touch = tuple[int, int, str, str, float]


class Ledger(Struct, array_like=True, gc=False):
    """One customer's. Times are epoch milliseconds, money and quantities micro units.

    Attributes
    ----------
    services, products
        Use by service; when each of the products bought last was bought.
    recharges, recharged_at
        The last days (since 1970) with a recharge, and when the last one was.
    contacts, accepted, complaints, complained_at, touch, rating
        Touch points: how many, of what outcome; the newest; the newest score, with its time.
    costs
        By kind.
    statuses
        When each of `STATUSES` was told of last.
    plans, rests
        The plan, and whether the account pauses: when each was mentioned, so far as it matters.
    failed, failed_before, overdue
        Payments that failed and fell due since all was settled: times, and how many more.
    profile_at, newer
        The event time behind what the profile says, and behind what a later event said of it.

    """

    services: dict[str, Use] = {}
    products: dict[str, int] = {}
    recharges: list[int] = []
    recharged_at: int = 0
    contacts: int = 0
    accepted: int = 0
    complaints: int = 0
    complained_at: int = 0
    touch: _Touch | None = None
    rating: tuple[int, float] | None = None
    costs: dict[str, int] = {}
    statuses: dict[int, int] = {}
    plans: list[tuple[int, str]] = []
    rests: list[tuple[int, bool]] = []
    failed: list[int] = []
    failed_before: int = 0
    overdue: list[int] = []
    profile_at: int = 0
    newer: dict[str, int] = {}


def buy(ledger: Ledger, data: PurchaseData, at: int) -> None:
    """Note a purchase that is no refund: the product, and whether it is a recharge."""
    if data.amount < 0:
        return
    if data.product is not None:
        ledger.products[data.product] = max(at, ledger.products.get(data.product, 0))
        if len(ledger.products) > KEPT:
            oldest = min(ledger.products.items(), key=lambda one: (one[1], one[0]))
            del ledger.products[oldest[0]]
    if data.category == RECHARGE:
        ledger.recharged_at = max(at, ledger.recharged_at)
        day = at // DAY_MS
        if day not in ledger.recharges:
            insort(ledger.recharges, day)
            del ledger.recharges[:-KEPT]


def touch(ledger: Ledger, data: ContactData, at: int) -> None:
    """Note a touch point."""
    ledger.contacts += 1
    ledger.accepted += data.outcome == "accepted"
    if data.outcome == "complained":
        ledger.complaints += 1
        ledger.complained_at = max(at, ledger.complained_at)
    score = _UNRATED if data.score is None else data.score
    this = (at, OUTCOMES.index(data.outcome), data.channel, data.trigger_id or "", score)
    ledger.touch = this if ledger.touch is None else max(this, ledger.touch)
    if data.score is not None:
        ledger.rating = max((at, data.score), ledger.rating or (0, 0.0))


def spend(ledger: Ledger, kind: str, amount: int) -> None:
    """Note a cost in micro units."""
    ledger.costs[kind] = ledger.costs.get(kind, 0) + amount


def status(ledger: Ledger, name: str, at: int) -> None:
    """Note what became of the account, one of `STATUSES`."""
    code = CODES[name]
    ledger.statuses[code] = max(at, ledger.statuses.get(code, 0))
    if name == "paused" or name in REOPENS:
        mention(ledger.rests, at, name == "paused", _RESTS)
    if name in {"payment_failed", "overdue", "settled"}:
        _owe(ledger, name, at)


def mention(found: list[tuple[int, _State]], at: int, state: _State, kept: int) -> None:
    """Note that something was so at a time, in place; of one instant the greater state counts.

    Of what is more than a day older than the newest mention no more will come: there the first
    mentions of the ``kept`` last states are enough.
    """
    if (at, state) in found:
        return
    insort(found, (at, state))
    settled = sum(one[0] < found[-1][0] - DAY_MS for one in found)
    old = [one for n, one in enumerate(found[:settled]) if n == 0 or one[1] != found[n - 1][1]]
    found[:settled] = old[-kept:]
    del found[kept : max(kept, len(found) - KEPT)]


def _owe(ledger: Ledger, name: str, at: int) -> None:
    """Keep what failed or fell due behind the last time when all was settled."""
    settled = ledger.statuses.get(CODES["settled"], 0)
    if name == "settled":
        if any(one <= at for one in ledger.failed):
            ledger.failed_before = 0
        ledger.failed = [one for one in ledger.failed if one > settled]
        ledger.overdue = [one for one in ledger.overdue if one > settled]
    elif at > settled:
        insort(ledger.failed if name == "payment_failed" else ledger.overdue, at)
        ledger.failed_before += len(ledger.failed[:-KEPT])
        del ledger.failed[:-KEPT]
        del ledger.overdue[1 : 1 - KEPT]  # the first one is what is asked for


def newest_status(ledger: Ledger) -> str | None:
    """Return what became of the account last, ``closed`` for either way of closing."""
    if not ledger.statuses:
        return None
    code = max(ledger.statuses, key=lambda one: (ledger.statuses[one], one))
    return "closed" if code in _CLOSED else STATUSES[code]


def closing(ledger: Ledger) -> tuple[int, int]:
    """Return the code of `lifecycle` for whether the account is closed, and since when, or 0."""
    if not ledger.statuses:
        return OPEN, 0
    at = last_closed(ledger)
    return (OPEN, 0) if at <= _reopened(ledger) else (way_out(ledger, at), at)


def last_closed(ledger: Ledger) -> int:
    """Return when the account was closed last, whether it is open again or not; 0 for never."""
    return max(ledger.statuses.get(code, 0) for code in _CLOSED)


def way_out(ledger: Ledger, at: int) -> int:
    """Return the code of `lifecycle` for how an account was closed at a time.

    What the event says counts. Where it says nothing, who owed something then left involuntarily.
    """
    said = max((code for code in _CLOSED if ledger.statuses.get(code) == at), default=_CLOSED[0])
    if said == _CLOSED[0]:
        return CLOSED_INVOLUNTARY if _owed(ledger, at) else CLOSED_VOLUNTARY
    return CLOSED_VOLUNTARY if said == _CLOSED[1] else CLOSED_INVOLUNTARY


def _owed(ledger: Ledger, at: int) -> bool:
    """Tell whether a payment had failed or was overdue at a time, and not settled by then."""
    if any(one <= at for one in (*ledger.failed, *ledger.overdue)):
        return True
    # Settled since: of what was settled the newest is known.
    last = max(ledger.statuses.get(code, 0) for code in _OWING)
    return 0 < last <= at < ledger.statuses.get(CODES["settled"], 0)


def pause(ledger: Ledger) -> tuple[int, int]:
    """Return when the last pause began, and when it ended; 0 for never and not yet."""
    began = ended = 0
    for at, paused in ledger.rests:
        if paused and (ended or not began):
            began, ended = at, 0
        elif not paused and began and not ended:
            ended = at
    return began, ended


def notice(ledger: Ledger) -> int:
    """Return when notice was given, 0 where it was not or no longer holds."""
    at = ledger.statuses.get(CODES["notice_given"], 0)
    return at if at > _reopened(ledger) else 0


def payments_failed(ledger: Ledger) -> int:
    """Return how many payments failed since all was settled."""
    return len(ledger.failed) + ledger.failed_before


def overdue(ledger: Ledger) -> int:
    """Return since when a bill is overdue, 0 where none is."""
    return next(iter(ledger.overdue), 0)


def plan(ledger: Ledger) -> tuple[str | None, int]:
    """Return the plan of the newest event that named one, and since when it is held."""
    if not ledger.plans:
        return None, 0
    since, name = ledger.plans[-1]
    for at, other in reversed(ledger.plans):
        if other != name:
            break
        since = at
    return name, since


def _reopened(ledger: Ledger) -> int:
    return max(ledger.statuses.get(code, 0) for code in _REOPENED)


def told(ledger: Ledger, now: int, since: int) -> Dealings:
    """Return what a score tells at ``now`` of a customer who is known ``since`` then.

    The ledger is used up: what it holds is passed on.
    """
    closed, closed_at = closing(ledger)
    paused_at, resumed_at = pause(ledger)
    return Dealings(
        services={name: use.told(now, since) for name, use in ledger.services.items()},
        products=ledger.products,
        recharge_days=_usual_gap(ledger.recharges),
        recharged_at=ledger.recharged_at or None,
        contacts=ledger.contacts,
        last_contact=_touch(ledger.touch),
        accepted=ledger.accepted,
        complaints=ledger.complaints,
        complained_at=ledger.complained_at or None,
        rating=None if ledger.rating is None else ledger.rating[1],
        payments_failed=payments_failed(ledger),
        overdue_since=overdue(ledger) or None,
        notice_at=notice(ledger) or None,
        paused_at=paused_at if paused_at and not resumed_at and closed == OPEN else None,
        trial_at=ledger.statuses.get(CODES["trial_started"]),
        closed_at=closed_at or None,
        costs={kind: amount / MICROS for kind, amount in ledger.costs.items()},
        closed_by_operator=closed == CLOSED_INVOLUNTARY,
    )


def _usual_gap(days: list[int]) -> float | None:
    gaps = [after - before for before, after in pairwise(days)]
    return float(median(gaps)) if gaps else None


def _touch(kept: _Touch | None) -> Touch | None:
    if kept is None:
        return None
    at, outcome, channel, trigger, score = kept
    rating = None if score == _UNRATED else score
    return Touch(at, channel, OUTCOMES[outcome], trigger or None, rating)
