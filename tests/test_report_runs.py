"""What a report's runs are: parts put together, names that do not give places away, and how it was measured."""

import json
from dataclasses import replace

import numpy as np
import pytest
from parsed_page import Page
from recorded_runs import OURS, REFERENCE, VOTES, record_run, split_run, sums_pool

from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report import compare, read_record
from optscale_predictor.evaluation.report.read_runs import short_names
from optscale_predictor.evaluation.report.report_page import render_page
from optscale_predictor.evaluation.report.run_summary import model_of, prior_of, provenance


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return sums_pool(tmp_path_factory.mktemp("pools") / "pool")


@pytest.fixture(scope="module")
def whole(pool, tmp_path_factory):
    return record_run(tmp_path_factory.mktemp("runs") / "sums", pool)


@pytest.fixture(scope="module")
def parts(whole):
    return split_run(whole, 2)


def test_parts_of_a_run_are_the_run(whole, parts):
    one = compare([read_record(whole)])
    merged = compare([read_record(part) for part in parts])
    (run,) = merged.runs
    assert run.name == "sums" and len(merged.questions) == 40 and merged.left_out == 0
    for mine, its in zip(merged.results, one.results, strict=True):
        assert mine.label == its.label and len(mine.cases.question) == 40
        for metric in ("correct", "samples", "tokens", "score"):
            assert mine.means[metric].point == pytest.approx(its.means[metric].point)
        assert {name: share.point for name, share in mine.stops.items()} == {
            name: pytest.approx(share.point) for name, share in its.stops.items()
        }
    assert merged.curve.correct.mean(0) == pytest.approx(one.curve.correct.mean(0))
    assert merged.curve.tokens.mean() == pytest.approx(one.curve.tokens.mean())
    assert merged.texts == one.texts and len(merged.texts) == 40
    # They ran side by side.
    assert (run.facts.seconds, run.facts.samples) == (20.0, 40 * 8)
    assert run.facts.tokens == read_record(whole).facts.tokens
    assert "40 questions" in render_page(merged, "Sums")


def test_intervals_do_not_depend_on_the_order_in_which_answers_came(whole):
    run = read_record(whole)
    order = np.random.default_rng(0).permutation(40)
    mixed = {policy: cases.take(order) for policy, cases in run.cases.items()}
    one, other = compare([run]), compare([replace(run, cases=mixed, shown=mixed)])
    assert other.questions == one.questions and len(other.results) == 3
    for mine, its in zip(other.results, one.results, strict=True):
        for metric in ("correct", "samples", "tokens", "score"):
            assert mine.means[metric].estimate == its.means[metric].estimate
        for name in ("difference", "samples", "tokens"):
            mine_saved, its_saved = other.reference_saving(mine), one.reference_saving(its)
            assert getattr(mine_saved, name).estimate == getattr(its_saved, name).estimate
        assert other.equal_number(mine).number.estimate == one.equal_number(its).number.estimate


def test_parts_stand_beside_other_runs(parts, tmp_path, pool):
    other = record_run(tmp_path / "other", pool, seed=1)
    found = compare([read_record(one) for one in (parts[0], other, parts[1])])
    assert [run.name for run in found.runs] == ["sums", "other"] and len(found.questions) == 40


@pytest.mark.parametrize("change", [{"seed": 5}, {"predictor": "other"}])
def test_runs_that_differ_are_not_parts_of_one(parts, tmp_path, change):
    for part in parts:
        folder = tmp_path / part.name
        folder.mkdir()
        facts = json.loads((part / "run.json").read_text())
        facts |= change if part is parts[1] else {}
        (folder / "run.json").write_text(json.dumps(facts))
        (folder / "outcomes.jsonl").write_text((part / "outcomes.jsonl").read_text())
    with pytest.raises(InputError, match="no question in common"):
        compare([read_record(tmp_path / part.name) for part in parts])


def test_parts_share_no_question(parts, tmp_path):
    for name in ("sums-rank0", "sums-rank1"):
        (tmp_path / name).mkdir()
        for file in ("run.json", "outcomes.jsonl"):
            (tmp_path / name / file).write_text((parts[0] / file).read_text())
    with pytest.raises(InputError, match=r"sums-rank1: question 'q0' is in .*sums-rank0 too"):
        compare([read_record(tmp_path / name) for name in ("sums-rank0", "sums-rank1")])


def test_a_part_alone_is_a_run(parts):
    found = compare([read_record(parts[1])])
    assert found.runs[0].name == "sums-rank1" and len(found.questions) == 20


def test_names_tell_runs_apart_and_no_more():
    assert short_names(["/a/b/one", "/a/two"]) == ["one", "two"]
    assert short_names(["/a/b/s0/records/t", "/a/b/s1/records/t"]) == ["s0/records/t", "s1/records/t"]
    assert short_names(["/a/t", "/a/t"]) == ["t (1)", "t (2)"]
    assert short_names(["/a/t", "/a/t/t"]) == ["t (1)", "t (2)"]


def test_how_it_was_measured_is_said(whole, tmp_path, pool):
    other = record_run(tmp_path / "other", pool, seed=1)
    said = dict(provenance(compare([read_record(one) for one in (whole, other)])))
    made = pool.manifest["settings"]["generator"]
    assert said["Generator"] == f"{made['model']} ({made['adapter']})" and said["Task"] == "sums"
    for name, value in made.items():
        if name not in ("model", "adapter", "seed") and value:
            assert f"{name} " in said["Sampling"]
    assert said["Seeds"] == "0; 1" and said["Version"] == "0.1.0"
    assert pool.scores["score"]["model"] in said["Verifier"]


def test_models_of_this_machine_are_named_not_placed():
    local = {"adapter": "huggingface", "model": "/home/someone/models/small"}
    assert model_of(local) == "small (huggingface)"
    served = {"adapter": "pool", "settings": {"generator": {"adapter": "vllm", "model": "org/m"}}}
    assert model_of(served) == "org/m (vllm, from a pool)"
    assert model_of(None) == "none"


def test_where_priors_came_from_is_said(tmp_path, pool):
    needy = "dsc:max_samples=8"
    runs = {
        "votes": record_run(tmp_path / "votes", pool, (VOTES,)),
        "tuned": record_run(tmp_path / "tuned", pool, (OURS,), predictor="/some/where/tuned"),
    }
    assert prior_of(read_record(runs["votes"])) == "no predictor" and prior_of(read_record(runs["tuned"])) == "tuned"
    facts = json.loads((runs["votes"] / "run.json").read_text())
    lines = (runs["votes"] / "outcomes.jsonl").read_text().replace(facts["policies"][0], needy)
    (runs["votes"] / "run.json").write_text(json.dumps({**facts, "policies": [needy]}))
    (runs["votes"] / "outcomes.jsonl").write_text(lines)
    found = read_record(runs["votes"])
    assert prior_of(found) == "constant"


def test_the_page_says_how_to_make_it_again(whole, tmp_path):
    main(["report", str(whole), "--output", str(tmp_path / "out"), "--reference", REFERENCE, "--seed", "3"])
    page = Page((tmp_path / "out" / "report.html").read_text())
    code = [data for tag, data in page.text if tag == "code"]
    assert f"optscale report sums --reference {REFERENCE} --seed 3" in code
    names = [data for tag, data in page.text if tag == "dt"]
    assert {"Generator", "Sampling", "Verifier", "Scores", "Prior", "Seed", "Version", "Command"} <= set(names)
    assert str(whole.parent) not in (tmp_path / "out" / "report.html").read_text()
