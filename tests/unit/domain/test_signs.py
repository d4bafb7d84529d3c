"""Signs of leaving: what a row says of account, payments and touch points, and how it is kept."""

from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.domain.customer import ROW, SNAPSHOT
from shared.domain.features import ACTIVITY_FIELDS, FEATURES, feature_matrix, fold_activity, unpack
from shared.domain.policy import DAY_MS
from shared.domain.signs import (
    MOST,
    NOTICE,
    SAID,
    SIGN_FIELDS,
    SIGNS,
    rating_code,
    rating_of,
    sign_columns,
)
from shared.domain.tariffs import Plan, Service, tariff_fit
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    account,
    contact,
    live,
    partition,
    rfc3339,
    row_of,
    run,
    tick,
    usage,
)

NOW = T0 + 100 * DAY_MS
TODAY = NOW // DAY_MS


def signs(**fields: float) -> dict[str, float]:
    """Return what a row says that has these fields."""
    row = np.zeros(1, ROW)
    row["first_seen"], row["signs"] = T0, SAID
    for name, value in fields.items():
        row[name] = value
    return dict(zip(FEATURES, feature_matrix(row, NOW)[0].tolist(), strict=True))


# -- what is said


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"complaints": 3}, "complaints", 3),
        ({"complained_d": TODAY}, "complained", 1),
        ({"complained_d": TODAY - 9}, "complained", 10),
        ({"complained_d": TODAY - 9_000}, "complained", MOST),
        ({"complained_d": TODAY + 1}, "complained", 1),  # told of a little ahead of time
        ({"rating": rating_code(3.0)}, "rating", 76),
        ({"failed": 2}, "payments_failed", 2),
        ({"overdue_d": TODAY - 30}, "overdue", 31),
        ({"signs": NOTICE}, "notice", 1),
        ({"ends_s": NOW // 1000}, "ends", 1),
        ({"ends_s": NOW // 1000 - 1}, "ends", 0),  # over
        ({"ends_s": NOW // 1000 + 86_399}, "ends", 1),
        ({"ends_s": NOW // 1000 + 12 * 86_400}, "ends", 13),
        ({"ends_s": NOW // 1000 + 254 * 86_400 - 1}, "ends", 254),
        ({"ends_s": NOW // 1000 + 254 * 86_400}, "ends", 0),  # too far ahead to say
    ],
)
def test_each_sign_is_a_whole_number(fields: dict[str, float], name: str, value: int) -> None:
    found = signs(**fields)
    assert found[name] == value
    others = {each: found[each] for each in SIGNS if each != name}
    assert not any(others.values()), others


def test_a_row_that_says_nothing_has_no_signs() -> None:
    found = signs(signs=0)
    assert [found[name] for name in SIGNS] == [0.0] * len(SIGNS)


@given(st.floats(0, 10))
def test_a_rating_is_kept_to_a_fiftieth(rating: float) -> None:
    assert 1 <= rating_code(rating) <= MOST
    assert rating_of(float(rating_code(rating))) == pytest.approx(rating, abs=0.0201)


# -- use of what a plan includes


def user(quantity: float, *more: str) -> NDArray[np.void]:
    """Return the row of a customer who used that much each day, of one service or of more."""
    target = partition()
    events = [account("a", T0, "opened", plan="p", plan_limit=50)]
    for n in range(60):
        at = T0 + n * DAY_MS + HOUR_MS
        events += [usage("a", at, quantity=quantity, service=name) for name in ("data", *more)]
    run(target, live(events))
    return np.array([row_of(target, "a")])


@pytest.mark.parametrize("quantity", [0.0, 0.1, 1.0, 1.6, 3.0])
def test_the_share_of_a_plan_is_what_tariffs_make_of_it(quantity: float) -> None:
    target = partition()
    days = [usage("a", T0 + n * DAY_MS, quantity=quantity, service="data") for n in range(60)]
    asked = contact("a", T0 + 59 * DAY_MS)
    last = run(target, live([account("a", T0, "opened", plan_limit=50), *days, asked])).scores[-1]
    profile = msgspec.structs.replace(last.profile, plan="p")
    plans = {"p": Plan(0.0, {"data": Service(allowance=50.0)})}
    share = tariff_fit(msgspec.structs.replace(last, profile=profile), plans).limits
    assert share is not None
    assert last.features[FEATURES.index("used")] == pytest.approx(1 + 100 * share, abs=0.51)


def used(row: NDArray[np.void], now: int) -> float:
    return float(feature_matrix(row, now)[0, FEATURES.index("used")])


def test_nothing_is_said_of_several_services_nor_before_a_month() -> None:
    row = user(1.0)
    assert used(row, T0 + 60 * DAY_MS) == pytest.approx(61, abs=2)
    assert used(row, T0 + 30 * DAY_MS) == 0.0
    assert used(user(1.0, "voice"), T0 + 60 * DAY_MS) == 0.0
    row["limit"] = 0.0
    assert used(row, T0 + 60 * DAY_MS) == 0.0


def test_silence_takes_use_down() -> None:
    row = user(1.0)
    now = T0 + 60 * DAY_MS
    assert used(row, now + 30 * DAY_MS) == pytest.approx(1 + (used(row, now) - 1) / 2, rel=0.15)
    assert used(row, now + 900 * DAY_MS) == 1.0


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 9)), min_size=1, max_size=12))
def test_use_adds_up_in_any_order(uses: list[tuple[int, int]]) -> None:
    rows = np.zeros(2, ACTIVITY_FIELDS)
    mixed = Random(1).sample(uses, len(uses))
    for one, other in zip(uses, mixed, strict=True):
        at = T0 + np.array([one[0], other[0]]) * DAY_MS
        quantity = np.array([one[1], other[1]], np.float64)
        fold_activity(rows, at, np.zeros(2, np.int64), 0, quantity)
    assert rows["used"][0] == pytest.approx(rows["used"][1], rel=1e-9)


# -- how it is kept


def test_the_budget_of_bytes_holds() -> None:
    assert np.dtype(ACTIVITY_FIELDS).itemsize <= 120
    assert SNAPSHOT.itemsize <= 80
    assert np.dtype(SIGN_FIELDS).itemsize == 24


def troubled() -> list[dict[str, object]]:
    end = rfc3339(T0 + 200 * DAY_MS)
    return [
        account("a", T0, "opened", plan="p", plan_limit=40, contract_end=end),
        *(usage("a", T0 + n * DAY_MS) for n in range(40)),
        contact("a", T0 + 40 * DAY_MS, outcome="complained"),
        contact("a", T0 + 41 * DAY_MS, outcome="rated", score=2.5),
        account("a", T0 + 42 * DAY_MS, "payment_failed"),
        account("a", T0 + 43 * DAY_MS, "overdue"),
        account("a", T0 + 44 * DAY_MS, "notice_given"),
    ]


def test_a_snapshot_keeps_every_feature_as_it_was() -> None:
    target = partition()
    run(target, live([*troubled(), tick(T0 + 59 * DAY_MS)]))
    row = row_of(target, "a")
    waiting = row["snapshots"][: row["pending"]]
    kept = unpack(waiting)[-1]
    at = int(waiting["at"][-1])
    assert at > T0 + 44 * DAY_MS
    assert kept.tolist() == feature_matrix(np.array([row]), at)[0].tolist()
    found = dict(zip(FEATURES, kept.tolist(), strict=True))
    assert all(found[name] > 0 for name in SIGNS), found
    examples = run(target, live([tick(T0 + 69 * DAY_MS)], offset=99)).examples
    assert kept.tolist() in [one.features for one in examples]


@pytest.mark.parametrize("touch", [{"outcome": "complained"}, {"outcome": "rated", "score": 0}])
def test_a_touch_point_alone_is_a_sign(touch: dict[str, object]) -> None:
    target = partition()
    (score, *_) = run(target, live([contact("a", T0, **touch)])).scores
    assert sum(score.features[FEATURES.index(SIGNS[0]) :]) > 0
    (score, *_) = run(partition(), live([contact("a", T0)])).scores
    assert sum(score.features[FEATURES.index(SIGNS[0]) :]) == 0


def test_what_settles_ends_and_reopens_takes_signs_back() -> None:
    target = partition()
    later = T0 + 50 * DAY_MS
    run(target, live([*troubled(), account("a", later, "settled"), account("a", later, "renewed")]))
    found = dict(
        zip(FEATURES, feature_matrix(np.array([row_of(target, "a")]), later)[0], strict=True)
    )
    assert (found["payments_failed"], found["overdue"], found["notice"]) == (0, 0, 0)
    assert found["complaints"] == 1


def test_many_rows_are_read_as_each_alone() -> None:
    draw = np.random.default_rng(2)
    rows = np.zeros(50, ROW)
    rows["first_seen"], rows["signs"] = T0, draw.integers(0, 4, 50)
    for name, most in (("complaints", 9), ("failed", 9), ("rating", 251)):
        rows[name] = draw.integers(0, most, 50)
    rows["limit"], rows["used"] = draw.uniform(0, 9, 50), draw.uniform(0, 90, 50)
    rows["complained_d"] = TODAY - draw.integers(0, 300, 50)
    together = feature_matrix(rows, NOW)
    alone = np.concatenate([feature_matrix(rows[n : n + 1], NOW) for n in range(50)])
    assert together.tobytes() == alone.tobytes()
    assert (together[rows["signs"] == 0][:, FEATURES.index("complaints") :] == 0).all()
    columns = sign_columns(rows, np.full(50, NOW), np.zeros(50))
    assert len(columns) == len(SIGNS)
