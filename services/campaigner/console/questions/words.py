"""Figures, times and events in an operator's words. All of it is plain text, never markup."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

_MINUTE_MS: Final = 60_000
_SPANS: Final = ((86_400_000, "day"), (3_600_000, "hour"), (_MINUTE_MS, "minute"))
_LONG: Final = 120


def day(at: int | None) -> str:
    """Return a date (UTC), a hyphen for none.

    >>> day(0), day(None)
    ('1970-01-01', '-')
    """
    return "-" if not at and at != 0 else _utc(at).date().isoformat()


def moment(at: int | None) -> str:
    """Return a date and a time (UTC), a hyphen for none.

    >>> moment(61_000)
    '1970-01-01 00:01'
    """
    return "-" if at is None else _utc(at).strftime("%Y-%m-%d %H:%M")


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def ago(at: int, now: int) -> str:
    """Return how long ago something was.

    >>> ago(0, 7_200_000), ago(0, 90_000), ago(0, 20_000)
    ('2 hours ago', '1 minute ago', 'just now')
    """
    for span, name in _SPANS:
        if (count := (now - at) // span) >= 1:
            return f"{count:,} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def span(milliseconds: int) -> str:
    """Return how long something lasts.

    >>> span(86_400_000), span(5_400_000), span(0)
    ('1 day', '90 minutes', '0 minutes')
    """
    for length, name in _SPANS:
        if milliseconds and milliseconds % length == 0:
            number = milliseconds // length
            return f"{number:,} {name}{'' if number == 1 else 's'}"
    return f"{milliseconds / _MINUTE_MS:g} minutes"


def money(amount: float, currency: str) -> str:
    """Return an amount.

    >>> money(1234.5, "USD"), money(2_500_000, "EUR")
    ('1,234.50 USD', '2.50 M EUR')
    """
    if abs(amount) >= 1e6:  # noqa: PLR2004  # a million
        return f"{amount / 1e6:,.2f} M {currency}"
    return f"{amount:,.2f} {currency}"


def count(number: float | None) -> str:
    """Return a count, a hyphen for none.

    >>> count(12345), count(None)
    ('12,345', '-')
    """
    return "-" if number is None else f"{number:,.0f}"


def name_of(word: str) -> str:
    """Return a name of the wire as people write it.

    >>> name_of("won_back"), name_of("cannot_lose")
    ('won back', 'cannot lose')
    """
    return word.replace("_", " ")


def told(kind: str, data: Mapping[str, Any]) -> str:
    """Return what an event says.

    >>> told("tenure.purchase", {"amount": 25, "category": "recharge"})
    'purchase: 25.00, recharge'
    >>> told("tenure.account", {"status": "plan_changed", "plan": "gold"})
    'account: plan changed, plan gold'
    """
    short = kind.removeprefix("tenure.")
    parts = _PARTS.get(short, _anything)(data)
    text = f"{short}: {', '.join(each for each in parts if each)}" if parts else short
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _purchase(data: Mapping[str, Any]) -> list[str]:
    return [
        _amount(data, "amount"),
        str(data.get("category") or ""),
        str(data.get("product") or ""),
    ]


def _usage(data: Mapping[str, Any]) -> list[str]:
    quantity = f"{data.get('quantity', 1):g} {data.get('unit') or ''}".strip()
    return [str(data.get("service", "")), quantity, _amount(data, "amount")]


def _account(data: Mapping[str, Any]) -> list[str]:
    rest = {name: value for name, value in data.items() if name != "status"}
    return [name_of(str(data.get("status", ""))), *_anything(rest)]


def _contact(data: Mapping[str, Any]) -> list[str]:
    scored = f"score {data['score']:g}" if isinstance(data.get("score"), int | float) else ""
    return [str(data.get("channel", "")), str(data.get("outcome", "")), scored]


def _cost(data: Mapping[str, Any]) -> list[str]:
    return [name_of(str(data.get("kind", ""))), _amount(data, "amount")]


def _anything(data: Mapping[str, Any]) -> list[str]:
    return [f"{name_of(str(name))} {_plain(value)}" for name, value in data.items()]


def _plain(value: object) -> str:
    return " ".join(_anything(value)) if isinstance(value, dict) else str(value)


def _amount(data: Mapping[str, Any], name: str) -> str:
    amount = data.get(name)
    if not isinstance(amount, int | float):
        return ""
    return f"{amount:,.2f} {data.get('currency') or ''}".strip()


_PARTS: Final[dict[str, Callable[[Mapping[str, Any]], list[str]]]] = {
    "purchase": _purchase,
    "usage": _usage,
    "account": _account,
    "contact": _contact,
    "cost": _cost,
}
