"""What follows from figures: which promises hold, and what would be chosen without a set."""

from dataclasses import fields
from datetime import date

import pytest

from services.evaluate.bench import rows as configurations
from services.evaluate.bench.choice import differences, left_out, means
from services.evaluate.bench.findings import OURS, LeftOut, Measured, Promise, Row, Said
from services.evaluate.bench.promises import promises
from services.evaluate.bench.rows import DEPLOYED, TRIED, rows
from services.evaluate.report import Figures
from shared.domain.configuration import CHAMPION, Configuration


def figures(
    log_loss: float | None = 0.5, auc: float | None = 0.8, ece: float | None = 0.02, n: int = 100
) -> Figures:
    return Figures(auc=auc, pr_auc=None, log_loss=log_loss, brier=None, ece=ece, base_rate=0.4, n=n)


def measured(
    data_set: str,
    losses: dict[str, tuple[float | None, float | None]] | None = None,
    said: Said | None = None,
    *,
    horizon_days: int = 28,
    on_plans: bool = False,
) -> Measured:
    """Return a row of figures; of losses, prequential and at the cut (None: there is none)."""
    return Measured(
        name=data_set,
        data_set=data_set,
        customers="",
        cut=date(2024, 12, 24),
        horizon_days=horizon_days,
        cadence_days=28,
        on_plans=on_plans,
        said=said or Said({OURS: figures()}, {}, {}),
        rows={
            name: Row(figures(now), None if cut is None else figures(cut))
            for name, (now, cut) in (losses or {}).items()
        },
    )


# ---- which configuration


def test_each_set_counts_once_with_the_mean_of_all_its_figures() -> None:
    known = differences(
        [
            measured("a", {DEPLOYED: (0.50, 0.40), "x": (0.53, 0.41)}),
            measured("a", {DEPLOYED: (0.30, None), "x": (0.28, None)}),
            measured("b", {DEPLOYED: (0.60, None), "x": (0.59, None)}),
        ]
    )
    assert known["a"] == pytest.approx({DEPLOYED: 0.0, "x": (0.03 + 0.01 - 0.02) / 3})
    assert known["b"] == pytest.approx({DEPLOYED: 0.0, "x": -0.01})
    assert means(known)["x"] == pytest.approx(((0.03 + 0.01 - 0.02) / 3 - 0.01) / 2)


def test_the_set_that_is_left_out_has_no_say() -> None:
    """One set asks for x by so much that it decides wherever it is heard."""
    loud = {DEPLOYED: (0.5, None), "x": (0.1, None), "y": (0.6, None)}
    rest = {DEPLOYED: (0.5, None), "x": (0.51, None), "y": (0.48, None)}
    found = left_out([measured("loud", loud), measured("b", rest), measured("c", rest)])
    assert [(each.data_set, each.row) for each in found] == [("loud", "y"), ("b", "x"), ("c", "x")]
    loudest = found[0]
    assert (loudest.others, loudest.here) == pytest.approx((-0.02, 0.1))
    assert (found[1].others, found[1].here) == pytest.approx(((-0.4 + 0.01) / 2, 0.01))


def test_where_nothing_is_better_what_is_deployed_stays() -> None:
    same = {DEPLOYED: (0.5, None), "equal": (0.5, None), "worse": (0.6, None)}
    assert left_out([measured("a", same), measured("b", same)]) == [
        LeftOut("a", DEPLOYED, 0.0, 0.0),
        LeftOut("b", DEPLOYED, 0.0, 0.0),
    ]


def test_one_set_alone_has_no_others() -> None:
    assert left_out([measured("a", {DEPLOYED: (0.5, None)})]) == []


def test_a_horizon_that_is_not_over_has_no_say() -> None:
    losses: dict[str, tuple[float | None, float | None]] = {
        DEPLOYED: (0.5, 0.4), "x": (0.6, 0.1),
    }  # fmt: skip
    one = measured("a", losses)
    unknown = Row(figures(0.6), figures(None, None, None, n=0))
    one.rows["x"] = unknown
    assert differences([one])["a"] == pytest.approx({DEPLOYED: 0.0, "x": 0.1})


def test_each_configuration_changes_one_thing_of_what_is_deployed() -> None:
    found = rows()
    assert next(iter(found.items())) == (DEPLOYED, CHAMPION)
    assert len(found) == 1 + sum(
        getattr(CHAMPION, field) != value for field, values in TRIED.items() for value in values
    )
    for name, each in found.items():
        changed = [
            one.name
            for one in fields(Configuration)
            if getattr(each, one.name) != getattr(CHAMPION, one.name)
        ]
        assert len(changed) == (name != DEPLOYED)
        assert all(one.replace("_", " ") in name for one in changed)


def test_what_is_deployed_is_not_tried_against_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = {"memory": (CHAMPION.memory, CHAMPION.memory + 1), "seasons": (CHAMPION.seasons,)}
    monkeypatch.setattr(configurations, "TRIED", tried)
    assert list(rows()) == [DEPLOYED, f"memory {CHAMPION.memory + 1:g}"]


# ---- promises


def kept(one: Measured) -> dict[tuple[bool, str, str | None], Promise]:
    return {(each.at_cut, each.figure, each.beside): each for each in promises([one])}


def test_each_promise_is_held_against_its_bound() -> None:
    beside = {
        OURS: figures(0.5, 0.8, 0.031),
        "heuristic": figures(0.1, 0.9, 0.0),  # nothing is promised of it
        "lightgbm": figures(0.496, 0.8),
        "mbg_nbd": figures(0.4, 0.81),
    }
    found = kept(measured("a", said=Said(beside, {}, {})))
    told = {key[1:]: (each.bound, each.distance, each.holds) for key, each in found.items()}
    assert told == {
        ("auc", "lightgbm"): (0.8, 0.0, True),
        ("auc", "mbg_nbd"): (0.81, pytest.approx(-0.01), False),
        ("log_loss", "lightgbm"): (pytest.approx(0.501), pytest.approx(0.001), True),
        ("ece", None): (0.03, pytest.approx(-0.001), False),
    }


def test_a_log_loss_beyond_the_slack_is_told() -> None:
    beside = {OURS: figures(0.5), "lightgbm": figures(0.494), "lightgbm_plan": figures(0.3)}
    found = kept(measured("a", said=Said(beside, {}, {})))
    assert not found[False, "log_loss", "lightgbm"].holds
    assert found[False, "log_loss", "lightgbm_plan"].distance == pytest.approx(-0.195)


@pytest.mark.parametrize(
    ("horizon_days", "on_plans", "bounds"),
    [
        (91, False, {False: 0.03, True: 0.03}),
        (92, False, {False: 0.05, True: 0.05}),
        (28, True, {False: 0.03, True: 0.10}),
        (182, True, {False: 0.05, True: 0.10}),
    ],
)
def test_the_calibration_that_is_promised(
    horizon_days: int, on_plans: bool, bounds: dict[bool, float]
) -> None:
    said = Said({OURS: figures()}, {OURS: figures()}, {})
    found = kept(measured("a", said=said, horizon_days=horizon_days, on_plans=on_plans))
    assert {at_cut: found[at_cut, "ece", None].bound for at_cut in (False, True)} == bounds


def test_nothing_is_promised_of_what_is_not_known() -> None:
    nothing = figures(None, None, None, n=0)
    said = Said({OURS: nothing}, {OURS: nothing, "lightgbm": nothing}, {})
    assert promises([measured("a", said=said)]) == []
