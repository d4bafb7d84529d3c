"""Sources and referrers: by hand, and sums that no order changes."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.acquisition import (
    MONTH_MS,
    Acquired,
    Dealt,
    Referrer,
    Source,
    SourceReport,
    referrers,
    sources,
)

NOW = 1_800_000_000_000


def months_ago(months: float) -> int:
    return round(NOW - months * MONTH_MS)


def acquired(
    customer: str = "anna",
    source: str | None = "web",
    *,
    months: float | None = 10.0,
    spend: float = 0.0,
    revenue: float | None = None,
    margin: float = 0.0,
    cost: float = 0.0,
    clv: float = 0.0,
    trial: bool = False,
    closed: float | None = None,
    by: str | None = None,
) -> Acquired:
    first = 0 if months is None else months_ago(months)
    return Acquired(
        customer=customer,
        first_activity=first,
        last_activity=first,
        spend=spend,
        revenue=spend if revenue is None else revenue,
        margin=margin,
        profile=Source(source, by),
        dealings=Dealt(
            trial_at=NOW if trial else None,
            closed_at=None if closed is None else months_ago(closed),
            costs={"acquisition": cost, "marketing": 1e6} if cost else {},
        ),
        clv=clv,
    )


def test_cac_and_payback_by_hand() -> None:
    base = [
        # 10 months, 60 of margin; 6 months until it was closed, 20 of margin
        acquired("a", spend=120.0, margin=60.0, cost=50.0, clv=90.0, trial=True),
        acquired("b", months=10.0, spend=40.0, margin=20.0, cost=50.0, closed=4.0),
        # cost as much as the others, and never paid
        acquired("c", months=None, cost=20.0, trial=True),
        acquired("d", months=3.0, trial=True),
    ]
    (found,) = sources(base, NOW)
    assert (found.source, found.known, found.converted, found.conversion) == ("web", 4, 2, 0.5)
    assert (found.trials, found.trials_converted) == (3, 1)
    assert found.trial_conversion == pytest.approx(1 / 3)
    assert (found.cost, found.margin, found.equity) == (120.0, 80.0, 90.0)
    assert found.cac == 60.0  # 120 over the two who paid
    assert found.monthly_margin == pytest.approx(5.0)  # 80 over 16 months
    assert found.payback_months == pytest.approx(12.0)
    assert found.return_on_cost == pytest.approx(170.0 / 120.0)


def test_what_has_no_denominator_is_not_told() -> None:
    (found,) = sources([acquired(months=None)], NOW)
    assert found == SourceReport(
        source="web", known=1, converted=0, conversion=0.0, trials=0, trials_converted=0,
        trial_conversion=None, cost=0.0, margin=0.0, equity=0.0, cac=None, monthly_margin=None,
        payback_months=None, return_on_cost=None,
    )  # fmt: skip


def test_margin_that_is_lost_pays_nothing_back() -> None:
    (found,) = sources([acquired(spend=10.0, revenue=-10.0, margin=-5.0, cost=8.0)], NOW)
    assert found.converted == 1  # an own purchase, refunded since
    assert found.cac == 8.0
    assert found.payback_months is None


def test_whom_the_system_charges_has_paid_and_has_no_months_without_activity() -> None:
    renewing = acquired("a", months=None, revenue=30.0, margin=30.0, cost=12.0)
    (found,) = sources([renewing], NOW)
    assert (found.converted, found.cac) == (1, 12.0)
    assert (found.monthly_margin, found.payback_months) == (None, None)
    (found,) = sources([renewing, acquired("b", months=2.0, spend=4.0, margin=4.0)], NOW)
    assert found.monthly_margin == pytest.approx(2.0)


def test_the_largest_source_comes_first_and_unknown_ones_are_one() -> None:
    base = [acquired(source="x"), acquired(source=None), acquired(source=None), acquired()]
    assert [each.source for each in sources(base, NOW)] == ["none", "web", "x"]


def test_who_brought_whom() -> None:
    base = [
        acquired("a", by="eva", spend=1.0, margin=3.0, clv=10.0),
        acquired("c", by="eva", margin=-1.0),
        acquired("b", by="eva"),
        acquired("d", by="tom", spend=1.0),
        acquired("e", by="tom", spend=1.0, clv=2.0),
        acquired("f", by="zoe"),
        acquired("g"),
    ]
    assert referrers(base, 2) == [
        Referrer("tom", 2, 2, 0.0, 2.0, ["d", "e"]),
        Referrer("eva", 3, 1, 2.0, 10.0, ["a", "b", "c"]),
    ]
    assert [each.customer for each in referrers(base, 9)] == ["tom", "eva", "zoe"]


def test_cents_add_up_to_cents() -> None:
    (found,) = sources([acquired(margin=2.01, cost=2.01, clv=2.01)] * 100, NOW)
    assert (found.margin, found.cost, found.equity) == (201.0, 201.0, 201.0)


AMOUNTS = st.integers(-(10**11), 10**11)


@given(
    st.lists(st.tuples(AMOUNTS, st.sampled_from(["a", "b", None]), st.booleans()), max_size=30),
    st.randoms(use_true_random=False),
)
def test_nobody_and_no_money_is_left_out_in_any_order(
    facts: list[tuple[int, str | None, bool]], random: Random
) -> None:
    base = [
        acquired(str(n), source, spend=max(micros, 0) / 1e6, revenue=micros / 1e6,
                 margin=micros / 1e6, cost=abs(micros) / 1e6, by="eva" if referred else None)
        for n, (micros, source, referred) in enumerate(facts)
    ]  # fmt: skip
    shuffled = random.sample(base, len(base))
    found = sources(base, NOW)
    assert sources(shuffled, NOW) == found
    assert sum(each.known for each in found) == len(facts)
    assert sum(round(each.margin * 1e6) for each in found) == sum(m for m, _, _ in facts)
    assert sum(round(each.cost * 1e6) for each in found) == sum(abs(m) for m, _, _ in facts)
    assert sum(each.converted for each in found) == sum(m > 0 for m, _, _ in facts)
    brought = referrers(shuffled, 10)
    assert brought == referrers(base, 10)
    assert sum(each.brought for each in brought) == sum(referred for _, _, referred in facts)
