"""`tenure evaluate`: what it prints and writes, and what it refuses."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.domain import learner
from shared.domain.challenger import Comparison, Interval
from shared.domain.churn import ChurnModel
from shared.domain.configuration import CHALLENGER, CHAMPION
from shared.domain.policy import DAY_MS
from tests.unit.cli.test_cli import run
from tests.unit.domain.histories import T0, account, rfc3339
from tests.unit.evaluate.builders import Row, orders, write_csv, write_ndjson, write_parquet

MAP = ("--map", "subject=customer,time=ts,amount=total")
SPAN = ("--horizon", "14d", "--cadence", "7d")
CUT_AT = T0 + 80 * DAY_MS + 1
CUT = ("--cut", rfc3339(CUT_AT))
KEYS = {"auc", "pr_auc", "log_loss", "brier", "ece", "base_rate", "n"}


class Tenure:
    """Runs the command and reads what came of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capsys = monkeypatch, capsys

    def report(self, *arguments: str) -> dict[str, Any]:
        out, _ = self.good(*arguments, "--json")
        found: dict[str, Any] = json.loads(out)
        return found

    def good(self, *arguments: str) -> tuple[str, str]:
        assert run(self._patch, "evaluate", *arguments) == 0
        shown = self._capsys.readouterr()
        return shown.out, shown.err

    def refused(self, *arguments: str) -> str:
        assert run(self._patch, "evaluate", *arguments) == 2
        shown = self._capsys.readouterr()
        assert not shown.out
        return shown.err


@pytest.fixture
def tenure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tenure:
    return Tenure(monkeypatch, capsys)


@pytest.fixture
def shop(tmp_path: Path) -> str:
    return str(write_csv(tmp_path / "shop.csv", orders()))


def without_time(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "seconds"}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_report_has_what_programs_rely_on(tenure: Tenure, shop: str) -> None:
    report = tenure.report(shop, *MAP, *SPAN, *CUT)
    rows = orders()
    assert report["events"] == len(rows)
    assert report["customers"] == len({customer for customer, *_ in rows})
    assert report["seconds"] > 0
    for part in ("prequential", "cut", "prequential_closed", "cut_closed"):
        assert report[part].keys() >= KEYS
        assert report[part]["n"] > 0
        assert report[part]["recent_customers"].keys() == KEYS
    for part in ("prequential", "cut"):
        assert report[part]["anchors"].keys() >= {"recency", "heuristic"}
        for anchor in report[part]["anchors"].values():
            assert anchor.keys() == KEYS
            assert anchor["n"] == report[part]["n"]
        assert sum(n for n, *_ in report[part]["reliability"]) == report[part]["n"]
    windows = report["prequential"]["over_time"]
    assert sum(each["n"] for each in windows) == report["prequential"]["n"]
    assert windows == sorted(windows, key=lambda each: each["until"])


def test_the_challenger_is_told_with_what_it_would_have_reached(
    tenure: Tenure, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChurnModel, "warm", property(lambda model: model.labels > 50))
    monkeypatch.setattr(learner, "_STEP", 20)  # and some models are published
    report = tenure.report(shop, *MAP, *SPAN)["challenger"]
    assert report["champion"] == str(CHAMPION)
    assert report["challenger"] == str(CHALLENGER)
    assert report["shadow"].keys() == KEYS
    assert report["comparison"]["compared_horizons"] > 2
    assert report["promotions"] == []
    # As if the challenger were better in every horizon: they change places again and again.
    better = Interval(-0.2, -0.3, -0.1)
    monkeypatch.setattr(Comparison, "difference", lambda _: better)
    promoted = tenure.report(shop, *MAP, *SPAN)["challenger"]["promotions"]
    names = [each["configuration"] for each in promoted]
    assert names == [str(CHALLENGER), str(CHAMPION), str(CHALLENGER)][: len(names)]
    assert promoted[0]["difference"] == {"estimate": -0.2, "low": -0.3, "high": -0.1}
    shown, _ = tenure.good(shop, *MAP, *SPAN)
    assert shown.count("Promoted to champion on") == len(promoted) > 0


def test_ways_of_closing_are_told_apart_where_accounts_were_closed_involuntarily(
    tenure: Tenure, tmp_path: Path
) -> None:
    rows = orders()
    last = {customer: max(at for who, at, _ in rows if who == customer) for customer, *_ in rows}
    left = [account(who, at + 1, "closed") for who, at in last.items()]
    owing = [account(who, at, "overdue") for who, at in list(last.items())[::2]]
    ways = ("prequential_voluntary", "prequential_involuntary")
    plain = tenure.report(str(write_ndjson(tmp_path / "a.ndjson", rows, *left)), *SPAN, *CUT)
    assert [plain[way] for way in (*ways, "cut_voluntary", "cut_involuntary")] == [None] * 4
    path = write_ndjson(tmp_path / "b.ndjson", rows, *left, *owing)
    told = tenure.report(str(path), *SPAN, *CUT)
    for part in ("prequential", "cut"):
        closed, *each = (told[f"{part}_{way}"] for way in ("closed", "voluntary", "involuntary"))
        assert [one["n"] for one in each] == [closed["n"]] * 2
        assert sum(one["base_rate"] for one in each) == pytest.approx(closed["base_rate"])
    assert told["prequential_involuntary"]["base_rate"] > 0


def test_each_format_gives_the_same_figures(tenure: Tenure, tmp_path: Path) -> None:
    rows = orders()
    files = [
        (write_csv(tmp_path / "a.csv", rows), MAP),
        (write_parquet(tmp_path / "a.parquet", rows), MAP),
        (write_ndjson(tmp_path / "a.ndjson", rows), ()),
    ]
    reports = [without_time(tenure.report(str(file), *more, *SPAN, *CUT)) for file, more in files]
    assert reports[0] == reports[1] == reports[2]


def test_the_order_of_the_file_does_not_matter(tenure: Tenure, tmp_path: Path) -> None:
    rows = orders()
    shuffled = write_csv(tmp_path / "a.csv", rows)
    in_order = write_csv(tmp_path / "b.csv", sorted(rows, key=lambda row: row[1]))
    reports = [without_time(tenure.report(str(file), *MAP, *SPAN)) for file in (shuffled, in_order)]
    assert reports[0] == reports[1]


def predict(tenure: Tenure, path: Path, rows: list[Row], *others: dict[str, Any]) -> bytes:
    source, target = path.with_suffix(".ndjson"), path.with_suffix(".csv")
    write_ndjson(source, rows, *others)
    tenure.good(
        str(source),
        *SPAN,
        *CUT,
        "--predictions",
        str(target),
        "--until",
        rfc3339(CUT_AT + 15 * DAY_MS),
    )
    return target.read_bytes()


def test_what_comes_after_the_cut_changes_no_prediction(tenure: Tenure, tmp_path: Path) -> None:
    rows = orders()
    after = CUT_AT + 1
    known = [row for row in rows if row[1] <= CUT_AT]
    busy = [(customer, after, 1e6) for customer in {customer for customer, *_ in rows}]
    closed = [account(customer, after, "closed") for customer, *_ in known]
    until = predict(tenure, tmp_path / "until", known)
    assert until.count(b"\n") > 20
    assert predict(tenure, tmp_path / "whole", rows) == until
    assert predict(tenure, tmp_path / "other", known + busy, *closed) == until


def test_an_event_at_the_cut_is_known_by_then(tenure: Tenure, tmp_path: Path) -> None:
    rows = [row for row in orders() if row[1] <= CUT_AT]
    late = [*rows, ("new", CUT_AT, 5.0), ("later", CUT_AT + 1, 5.0)]
    predict(tenure, tmp_path / "a", late)
    found = {row["customer_id"] for row in read(tmp_path / "a.csv")}
    assert found == {customer for customer, *_ in rows} | {"new"}


def test_the_closed_are_not_predicted(tenure: Tenure, tmp_path: Path) -> None:
    rows = orders()
    closed = account("c1", CUT_AT, "closed")
    predict(tenure, tmp_path / "a", rows, closed)
    found = read(tmp_path / "a.csv")
    assert "c1" not in {row["customer_id"] for row in found}
    for row in found:
        silent, gone, churn = (float(row[name]) for name in ("p_silent", "p_closed", "p_churn"))
        assert 0 < silent < 1
        assert 0 < gone < 1
        assert max(silent, gone) <= churn <= silent + gone


def test_the_figures_at_the_cut_follow_from_the_predictions(
    tenure: Tenure, shop: str, tmp_path: Path
) -> None:
    target = tmp_path / "out.csv"
    report = tenure.report(shop, *MAP, *SPAN, *CUT, "--predictions", str(target))["cut"]
    horizon = 14 * DAY_MS
    active = {customer for customer, at, _ in orders() if CUT_AT < at <= CUT_AT + horizon}
    found = read(target)
    p = np.array([float(row["p_silent"]) for row in found])
    y = np.array([row["customer_id"] not in active for row in found])
    assert report["n"] == len(found)
    assert report["base_rate"] == pytest.approx(y.mean())
    assert report["brier"] == pytest.approx(np.mean((p - y) ** 2))
    losses = -np.log(np.where(y, p, 1 - p))
    assert report["log_loss"] == pytest.approx(losses.mean())
    wins = (p[y][:, None] > p[~y]) + 0.5 * (p[y][:, None] == p[~y])
    assert report["auc"] == pytest.approx(wins.mean())


def test_some_customers_are_counted_and_all_are_learned_of(
    tenure: Tenure, shop: str, tmp_path: Path
) -> None:
    target = tmp_path / "out.csv"
    every = tenure.report(shop, *MAP, *SPAN, *CUT, "--predictions", str(target))
    parts = [
        tenure.report(shop, *MAP, *SPAN, *CUT, "--customers", which) for which in ("^c1", "^c[^1]")
    ]
    ids = {customer for customer, *_ in orders()}
    ours = sum(each.startswith("c1") for each in ids)
    assert [each["counted"] for each in (every, *parts)] == [len(ids), ours, len(ids) - ours]
    assert {each["customers"] for each in parts} == {len(ids)}
    for part in ("prequential", "prequential_closed", "cut", "cut_closed"):
        n = [each[part]["n"] for each in parts]
        assert sum(n) == every[part]["n"]
        assert min(n) > 0
        # Means over all follow from those over parts, so each was said what it was said before.
        for name in ("brier", "log_loss", "base_rate"):
            means = [each[part][name] for each in parts]
            assert np.average(means, weights=n) == pytest.approx(every[part][name])
    p = [float(each["p_silent"]) for each in read(target) if each["customer_id"].startswith("c1")]
    told = [mean * n for n, mean, _ in parts[0]["cut"]["reliability"]]
    assert sum(told) == pytest.approx(sum(p))
    anchors = [each["prequential"]["anchors"]["recency"] for each in (every, *parts)]
    assert [each["n"] for each in anchors] == [each["prequential"]["n"] for each in (every, *parts)]
    shown, _ = tenure.good(shop, *MAP, *SPAN, "--customers", "^c1")
    assert f"Counted are {ours} of them" in shown


def test_bad_lines_are_named(tenure: Tenure, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("customer,ts,total\nc,2026-01-31,1\nc,soon,2\nc,1969-01-01,3\n")
    shown = tenure.refused(str(file), *MAP)
    assert "line 3: time: 'soon' is no time. Write it like" in shown
    assert "line 4: time: 1969-01-01T00:00:00Z is not after 1970" in shown
    assert "2 of 3 lines are no events" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cut", "2001-01-01"), "is before the first event"),
        (("--cut", "2101-01-01"), "is after the last event"),
        (("--until", "2001-01-01"), "is before the first event"),
        (("--until", "2024-12-01", "--cut", "2024-12-02"), "is after --until"),
        (("--cut", "Easter"), "is no time. Write it like"),
        (("--horizon", "0d"), "--horizon '0d' is not between 1d and 730d"),
        (("--cadence", "2 months"), "--cadence '2 months' is not between 1d and 365d"),
        (("--predictions", "out.csv"), "--predictions needs --cut"),
        (("--customers", "c("), "--customers 'c(' is no regular expression"),
        (("--customers", "^shop"), "is found in none of the 29 customers' ids"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tenure: Tenure, shop: str, options: tuple[str, ...], said: str
) -> None:
    shown = " ".join(tenure.refused(shop, *MAP, *options).replace("│", " ").split())
    assert said in shown


def test_a_file_without_events_is_refused(tenure: Tenure, tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    file.write_text("\n")
    assert f"{file} holds no events" in tenure.refused(str(file))


def test_a_horizon_that_is_not_over_is_predicted_and_not_measured(
    tenure: Tenure, shop: str, tmp_path: Path
) -> None:
    target = tmp_path / "out.csv"
    until = ("--until", rfc3339(CUT_AT + 14 * DAY_MS - 1))
    out, err = tenure.good(shop, *MAP, *SPAN, *CUT, *until, "--json", "--predictions", str(target))
    cut = json.loads(out)["cut"]
    assert "what became of the customers is not known" in err
    assert not cut["known"]
    assert (cut["n"], cut["auc"]) == (0, None)
    assert len(read(target)) == cut["customers"] > 20


def test_the_page_has_plots_and_asks_no_other_host(
    tenure: Tenure, shop: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    report = tenure.report(shop, *MAP, *SPAN, *CUT, "--html", str(page))
    text = page.read_text()
    assert text.count("Plotly.newPlot(") == 2
    assert f"{report['prequential']['auc']:.3f}" in text
    assert f"{report['cut']['auc']:.3f}" in text
    outside = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"'](?!data:)", text)
    assert not outside


def test_spend_at_the_cut_is_ranked_and_added_up(tenure: Tenure, shop: str, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    spend = tenure.report(shop, *MAP, *SPAN, *CUT, "--predictions", str(target))["cut"]["spend"]
    paid = dict.fromkeys((row["customer_id"] for row in read(target)), 0.0)
    for customer, at, amount in orders():
        if CUT_AT < at <= CUT_AT + 14 * DAY_MS and customer in paid:
            paid[customer] += amount
    expected = {row["customer_id"]: float(row["expected_spend"]) for row in read(target)}
    assert spend["realised"] == pytest.approx(sum(paid.values()))
    assert spend["predicted"] == pytest.approx(sum(expected.values()))
    best = sorted(expected, key=lambda one: -expected[one])[: -(-len(expected) // 10)]
    top = sum(paid[one] for one in best) / sum(paid.values())
    assert spend["top_decile_share"] == pytest.approx(top)
    values = {row["customer_id"]: float(row["clv"]) for row in read(target)}
    assert min(values.values()) >= 0
    assert spend["value"] == pytest.approx(sum(values.values()))
    dearest = sorted(values, key=lambda one: -values[one])[: len(best)]
    share = sum(paid[one] for one in dearest) / sum(paid.values())
    assert spend["value_top_decile_share"] == pytest.approx(share)


def test_visits_at_the_cut_are_those_that_came(tenure: Tenure, shop: str, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    visits = tenure.report(shop, *MAP, *SPAN, *CUT, "--predictions", str(target))["cut"]["visits"]
    known = {row["customer_id"] for row in read(target)}
    days = {
        (customer, at // DAY_MS)
        for customer, at, _ in orders()
        if CUT_AT < at <= CUT_AT + 14 * DAY_MS and customer in known
    }
    assert visits["realised"] == len(days)
    assert 0 < visits["predicted"] < 14 * len(known)
    assert 0 < visits["mean_error"] < visits["predicted"] + visits["realised"]
    assert -1 <= visits["spearman"] <= 1


def test_figures_for_people(tenure: Tenure, shop: str) -> None:
    out, err = tenure.good(shop, *MAP, *SPAN, *CUT)
    assert "Silent, prequential" in out
    assert "Silent, at the cut" in out
    assert "recency" in out
    assert not err
