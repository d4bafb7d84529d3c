"""From a table's columns to an event's attributes: ``subject=customer,time=ts,amount=total``."""

from __future__ import annotations

import re
from collections.abc import Mapping as Row
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from shared.domain import event_data, events
from shared.domain.errors import InvalidEventError, TenureError

ENVELOPE: Final = ("subject", "time", "type", "id", "source")
_DATA_STRUCTS: Final = (
    event_data.UsageData,
    event_data.PurchaseData,
    event_data.AccountData,
    event_data.ContactData,
    event_data.CostData,
)
DATA: Final = tuple(
    dict.fromkeys(
        each.name
        for struct in _DATA_STRUCTS
        for each in msgspec.structs.fields(struct)
        if each.name != "attributes"  # it holds others: attributes.NAME
    )
)
_TIMES: Final = frozenset({"time", "expiry", "contract_end"})
#: Targets that take a constant without quotes; elsewhere it could be a misspelt column.
_CONSTANT: Final = frozenset({"type", "source", "currency"})
_TYPES: Final = frozenset({"usage", "purchase", "account", "contact", "cost"})
_PAIR: Final = re.compile(r"""\s*([\w.]+)\s*=\s*('[^']*'|"[^"]*"|[^,]*?)\s*(?:,|$)""")
#: Numbers above it are milliseconds since 1970, below it seconds (it is the year 5138 in these).
_LAST_SECOND: Final = 10**11


class MappingError(TenureError):
    """The mapping does not fit the table; the message says what does."""


@dataclass(frozen=True)
class Column:
    """A value that each row has in a column of its own."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A value that is the same for all rows."""

    text: str


@dataclass(frozen=True)
class Mapping:
    """Where each attribute of an event comes from.

    Attributes
    ----------
    targets
        ``subject``, ``time`` and so on, or a field of ``data``, to its column or constant.

    """

    targets: dict[str, Column | Constant]

    def event(self, row: Row[str, object], number: int) -> events.CustomerEvent:
        """Build the event of a row; ``number`` is its id where no column holds one.

        Raises
        ------
        InvalidEventError
            Naming the attribute, the reason and the remedy.

        """
        fields: dict[str, Any] = {"specversion": "1.0", "id": str(number), "data": {}}
        for target, origin in self.targets.items():
            text = origin.text if isinstance(origin, Constant) else _text(row[origin.name])
            if text is not None:
                _put(fields, target, text)
        return events.build_customer_event(fields)


def parse_mapping(spec: str | None, columns: list[str], *, source: str) -> Mapping:
    """Read ``target=column,...``; without it, columns are taken by their names.

    A column's name may be quoted into a constant (``type='tenure.usage'``); ``type``,
    ``source`` and ``currency`` need no quotes. A type may be short: ``purchase``.

    Raises
    ------
    MappingError
        A target that is no attribute, a column that is not there, or an attribute without which
        there is no event.

    """
    pairs = {name: name for name in columns if _is_target(name)} if spec is None else _pairs(spec)
    targets = {target: _origin(target, origin, columns) for target, origin in pairs.items()}
    targets.setdefault("source", Constant(source))
    if "type" not in targets and "amount" in targets:
        targets["type"] = Constant("tenure.purchase")
    for needed in ("subject", "time", "type"):
        if needed not in targets:
            raise MappingError(
                f"no column for {needed}. Add {needed}=COLUMN to --map; "
                f"the columns are {', '.join(columns)}"
            )
    return Mapping(targets)


def _pairs(spec: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    at = 0
    while at < len(spec):
        found = _PAIR.match(spec, at)
        if found is None or not found[2]:
            raise MappingError(f"--map: {spec[at:]!r} is not TARGET=COLUMN,TARGET=COLUMN")
        if found[1] in pairs:
            raise MappingError(f"--map: {found[1]} is given twice")
        pairs[found[1]] = found[2]
        at = found.end()
    return pairs


def _origin(target: str, origin: str, columns: list[str]) -> Column | Constant:
    if not _is_target(target):
        raise MappingError(
            f"--map: {target} is no attribute of an event. "
            f"There are {', '.join((*ENVELOPE, *DATA))}, and attributes.NAME"
        )
    if origin in columns:
        return Column(origin)
    if origin[0] in "'\"":
        return Constant(origin[1:-1])
    if target in _CONSTANT:
        return Constant(origin)
    raise MappingError(
        f"--map: there is no column {origin} for {target}; the columns are {', '.join(columns)}. "
        f"For the same value in all rows, quote it: {target}='{origin}'"
    )


def _is_target(name: str) -> bool:
    return name in ENVELOPE or name in DATA or name.startswith("attributes.")


def _put(fields: dict[str, Any], target: str, text: str) -> None:
    if target in _TIMES:
        text = _time(target, text)
    if target == "type" and text in _TYPES:
        text = f"tenure.{text}"
    if target in ENVELOPE:
        fields[target] = text
        return
    place, _, name = target.rpartition(".")
    (fields["data"].setdefault(place, {}) if place else fields["data"])[name] = text


def _text(value: object) -> str | None:
    """Return a cell as text, ``None`` for one that holds nothing."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    # NaN is how tables of numbers say that there is none.
    if value is None or value == "" or value != value:  # noqa: PLR0124
        return None
    return str(value).strip()


def _time(target: str, text: str) -> str:
    """Return an RFC 3339 time; without an offset it is UTC, a number counts from 1970."""
    try:
        return _parsed(text).isoformat()
    except (ValueError, OverflowError, OSError):
        raise InvalidEventError(
            target, f"{text!r} is no time", "Write it like 2026-01-31T12:00:00Z"
        ) from None


def _parsed(text: str) -> datetime:
    try:
        number = float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return datetime.fromtimestamp(number / (1000 if number > _LAST_SECOND else 1), UTC)
