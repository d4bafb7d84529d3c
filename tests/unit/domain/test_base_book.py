"""The base over time against an oracle that keeps every payment, exactly, in Decimal."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.base_book import (
    MONTHS_BY,
    Booked,
    Cell,
    Changes,
    MonthsBy,
    Place,
    Sums,
    add,
    book,
    erased,
    month_name,
    month_of,
)
from shared.domain.base_months import Bridge, Month, parts
from shared.domain.dealings import Dealings
from shared.domain.outputs import Profile, Score, Stage
from shared.domain.seen import Seen
from tests.campaign_builders import DAY, T0, score

CENT = Decimal("0.01")
MOVEMENTS = [each for each in Bridge.__struct_fields__ if each not in {"opening", "closing"}]
STAGES: list[Stage] = ["prospect", "growth", "maturity", "lapsed"]


def told(
    customer: str,
    day: int,
    cents: int,
    plan: str = "basic",
    stage: Stage = "growth",
    **other: object,
) -> Score:
    """Return a score on a day after T0, with revenue to date; a tenth of it is margin."""
    return score(
        customer,
        at=T0 + day * DAY,
        last_activity=T0 + day * DAY,
        revenue=cents / 100,
        margin=cents / 1000,
        stage=stage,
        profile=Profile(plan=plan, market="north" if plan != "pro" else "south"),
        **other,
    )


def folded(scores: Sequence[Score]) -> Changes:
    """Return all that scores, in their order, change."""
    booked, seen, changes = dict[str, Booked](), dict[str, Seen](), Changes()
    for each in scores:
        who = each.customer
        booked[who], more = book(booked.get(who), seen.get(who), each)
        seen[who] = Seen.of(each)
        add(changes, more)
    return changes


def of(changes: Changes, by: MonthsBy, until: int) -> dict[str, dict[str, Month]]:
    found = parts({cell: sums for cell, sums in changes.items() if cell.by == by}, until)
    return {part.name: {each.month: each for each in part.months} for part in found}


@st.composite
def lives(draw: st.DrawFn) -> list[Score]:
    """Generate scores of a few customers who pay, get money back, and change plans over months."""
    steps = st.tuples(
        st.sampled_from(["anna", "bela", "chris"]),
        st.integers(0, 45),
        st.integers(-900, 2_000),
        st.sampled_from(["basic", "plus", "pro"]),
        st.sampled_from(STAGES),
        st.booleans(),
    )
    day, revenue, found = 0, dict[str, int](), list[Score]()
    for who, later, cents, plan, stage, by_operator in draw(st.lists(steps, max_size=40)):
        day += later
        revenue[who] = revenue.get(who, 0) + cents
        found.append(
            told(
                who, day, revenue[who], plan, stage, closed=stage == "lapsed" and day % 2 == 0,
                dealings=Dealings(closed_by_operator=by_operator),
            )
        )  # fmt: skip
    return found


def paid(scores: Sequence[Score]) -> dict[str, dict[int, tuple[Decimal, Profile]]]:
    """Return, by customer and month, what was paid and where at its end, out of single payments."""
    found: dict[str, dict[int, tuple[Decimal, Profile]]] = defaultdict(dict)
    total = defaultdict[str, Decimal](Decimal)
    for each in scores:
        who, month = each.customer, month_of(each.at)
        now = Decimal(str(each.revenue)).quantize(CENT)
        before, _ = found[who].get(month, (Decimal(), each.profile))
        found[who][month] = before + now - total[who], each.profile
        total[who] = now
    return found


def expected_bridge(scores: Sequence[Score], by: MonthsBy, name: str, month: int) -> Bridge:
    """Classify each customer of a month by the textbook."""
    moves = dict.fromkeys(Bridge.__struct_fields__, Decimal())

    def place(profile: Profile) -> str:
        return getattr(Place.of(profile), by)

    def level(months: dict[int, tuple[Decimal, Profile]], at: int) -> tuple[Decimal, str | None]:
        amount, profile = months.get(at, (Decimal(), None))
        return (amount, place(profile)) if amount > 0 and profile else (Decimal(), None)

    for months in paid(scores).values():
        (now, here), (before, there) = level(months, month), level(months, month - 1)
        earlier = any(amount > 0 for at, (amount, _) in months.items() if at < month)
        moves["opening"] += before if there == name else 0
        moves["closing"] += now if here == name else 0
        if here == name and not before:
            moves["won_back" if earlier else "new"] += now
        if here == name and before:
            moves["expansion"] += max(now - before, Decimal())
            moves["contraction"] += min(now - before, Decimal())
            moves["moved_in"] += before if there != name else 0
        if there == name and not now:
            moves["churned"] -= before
        if there == name and now and here != name:
            moves["moved_out"] -= before
    return Bridge(**moves)


@given(lives(), st.sampled_from(MONTHS_BY))
def test_recurring_revenue_is_what_an_oracle_says_and_its_bridge_closes(
    scores: list[Score], by: MonthsBy
) -> None:
    until = month_of(scores[-1].at) + 1 if scores else 0
    for name, months in of(folded(scores), by, until).items():
        opening = Decimal()
        for month in range(until - len(months) + 1, until + 1):
            bridge = months[month_name(month)].recurring
            assert bridge == expected_bridge(scores, by, name, month)
            assert bridge.opening == opening
            moved = sum((getattr(bridge, each) for each in MOVEMENTS), Decimal())
            assert bridge.opening + moved == bridge.closing
            opening = bridge.closing


@given(lives(), st.sampled_from(MONTHS_BY))
def test_customers_revenue_and_margin_add_up(scores: list[Score], by: MonthsBy) -> None:
    last = {each.customer: each for each in scores}
    until = month_of(scores[-1].at) if scores else 0
    found = of(folded(scores), by, until)
    for name, months in found.items():
        inside = [
            each for each in last.values()
            if each.stage not in {"prospect", "lapsed"}
            and getattr(Place.of(each.profile), by) == name
        ]  # fmt: skip
        *_, newest = months.values()
        assert newest.closing == len(inside)
        assert all(each.closing - each.opening == each.net for each in months.values())
    booked = [each for months in found.values() for each in months.values()]
    for money in ("revenue", "margin"):
        whole = sum(Decimal(str(getattr(each, money))) for each in last.values())
        assert abs(sum(getattr(each, money) for each in booked) - whole) < CENT / 10


@given(lives(), st.integers(0, 40))
def test_it_does_not_matter_where_a_fold_is_cut(scores: list[Score], cut: int) -> None:
    changes, booked, seen = Changes(), dict[str, Booked](), dict[str, Seen]()
    for some in (scores[:cut], scores[cut:]):
        batch = Changes()
        for each in some:
            who = each.customer
            booked[who], more = book(booked.get(who), seen.get(who), each)
            seen[who] = Seen.of(each)
            add(batch, more)
        add(changes, batch)
    nothing = Sums()
    assert {cell: one for cell, one in changes.items() if one != nothing} == {
        cell: one for cell, one in folded(scores).items() if one != nothing
    }


def test_who_leaves_is_told_by_how() -> None:
    def life(who: str, **end: object) -> list[Score]:
        return [told(who, 0, 0), told(who, 40, 0, stage="lapsed", **end)]

    scores = [
        *life("silent"),
        *life("left", closed=True),
        *life("put out", closed=True, dealings=Dealings(closed_by_operator=True)),
        told("stays", 0, 0),
    ]
    changes = folded(scores)
    booked = {each.customer: book(None, None, each)[0] for each in scores}
    add(changes, erased(booked["stays"], T0 + 41 * DAY))
    assert not erased(booked["left"], T0 + 41 * DAY)  # who has left cannot leave again
    month = of(changes, "all", month_of(scores[-1].at))["all"][month_name(month_of(T0 + 40 * DAY))]
    assert (month.opening, month.closing, month.churn) == (4, 0, 1.0)
    lost = (month.lost_voluntary, month.lost_involuntary, month.lost_silent, month.lost_erased)
    assert lost == (1, 1, 1, 1)
    assert (month.churn_voluntary, month.churn_involuntary) == (0.25, 0.25)


def test_a_customer_who_is_lost_and_comes_back_is_gained_once() -> None:
    stages: list[Stage] = ["prospect", "growth", "lapsed", "won_back", "lapsed", "won_back"]
    scores = [told("anna", 0, 0, stage=stage) for stage in stages]
    sums = folded(scores)[Cell(month_of(T0), "all", "all")]
    assert (sums.gained, sums.returned, sums.lost_silent) == (1, 2, 2)


def test_money_is_booked_to_the_month_of_the_activity_that_brought_it() -> None:
    first = told("anna", 0, 100)
    later = score("anna", at=T0 + 62 * DAY, last_activity=T0 + 31 * DAY, revenue=7.0, margin=0.7)
    changes = folded([first, later])
    assert changes[Cell(month_of(T0 + 31 * DAY), "all", "all")].revenue == 6_000_000
    assert Cell(month_of(later.at), "all", "all") not in changes


def test_a_customer_from_before_the_base_was_kept_brings_only_what_is_new() -> None:
    before, now = told("anna", 0, 50_000), told("anna", 1, 51_000)
    _, changes = book(None, Seen.of(before), now)
    sums = changes[Cell(month_of(now.at), "all", "all")]
    assert (sums.revenue, sums.won_back, sums.new) == (10_000_000, 10_000_000, 0)
