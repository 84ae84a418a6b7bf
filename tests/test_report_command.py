"""``optscale report``: its files, and its errors in one line."""

import html
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from fitted_policies import folder_of, made_up
from recorded_runs import OURS, outcomes_of, record_run

from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report import FILES, read_record
from optscale_predictor.evaluation.report.report_tables import latex_text
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import Pool
from optscale_predictor.predictor.model.config import ScoreSource
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior


def test_latex_says_what_it_was_given():
    assert latex_text(r"a_b & 5% \x {~^} ± " + "\N{MINUS SIGN}1") == (
        r"a\_b \& 5\% \textbackslash{}x \{\textasciitilde{}\textasciicircum{}\} $\pm$ $-$1"
    )


def test_the_command_whose_same_runs_make_the_same_files(folders, tmp_path, capsys):
    out, given = tmp_path / "out", ["--title", "Sums & <more> for $5_$x"]
    main(["report", *map(str, folders[:3]), "--output", str(out), *given])
    printed = capsys.readouterr().out
    assert " Best-of-k " in printed.splitlines()[1]  # at equal tokens
    assert ") less accurate than best_of_n (max_samples=8): " in printed.splitlines()[2]
    names = ["curve.png", "curve.svg", "report.html", "table.json", "table.md", "table.tex", "tokens.png", "tokens.svg"]
    assert sorted(path.name for path in out.iterdir()) == names
    found = json.loads((out / "table.json").read_text())
    ours = outcomes_of(folders[:3], OURS)
    assert found["policies"][0]["accuracy"]["mean"] == pytest.approx(np.mean([one["correct"] for one in ours]))
    assert found["answer"] in (out / "table.md").read_text() and found["questions"] == 40
    text = (out / "table.tex").read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\bottomrule") == 2 and "asc\\_beta" in text
    mean = np.mean([one["samples"] for one in ours])
    assert f"{mean:.2f}" in (out / "table.md").read_text() and f"{mean:.2f} $\\pm$" in text
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG") and "<svg" in (out / "curve.svg").read_text()
    main(["report", *map(str, folders[:3]), "--output", str(tmp_path / "again"), *given])
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()


def test_the_command_over_a_pool(pools, tmp_path, capsys):
    policies = "optscale:max_samples=8,score_min=0.8 best_of_n:max_samples=8"
    main(
        ["report", str(pools[0].folder), "--output", str(tmp_path / "out"), "--policies", policies, "--num_orders", "3"]
    )
    assert "of_n (max_samples=8)" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "out" / "table.json").read_text())["policies"]) == 2


def test_a_selection_is_that_of_every_replayed_policy(pools, tmp_path):
    """The figures are those of a replay with it; the page says it, without the path of its folder."""
    recorded, fitted = RecordedSamples.from_pool(pools[0]), folder_of()
    policies = "optscale:max_samples=8,score_min=0.8 best_of_n:max_samples=8"
    given = ["--output", str(tmp_path / "out"), "--policies", policies, "--num_orders", "1"]
    for selection in ("majority", f"confidence:{fitted}"):
        main(["report", str(pools[0].folder), "--selection", selection, *given])
        found = json.loads((tmp_path / "out" / "table.json").read_text())["policies"]
        for text, shown in zip(policies.split(), found, strict=True):
            chosen = run_policy(parse_policy(text), recorded, selection=selection).chosen
            assert shown["accuracy"]["mean"] == pytest.approx(recorded.correct[np.arange(40), chosen].mean())
        assert "at_equal_tokens" in found[1]
        page = html.unescape((tmp_path / "out" / "report.html").read_text())
        assert f"--selection {selection.replace(fitted, Path(fitted).name)}" in page
        assert "Answers chosen by" in page and str(Path(fitted).parent) not in page


def test_a_learnt_prior_is_named_and_a_run_with_it_is_another_than_one_without(pools, tmp_path):
    policy = "cost_aware:max_samples=8,sample_price=0.1"
    main(["report", str(pools[0].folder), "--prior", "learnt", "--policies", policy, "--output", str(tmp_path / "out")])
    (found,) = json.loads((tmp_path / "out" / "table.json").read_text())["policies"]
    assert found["predictor"] == "learnt:block=8"
    learnt = record_run(tmp_path / "learnt", pools[0], [policy], believed=LearntPrior(1))
    facts = json.loads((learnt / "run.json").read_text())
    (learnt / "run.json").write_text(json.dumps({**facts, "prior": "learnt:block=1"}))
    plain = record_run(tmp_path / "plain", pools[0], [policy])
    main(["report", str(learnt), str(plain), "--output", str(tmp_path / "two")])
    shown = json.loads((tmp_path / "two" / "table.json").read_text())["policies"]
    assert [one["predictor"] for one in shown] == ["learnt:block=1", None]
    assert [one["label"] for one in shown] == ["cost_aware (prior learnt:block=1)", "cost_aware (no predictor)"]


def test_the_command_on_the_page_can_be_typed(pools, tmp_path, monkeypatch):
    """With every flag that a pool takes: as the page shows it, from where its folders lie."""
    monkeypatch.chdir(pools[0].folder.parent)
    given = ["--policies", "optscale:max_samples=4 best_of_n:max_samples=4", "--prior_pool", pools[1].folder.name]
    main(["report", pools[0].folder.name, "--output", str(tmp_path / "a"), "--num_orders", "2", *given])
    page = (tmp_path / "a" / "report.html").read_text()
    shown = html.unescape(re.search(r"optscale report [^<]+", page)[0]).strip()
    assert "--prior_pool" in shown
    main([*shlex.split(shown)[1:], "--output", str(tmp_path / "b")])
    assert (tmp_path / "b" / "table.json").read_bytes() == (tmp_path / "a" / "table.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{tmp}"], "neither a run's record (no run.json) nor a pool"),
        (["{run}", "--reference", "best"], "no run has the reference 'best'"),
        (["{pool}", "--policies", "best"], "unknown policy 'best'"),
        (["{pool}", "--policies", " "], "no policies named"),
        (["{pool}", "--selection", "best"], "unknown selection 'best'"),
        (["{pool}", "--selection", "confidence:{elsewhere}"], "fitted to other samples than these: generator"),
        (["{pool}", "--num_orders", "0"], "orders must be >= 1"),
        (["{pool}", "--policies", "oracle"], "needs a prior"),
        (["{pool}", "--policies", "fitted:path={elsewhere}"], "fitted to other samples than these: generator"),
        (["{broken}"], "outcomes.jsonl:1: not valid JSON"),
        (["{empty}"], "no question was finished under"),
        (["{run}", "--output", "{run}/run.json"], "cannot write"),
    ],
)
def test_bad_input_is_one_line(arguments, says, folders, pools, tmp_path, capsys):
    for name, content in (("broken", "{\n"), ("empty", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text((folders[0] / "run.json").read_text())
        (tmp_path / name / "outcomes.jsonl").write_text(content)
    other = made_up(source=ScoreSource(generator="org/other").as_dict())
    places = {"tmp": tmp_path, "elsewhere": folder_of(other), "run": folders[0], "pool": Pool(pools[0].folder).folder}
    places |= {name: tmp_path / name for name in ("broken", "empty")}
    given = [one.format(**places) for one in arguments]
    given += [] if "--output" in arguments else ["--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stopped:
        main(["report", *given])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and says in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seconds": "long"}, "run.json: seconds cannot be 'long'"),
        ({"policies": "optscale"}, "run.json: policies cannot be 'optscale'"),
        ({"generator": None}, "run.json: generator cannot be None"),
    ],
)
def test_a_damaged_record_is_refused(folders, tmp_path, change, says):
    (tmp_path / "outcomes.jsonl").write_text((folders[0] / "outcomes.jsonl").read_text())
    content = json.loads((folders[0] / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(InputError, match=says):
        read_record(tmp_path)


def test_an_outcome_that_is_no_number_is_refused(folders, tmp_path):
    (tmp_path / "run.json").write_text((folders[0] / "run.json").read_text())
    first, *rest = (folders[0] / "outcomes.jsonl").read_text().splitlines()
    (tmp_path / "outcomes.jsonl").write_text(
        "\n".join([json.dumps({**json.loads(first), "samples": "many"}), *rest, ""])
    )
    with pytest.raises(InputError, match="not a number"):
        read_record(tmp_path)
