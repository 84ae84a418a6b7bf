"""A report of many policies: which belong together, what is drawn of them, and what stays out."""

import re
import shutil

import numpy as np
import pytest
from parsed_page import Page
from recorded_runs import record_run, sums_pool

from optscale_predictor.evaluation.report import compare, read_record
from optscale_predictor.evaluation.report.difficulty import difficulty
from optscale_predictor.evaluation.report.pictures import draw_comparison
from optscale_predictor.evaluation.report.policy_series import mark_kinds, series_of, shown_individually
from optscale_predictor.evaluation.report.report_charts import (
    accuracy_against,
    by_difficulty,
    individual_legend,
    legend,
)
from optscale_predictor.evaluation.report.report_page import render_page
from optscale_predictor.evaluation.report.report_tables import policies_table, savings_table
from optscale_predictor.pages.chart_geometry import CURVE
from optscale_predictor.policies import parse_policy

TARGETS = ("0.8", "0.9", "0.5", "0.7")
POLICIES = (
    *(f"optscale:score_min={target},max_samples=8,min_gain=1" for target in TARGETS),
    "optscale:score_min=0.8,max_samples=8,min_gain=1,step=double",
    *(f"best_of_n:max_samples={number}" for number in (1, 2, 4, 8)),
    *(f"self_consistency:max_samples={number}" for number in (3, 8)),
    "asc_beta:max_samples=8",
    "asc_dirichlet:max_samples=8",
    "esc:window=4,max_samples=8",
    "beacon:max_samples=8",
    "pandora:max_samples=8,min_samples=5",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    return record_run(root / "run", sums_pool(root / "pool"), POLICIES)


@pytest.fixture(scope="module")
def comparison(folder):
    return compare([read_record(folder)])


@pytest.fixture(scope="module")
def page(comparison):
    return Page(render_page(comparison, "Many"))


def policies_of(comparison, series):
    return [comparison.results[place].policy for place in series.indices]


def test_policies_that_differ_in_one_number_are_a_series(comparison):
    found = series_of(comparison)
    assert [one.label for one in found] == [
        "optscale, score_min 0.5 to 0.9 (step=auto)",
        "optscale (score_min=0.8, step=double)",
        "best_of_n, max_samples 1 to 8",
        "self_consistency, max_samples 3 to 8",
        "asc_beta",
        "asc_dirichlet",
        "esc",
        "beacon",
        "pandora",
    ]
    assert sorted(place for one in found for place in one.indices) == list(range(len(POLICIES)))
    assert len({one.kind for one in found}) == len(found) and CURVE not in {one.kind for one in found}
    spent = [comparison.results[place].means["samples"].point for place in found[0].indices]
    assert spent == sorted(spent) and len(set(spent)) == 3
    want = [
        str(parse_policy(f"optscale:score_min={one},max_samples=8,min_gain=1")) for one in ("0.5", "0.7", "0.8", "0.9")
    ]
    assert sorted(policies_of(comparison, found[0])) == sorted(want)


def test_names_other_numbers_and_predictors_stay_apart(tmp_path):
    """Two settings that differ, a setting that is a word, and another checkpoint make no series."""
    pool = sums_pool(tmp_path / "pool")
    policies = (
        "optscale:score_min=0.8,max_samples=8",
        "optscale:score_min=0.9,max_samples=4",
        "optscale:score_min=0.9,max_samples=4,step=double",
    )
    record_run(tmp_path / "a", pool, policies)
    record_run(tmp_path / "b", pool, ("optscale:score_min=0.7,max_samples=8",), predictor="some/tuned")
    found = series_of(compare([read_record(tmp_path / name) for name in ("a", "b")]))
    assert [len(one.indices) for one in found] == [1, 1, 1, 1]


@pytest.mark.parametrize("metric", ["samples", "tokens"])
def test_a_series_is_drawn_as_one_line_in_the_order_of_samples(comparison, metric):
    chart, marks = accuracy_against(comparison, metric), mark_kinds(comparison)
    assert len(chart.dots) == len(comparison.results) == 16 and chart.reference
    for result in comparison.results:
        (dot,) = [dot for dot in chart.dots if dot.text.startswith(f"{result.label}: ")]
        assert dot.kind == marks[result.label]
        assert dot.x == chart.frame.across(result.means[metric].point)
        assert dot.y == chart.frame.up(result.means["correct"].point)
    lines = {line.kind: line.points for line in chart.lines}
    assert set(lines) == {"s0", "s3"}  # through Best-of-N's points goes the dashed curve, and no other line
    order = [comparison.results[place] for place in series_of(comparison)[0].indices]
    x, y = ([one.means[name].point for one in order] for name in (metric, "correct"))
    assert lines["s0"] == chart.frame.path(np.array(x), np.array(y))
    assert [dot.strong for dot in chart.dots] == [False] * 15 + [True]
    assert chart.dots[-1].text.startswith(f"{comparison.primary.label}: ")
    listed = [row[0] for row in chart.rows]
    assert listed[: len(POLICIES)] == [one.label for one in comparison.results]


def test_without_a_curve_best_of_n_is_a_series_of_its_own(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "run", ignore=shutil.ignore_patterns("pool"))
    found = compare([read_record(tmp_path / "run")])
    assert found.curve is None
    (own,) = [one for one in series_of(found) if one.label.startswith("best_of_n")]
    assert own.label == "best_of_n, max_samples 1 to 8" and own.kind != CURVE and len(own.indices) == 4
    assert len(accuracy_against(found, "samples").dots) == len(POLICIES)
    assert "Best-of-k" not in [name for _, name in legend(found)]
    assert "tokens saved at equal accuracy" not in policies_table(found).header


def test_the_legend_names_a_series_once(page, comparison):
    names = [name for _, name in legend(comparison)]
    assert names.count("Best-of-k") == 1 and len(names) == len(set(names)) == 9 + 1
    assert names.count("best_of_n, max_samples 1 to 8") == 1
    titles = [data for tag, data in page.text if tag == "title"]
    for result in comparison.results:
        assert sum(one.startswith(f"{result.label}: accuracy ") for one in titles) == 2


def test_a_mark_of_a_chart_is_in_its_legend_and_the_other_way_round(comparison):
    chart = accuracy_against(comparison, "samples")
    assert {dot.kind for dot in chart.dots} | {CURVE} == {kind for kind, _ in legend(comparison)}


@pytest.mark.parametrize("metric", ["samples", "tokens"])
def test_numbers_on_both_axes_enclose_all_that_is_drawn(comparison, metric):
    for chart in (accuracy_against(comparison, metric), *by_difficulty(comparison, difficulty(comparison))):
        across, up = ([tick.position for tick in ticks] for ticks in (chart.x_ticks, chart.y_ticks))
        for dot in chart.dots:
            assert min(across) <= dot.x <= max(across), (chart.id, dot)
            assert min(up) <= min(dot.low, dot.high) and max(dot.low, dot.high) <= max(up), (chart.id, dot)
        frame = chart.frame
        assert (frame.left, frame.right) == (min(across), max(across)) and (frame.top, frame.bottom) == (
            min(up),
            max(up),
        )


def test_the_pictures_have_the_same_series(comparison, tmp_path):
    draw_comparison(comparison, "samples", [tmp_path / "curve.svg"], "Many")
    written = re.findall(r"<!-- (.*?) -->", (tmp_path / "curve.svg").read_text())
    for _, name in legend(comparison):
        assert written.count(name) == 1


def test_few_policies_are_shown_one_by_one(comparison, page):
    places = shown_individually(comparison)
    policies = [comparison.results[place].policy for place in places]
    assert len(places) == 8 and places[0] == 0 and str(parse_policy("best_of_n:max_samples=8")) in policies
    # One of each name before a second series of any, and of a series the one that spends the most.
    names = [policy.partition(":")[0] for policy in policies]
    assert names == [
        "optscale",
        "best_of_n",
        "self_consistency",
        "asc_beta",
        "asc_dirichlet",
        "esc",
        "beacon",
        "pandora",
    ]
    assert str(parse_policy("self_consistency:max_samples=8")) in policies
    assert shown_individually(comparison, 4) == [0, 8, 10, 11]
    labels = [comparison.results[place].label for place in places]
    assert [name for _, name in individual_legend(comparison)] == labels
    assert len({kind for kind, _ in individual_legend(comparison)}) == 8
    for chart in by_difficulty(comparison, difficulty(comparison)):
        assert len(chart.lines) == 8 and len(chart.header) == 2 + len(POLICIES)
    said = "".join(data for tag, data in page.text if tag == "p")
    assert said.count("8 of the 16 policies are shown here") == 2


def test_questions_list_the_policies_that_are_shown(comparison):
    text = render_page(comparison, "Many")
    listed = re.findall(r"What each policy made of.*?<tbody>(.*?)</tbody>", text, re.DOTALL)
    labels = [comparison.results[place].label for place in shown_individually(comparison)]
    assert len(listed) == 40
    for body in listed:
        assert re.findall(r'<th scope="row">(.*?)</th>', body) == labels
    assert len(text) / len(listed) < 8_000  # bytes a question, all else included


def test_savings_are_of_the_primary_series_and_of_adaptive_policies(comparison):
    rows = [row[0] for row in savings_table(comparison).rows]
    assert rows == [one.label for one in comparison.results if not one.policy.startswith(("best_of_n", "self_"))]
    assert len(rows) == 10


def test_what_is_saved_at_equal_accuracy_stands_with_the_means(comparison):
    table = policies_table(comparison)
    column = table.header.index("tokens saved at equal accuracy")
    for row, result in zip(table.rows, comparison.results, strict=True):
        found = comparison.equal_number(result)
        if result.policy.startswith("best_of_n"):
            assert row[column] == ""
        elif -1 <= found.saved_tokens.point < 0 or found.beyond:
            assert row[column].lstrip("≥ \N{MINUS SIGN}") == f"{100 * abs(found.saved_tokens.point):.1f}%"
        elif found.saved_tokens.point >= 0:
            assert row[column] == f"{100 * found.saved_tokens.point:.1f}%"
        else:
            assert row[column].endswith("\N{MULTIPLICATION SIGN} spent")
