"""The report says what happened, and asks no other host."""

import json
import math
import re
from pathlib import Path

import pytest

from services.demo.evidence import Evidence
from services.demo.monitor import Model, Sample
from services.demo.plots import write_page
from services.demo.report import Report, build_report, reliability, wilson, windows, write_report
from services.demo.summary import summary
from shared.domain.policy import DAY_MS
from tests.unit.demo.builders import HORIZON, decision, evidence, example, sample


def report(last: Sample | None = None, found: Evidence | None = None) -> Report:
    return build_report(
        last or sample(),
        found or evidence(),
        horizon_ms=HORIZON,
        replay_s=10.0,
        seconds=42.04,
    )


def test_the_json_holds_what_programs_need(tmp_path: Path) -> None:
    found = json.loads(write_report(report(), tmp_path / "new").read_text())
    assert found["events_accepted"] == 1_000
    assert found["events_in_state"] == 997
    assert found["duplicates"] == 7
    assert found["dead_letters"] == 3
    assert found["customers"] == 3
    assert found["stages"]["growth"] == 2
    assert found["model"] == {
        "version": 4,
        "labels": 500,
        "auc": 0.87,
        "log_loss": 0.33,
        "ece": 0.02,
    }
    assert found["triggers"] == {"fired": 2, "held_out": 1, "suppressed": 0, "expired": 0}
    assert found["events_per_second"] == 100
    assert found["seconds"] == 42.0
    assert found["reconciled"] is True


def test_an_event_that_is_not_accounted_for_shows(tmp_path: Path) -> None:
    lost = report(sample(accepted=1_001))
    assert not lost.reconciled
    write_page(tmp_path, lost, [sample()], evidence())
    assert "NOT ALL" in (tmp_path / "report.html").read_text()
    names = [str(cell) for cell in summary(lost, tmp_path).columns[0].cells]
    assert "NOT ACCOUNTED FOR" in names


def test_what_arrived_again_makes_up_for_nothing() -> None:
    counts = {"applied": 999, "duplicates": 1, "dead_letters": 0, "controls": 40}
    assert not report(sample(counts=counts)).reconciled
    assert report(sample(counts=counts | {"applied": 1_000})).reconciled


def test_a_model_without_figures_is_null_and_not_nan() -> None:
    model = report(sample(model=Model(auc=math.nan))).model
    assert (model.auc, model.log_loss) == (None, None)


def test_churn_is_told_only_after_a_whole_horizon() -> None:
    arms = report().churn_after
    # The customer decided about on day 95 may still come back: the history ends on day 100.
    assert (arms["fired"].customers, arms["fired"].silent) == (1, 1)
    assert (arms["held_out"].customers, arms["held_out"].silent) == (1, 0)


def test_a_purchase_at_the_moment_of_the_decision_is_not_after_it() -> None:
    found = Evidence([], [], {"c": [10 * DAY_MS], "other": [200 * DAY_MS]})
    assert found.silent_after(decision("c", 10), HORIZON) is True
    assert found.silent_after(decision("c", 9.99), HORIZON) is False
    assert found.silent_after(decision("c", 173), HORIZON) is None
    assert found.silent_after(decision("stranger", 10), HORIZON) is True


def test_the_interval_is_wilsons() -> None:
    # As R gives them: prop.test(0, 10, correct = FALSE), and of 1 of 10.
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(1, 10) == pytest.approx((0.0179, 0.4042), abs=1e-4)


def test_quality_is_told_by_fortnight() -> None:
    first, second = windows(evidence().examples)
    assert (first.at, first.labels, first.auc) == (28 * DAY_MS, 2, 1.0)
    assert (second.at, second.labels, second.auc) == (42 * DAY_MS, 2, 0.0)
    assert first.heuristic_auc == 0.5


def test_a_fortnight_with_one_kind_of_label_has_no_auc() -> None:
    (only,) = windows([example(1, 0.9, silent=True)])
    assert only.auc is None


def test_reliability_compares_what_was_predicted_with_what_came() -> None:
    found = [example(1, 0.75, silent=True), example(1, 0.75, silent=False)]
    assert reliability(found) == [(2, 0.75, 0.5)]


def test_the_page_asks_no_other_host(tmp_path: Path) -> None:
    path = write_page(tmp_path, report(), [sample(seconds=1), sample(seconds=2)], evidence())
    page = path.read_text()
    asked = re.findall(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["']([^"']*)""", page)
    assert asked == ["data:,"]
    assert "@import" not in page.split("</style>")[0]
    assert page.count("plotly-graph-div") >= 6


def test_the_page_can_be_drawn_when_nothing_happened(tmp_path: Path) -> None:
    empty = Evidence([], [], {})
    assert write_page(tmp_path, report(found=empty), [Sample()], empty).stat().st_size > 0
