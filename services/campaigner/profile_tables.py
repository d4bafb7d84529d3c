"""A customer's live profile as tables for people: one for each thing that an operator asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.table import Table
from rich.text import Text

from shared.domain.dealings import Dealings, ServiceUse
from shared.domain.features import DAY_MS
from shared.domain.outputs import Profile, Reason, Score
from shared.domain.uptake import NextProduct

Row = tuple[str, str]

SERVICES: Final = ("service", "last used", "in all", "a day (30)", "a day (90)", "trend")
PRODUCTS: Final = ("product", "last bought")
NEXT: Final = ("likely next", "in 30 days", "against others")

#: Under this a change of risk is none.
_STEADY: Final = 0.005


def profile_tables(
    score: Score, at_stake: float, following: Sequence[NextProduct] = ()
) -> list[Table]:
    """Return the sections that have something to say; times are in UTC.

    ``at_stake`` is what it is worth that the customer surely stays for one more horizon,
    ``following`` what the customer is likely to take up next.
    """
    found = sections(score)
    found["value"].append(("at stake", f"{_money(at_stake)} if the next horizon were sure"))
    tables = [_section(name, rows) for name, rows in found.items()]
    return [*tables, *_lists(score.dealings), *_next(following), _reasons(score)]


def sections(score: Score) -> dict[str, list[Row]]:
    """Return the facts of the sections that have something to say, by their names."""
    all_of_them = {
        "customer": _customer(score),
        "risk": _risk(score),
        "activity": _activity(score),
        "value": _value(score),
        "account": _account(score.profile, score.dealings),
        "touch points": _touches(score.dealings),
    }
    told = {name: list(rows) for name, rows in all_of_them.items()}
    return {name: rows for name, rows in told.items() if rows}


def day(epoch_ms: int | None) -> str:
    """Return a date."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).date().isoformat() if epoch_ms else "never"


def minute(epoch_ms: int) -> str:
    """Return a time to the minute."""
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _customer(score: Score) -> Iterator[Row]:
    yield "id", score.customer
    lasted = (score.at - score.stage_since) // DAY_MS
    yield "stage", f"{score.stage} since {day(score.stage_since)} ({_days(lasted)})"
    if score.segment:
        yield "segment", f"{score.segment} (recency, frequency, money {score.rfm})"
    yield "as of", minute(score.at)
    if score.next_review:
        yield "next review", minute(score.next_review)


def _risk(score: Score) -> Iterator[Row]:
    yield "silence", f"{score.risk:.1%} by model {score.model or 'heuristic'}"
    for back, then in (("7 days ago", score.risk_7d_ago), ("30 days ago", score.risk_30d_ago)):
        if then is not None:
            yield back, f"{then:.1%} ({_change(score.risk - then)})"
    forced = f" (involuntarily {score.p_involuntary:.1%})" if score.p_involuntary else ""
    yield "account closed", f"{score.p_closed:.1%}{forced}"
    yield "either", f"{score.p_churn:.1%}"


def _change(change: float) -> str:
    if abs(change) < _STEADY:
        return "steady since"
    return f"{100 * abs(change):.1f} points {'up' if change > 0 else 'down'} since"


def _activity(score: Score) -> Iterator[Row]:
    yield "last active", _ago(score.last_activity, score.at)
    yield "first active", day(score.first_activity)
    yield "active days", f"{score.visits:,}"
    yield "purchases", f"{score.purchases:,}"
    recharged, usual = score.dealings.recharged_at, score.dealings.recharge_days
    if recharged is not None:
        yield "last recharge", _ago(recharged, score.at)
    if recharged is not None and usual is not None:
        due = recharged + round(usual * DAY_MS)
        yield "next recharge", f"about {day(due)}, usually every {_days(usual)}"


def _value(score: Score) -> Iterator[Row]:
    yield "spend", _money(score.spend)
    yield "revenue", _money(score.revenue)
    yield "margin", _money(score.margin)
    kinds = ", ".join(f"{kind} {_money(much)}" for kind, much in score.dealings.costs.items())
    yield "cost", f"{_money(score.cost)}{f' ({kinds})' if kinds else ''}"
    yield "expected spend", f"{_money(score.expected_spend)} within the horizon"
    band = f", fifth {score.value_band} of 5" if score.value_band else ""
    yield "lifetime value", f"{_money(score.clv)} to come{band}"


def _account(profile: Profile, dealings: Dealings) -> Iterator[Row]:
    yield from _given(
        ("status", profile.status),
        ("plan", profile.plan),
        ("plan limit", _number(profile.plan_limit)),
        ("brand", profile.brand),
        ("market", profile.market),
        ("time zone", profile.time_zone),
        ("balance", _number(profile.balance)),
        ("expires", _date(profile.expiry)),
        ("contract ends", _date(profile.contract_end)),
        ("source", profile.acquisition_source),
        ("referred by", profile.referred_by),
        ("trial started", _date(dealings.trial_at)),
        ("notice given", _date(dealings.notice_at)),
        ("paused", _date(dealings.paused_at)),
        ("closed", _date(dealings.closed_at)),
        ("failed payments", _number(dealings.payments_failed or None)),
        ("overdue since", _date(dealings.overdue_since)),
        ("consent", _consent(profile.consent)),
    )
    yield from profile.attributes.items()


def _touches(dealings: Dealings) -> Iterator[Row]:
    if dealings.contacts:
        yield "in all", f"{dealings.contacts:,}"
    yield from _given(
        ("accepted", _number(dealings.accepted or None)),
        ("complaints", _number(dealings.complaints or None)),
        ("last complaint", _date(dealings.complained_at)),
        ("last rating", _number(dealings.rating)),
    )
    if (last := dealings.last_contact) is not None:
        answers = f", answers {last.trigger_id}" if last.trigger_id else ""
        yield "last", f"{day(last.at)} {last.channel} {last.outcome}{answers}"


def _lists(dealings: Dealings) -> Iterator[Table]:
    if rows := services(dealings):
        yield _table(SERVICES, rows)
    if rows := products(dealings):
        yield _table(PRODUCTS, rows)


def services(dealings: Dealings) -> list[Sequence[str]]:
    """Return what a customer uses, in the columns of `SERVICES`."""
    return [_service(*one) for one in sorted(dealings.services.items())]


def products(dealings: Dealings) -> list[Sequence[str]]:
    """Return what a customer bought last, in the columns of `PRODUCTS`; the newest first."""
    newest = sorted(dealings.products.items(), key=lambda one: -one[1])
    return [(name, day(at)) for name, at in newest]


def likely(following: Sequence[NextProduct]) -> list[Sequence[str]]:
    """Return what a customer is likely to take up next, in the columns of `NEXT`."""
    return [(one.product, f"{one.rate:.2%}", f"{one.lift:.2f} times") for one in following]


def _next(following: Sequence[NextProduct]) -> Iterator[Table]:
    if following:
        yield _table(NEXT, likely(following))


def _service(name: str, use: ServiceUse) -> Sequence[str]:
    trend = f"{use.per_day_30 / use.per_day_90 - 1:+.0%}" if use.per_day_90 else "-"
    rates = (f"{use.per_day_30:,.3g}", f"{use.per_day_90:,.3g}")
    return name, day(use.last), f"{use.quantity:,.6g}", *rates, trend


def in_words(reason: Reason) -> str:
    """Return a reason in words, and for what it is one where that is not silence."""
    return reason.text if reason.of == "silent" else f"{reason.text} (for closing the account)"


def _reasons(score: Score) -> Table:
    rows = ((f"{each.contribution:+.2f}", in_words(each)) for each in score.reasons)
    return _table(("log odds", "why"), rows)


def _section(name: str, rows: Iterable[Row]) -> Table:
    return _table((name, ""), rows)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    made = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        # As text: what customers are called may hold what rich would take for markup.
        made.add_row(*map(Text, row))
    return made


def _given(*rows: tuple[str, str | None]) -> Iterator[Row]:
    return ((name, text) for name, text in rows if text is not None)


def _date(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else day(epoch_ms)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.6g}"


def _consent(consent: dict[str, bool]) -> str | None:
    said = (f"{about} {'given' if yes else 'withdrawn'}" for about, yes in consent.items())
    return ", ".join(said) or None


def _ago(at: int, now: int) -> str:
    return f"{day(at)} ({_days((now - at) // DAY_MS)} ago)" if at else "never"


def _days(count: float) -> str:
    return "1 day" if count == 1 else f"{count:,.4g} days"


def _money(amount: float) -> str:
    return f"{amount:,.2f}"
