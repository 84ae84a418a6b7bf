"""Recipes of data preparation: each can be run, and a broken file is one line with exit code 2."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from optscale_predictor.pools import Pool
from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question_sets import PUBLIC

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "data_prep").glob("*.yaml"))
VARIANTS = [(recipe, variant) for recipe in RECIPES for variant in ("small", "large")]


SCRIPT = ROOT / "data_prep" / "prepare.py"


def prepare(*arguments, folder):
    """The script as a process of its own."""
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def script():
    """The script in this process: the same, without a second of imports a time."""
    spec = importlib.util.spec_from_file_location("prepare_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def variant_of(recipe, variant):
    return yaml.safe_load(recipe.read_text())[variant]


def generates(steps):
    given = steps["generate"]
    return given if isinstance(given, list) else [given]


def test_an_embedded_recipe_from_end_to_end_and_again(tmp_path, script, capsys, monkeypatch):
    """The shipped recipe with fewer questions: questions to targets, then a rerun that finds nothing to do."""
    steps = variant_of(ROOT / "data_prep" / "arithmetic.yaml", "small")
    steps["generate"] |= {"pool": "pool", "questions": "embedded:train:12", "num_samples": 6, "stop": ["@", "~"]}
    steps["score"]["pool"] = steps["targets"]["pool"] = "pool"
    steps["score"] = [steps["score"], {"pool": "pool", "verifier": "math_verify", "column": "score_correct"}]
    steps["targets"]["output"] = "targets/targets.parquet"
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"tiny": steps}))
    monkeypatch.chdir(tmp_path)
    assert script.main(["recipe.yaml", "tiny"]) == 0
    first = capsys.readouterr()
    assert [line for line in first.out.splitlines() if line.startswith("prepare:")] == [
        "prepare: step 1 of 4: generate pool",
        "prepare: step 2 of 4: score pool",
        "prepare: step 3 of 4: score pool",
        "prepare: step 4 of 4: targets pool",
    ]
    assert "estimate: 72 samples of 12 questions x 160.0 tokens (max_tokens, an upper bound)" in first.err
    pool = Pool(tmp_path / "pool")
    assert set(pool.counts().values()) == {6} and pool.manifest["settings"]["generator"]["stop"] == ["@", "~"]
    rows = pool.read(["score", "score_correct", "correct"])
    assert rows["score"].null_count == 0
    assert rows["score_correct"].to_pylist() == [float(one) for one in rows["correct"].to_pylist()]
    assert pq.read_table(tmp_path / "targets" / "targets.parquet").num_rows == 12
    before = {path.name: path.read_bytes() for path in pool.shards()}
    assert script.main(["recipe.yaml", "tiny"]) == 0 and "estimate" not in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Pool(tmp_path / "pool").shards()} == before


@pytest.mark.parametrize(("recipe", "variant"), VARIANTS, ids=[f"{one.stem}-{variant}" for one, variant in VARIANTS])
def test_every_recipe_holds_flags_that_there_are(recipe, variant, script, capsys):
    """Checked as the command line would, so that a recipe never falls behind."""
    assert script.main([str(recipe), variant, "--check"]) == 0 and not capsys.readouterr().err
    steps = variant_of(recipe, variant)
    assert steps.keys() == {"generate", "score", "targets"}
    listed = [flags for step in steps.values() for flags in (step if isinstance(step, list) else [step])]
    assert len({flags["pool"] for flags in listed}) == 1  # the steps work on one pool
    for flags in generates(steps):
        questions = flags["questions"]
        assert questions in PUBLIC or questions.startswith("embedded:") or questions == "questions.jsonl"
    if (prompt := flags.get("prompt_file")) and flags.get("chat"):  # which is asked for a box
        assert extract_answer(PromptTemplate.from_file(ROOT / prompt)("2 + 2?").replace("{}", "{4}")) == "4"


@pytest.mark.parametrize(("recipe", "variant"), VARIANTS, ids=[f"{one.stem}-{variant}" for one, variant in VARIANTS])
def test_no_recipe_lets_a_model_run_on(recipe, variant):
    """A chat model ends its turn and the embedded generator its sum; anything else needs a stop string."""
    for flags in generates(variant_of(recipe, variant)):
        assert flags.get("chat") or flags.get("stop") or flags["questions"].startswith("embedded:")


def test_every_source_of_questions_has_a_recipe_for_a_laptop_and_a_cluster():
    assert {recipe.stem for recipe in RECIPES} == {"arithmetic", "gsm8k", "math", "own", "word_problems"}
    pools = [generates(variant_of(recipe, variant))[0]["pool"] for recipe, variant in VARIANTS]
    assert len(set(pools)) == len(pools)  # nothing made with other settings meets in one pool


BROKEN = {
    "no YAML": ("generate: [", "cannot read it: while parsing"),
    "empty": ("", "expected names with values, got None"),
    "a list": ("- generate", "expected names with values, got ['generate']"),
    "a step without flags": ("generate:", "generate: expected names with values, got None"),
    "no such step": ("generate: {pool: x}\nscores: {pool: x}", "no such step: scores; steps are generate, score"),
    "no such flag": ("generate: {pool: x, num_sample: 3}", "generate: unknown flag: num_sample"),
    "another type": (
        "generate: {pool: x, num_samples: many}",
        "generate: --num_samples must be a whole number, got 'many'",
    ),
    "a truth as a number": (
        "generate: {pool: x, num_samples: true}",
        "--num_samples must be a whole number, got 'True'",
    ),
    "a word as a truth": (
        "generate: {pool: x, chat: perhaps}",
        "generate: --chat must be true or false or null, got 'perhaps'",
    ),
    "a missing flag": ("generate: {num_samples: 3}", "generate: the following arguments are required: pool"),
    "a nested flag": ("generate: {pool: x, ray: {restarts: -1}}", "restarts must be >= 0, got -1"),
    "the second of a list": ("score:\n- {pool: x}\n- {pool: x, colum: y}", "score: unknown flag: colum"),
    "no variant named": ("small: {generate: {pool: x}}", "name a variant; it has small"),
    "no such file of questions": ("generate: {pool: x, questions: none.jsonl}", "none.jsonl: cannot read questions"),
    "a value out of range": (
        "generate: {pool: x, temperature: -1}",
        "temperature must be 0 or lie in [1e-06, 1e+06], got -1",
    ),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_file_is_one_line_and_exit_code_2(mistake, tmp_path, script, capsys, monkeypatch):
    content, says = BROKEN[mistake]
    (tmp_path / "recipe.yaml").write_text(content)
    monkeypatch.chdir(tmp_path)
    assert script.main(["recipe.yaml"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and error.startswith("prepare: error: ") and says in error


def test_as_a_process_too(tmp_path):
    content, says = BROKEN["no such flag"]
    (tmp_path / "recipe.yaml").write_text(content)
    ended = prepare("recipe.yaml", folder=tmp_path)
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1 and says in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "usage: python data_prep/prepare.py FILE.yaml [VARIANT] [--check]"),
        (["recipe.yaml", "small", "more"], "usage:"),
        (["recipe.yaml", "--chekc"], "usage:"),
        (["nothing.yaml"], "nothing.yaml: cannot read it"),
        (["recipe.yaml", "big"], "no variant 'big'; it has small"),
        (["steps.yaml", "small"], "it has steps and no variants, so no 'small'"),
    ],
)
def test_a_broken_command_is_one_line_and_exit_code_2(arguments, says, tmp_path, script, capsys, monkeypatch):
    (tmp_path / "recipe.yaml").write_text("small: {generate: {pool: x}}")
    (tmp_path / "steps.yaml").write_text("generate: {pool: x}")
    monkeypatch.chdir(tmp_path)
    assert script.main(arguments) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and says in error


def test_nothing_runs_before_everything_was_checked(tmp_path, script, capsys, monkeypatch):
    (tmp_path / "recipe.yaml").write_text("generate: {pool: pool, num_samples: 1}\ntargets: {pool: pool, outptu: x}")
    monkeypatch.chdir(tmp_path)
    assert script.main(["recipe.yaml"]) == 2
    assert "outptu" in capsys.readouterr().err and not (tmp_path / "pool").exists()
