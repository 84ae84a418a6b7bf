"""A world whose verifier is trained, end to end: the smallest sizes, the embedded generator in SmolLM2's place."""

import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO

import pytest

from optscale_predictor._support.messages import Verbosity, messages_shown
from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.verifiers.combined import ScoreCombination
from optscale_predictor.cli.worlds import run_demo as running
from optscale_predictor.cli.worlds.run_demo import run_demo
from optscale_predictor.cli.worlds.smollm2_world import SMOLLM2_WORLD
from optscale_predictor.cli.worlds.world import Sizes, VerifierTraining
from optscale_predictor.pools import Pool
from optscale_predictor.questions.arithmetic import make_questions

SIZES = Sizes(train_questions=20, test_questions=4, epochs=1, live_questions=2, samples=4, verifier_questions=30)
SEED = 7
# The generator knows nothing but sums: it is asked the bare question, by the task that does so.
WORLD = replace(
    SMOLLM2_WORLD.with_generator("embedded:generator"),
    prompt="{question}",
    sampling=SamplingParams(max_tokens=160),
    task="optscale_arithmetic",
    verifier=VerifierTraining(
        replace(SMOLLM2_WORLD.verifier.settings, learning_rate=2e-3), samples=4, beside=("calculations",)
    ),
)


def write_sums(path, number, split):
    rows = [{"question": one.text, "answer": one.gold} for one in make_questions(number, 0, split)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def done(tmp_path_factory, lm_eval_tasks):
    folder, said = tmp_path_factory.mktemp("demo"), StringIO()
    train, test = write_sums(folder / "train.jsonl", 160, "train"), write_sums(folder / "test.jsonl", 8, "test")
    world = replace(WORLD, train_set=train, test_set=test).with_seed(SEED)
    shown = messages_shown(Verbosity.NORMAL)
    with pytest.MonkeyPatch.context() as patch, shown, redirect_stderr(said), redirect_stdout(said):
        patch.setattr(running, "PATHS", 60)
        run_demo(world, folder / "out", SIZES)
        before = times(folder / "out")
        patch.setattr(running, "_evaluate", lambda *_: None)  # asked anew by every run, and seen once
        run_demo(world, folder / "out", SIZES)
    return folder / "out", said.getvalue().splitlines(), before


def times(folder):
    """When what takes long was written."""
    names = ["verifier/optscale_verifier.json", "predictor/optscale_config.json", "policy/fitted_policy.json"]
    shards = [shard for pool in ("verifier_pool", "train_pool", "test_pool") for shard in Pool(folder / pool).shards()]
    files = [*shards, *(folder / name for name in names if (folder / name).exists())]
    return {str(file): file.stat().st_mtime_ns for file in files}


def test_every_step_leaves_what_it_made(done):
    folder, said, _ = done
    assert sum(line.startswith("[") for line in said) == 16
    assert [line.split("]")[0] for line in said if line.startswith("[")][:8] == [f"[{step}/8" for step in range(1, 9)]
    for name in ("table.md", "curve.png", "report/report.html", "targets/histograms.html", "verifier/README.md"):
        assert (folder / name).is_file(), name
    labels = {row["label"] for row in json.loads((folder / "table.json").read_text())}
    assert {"best_of_n", "optscale, predictor", "cost_aware, predictor", "asc_beta (votes)", "fitted"} <= labels


def test_no_sample_that_the_verifier_learnt_from_is_scored_and_learnt_from_again(done):
    folder, _, _ = done
    verifier, train = ({one.text for one in Pool(folder / name).questions} for name in ("verifier_pool", "train_pool"))
    assert len(verifier) == 30 and len(train) == 20 and not verifier & train
    scores = Pool(folder / "train_pool").scores
    assert [scores[name]["adapter"] for name in ("score", "score_calculations")] == ["trained_verifier", "calculations"]
    assert not Pool(folder / "verifier_pool").scores


def test_the_live_run_asked_test_questions_with_both_verifiers(done):
    folder, _, _ = done
    record = folder / "eval" / "records" / "optscale_arithmetic"
    asked = {json.loads(line)["question_id"] for line in (record / "outcomes.jsonl").read_text().splitlines()}
    assert asked == {one.id for one in Pool(folder / "test_pool").questions[:2]}
    verifier = json.loads((record / "run.json").read_text())["verifier"]
    assert [part["adapter"] for part in verifier["parts"]] == ["trained_verifier", "calculations"]
    assert verifier["model"] == f"combined:{ScoreCombination.load(folder / 'combined').version}"


def test_a_rerun_keeps_what_takes_long(done):
    folder, _, before = done
    assert times(folder) == before and any("optscale_verifier" in name for name in before)


def test_the_seed_is_that_of_every_step(done):
    folder, _, _ = done
    for name in ("verifier_pool", "train_pool", "test_pool"):
        assert Pool(folder / name).manifest["settings"]["generator"]["seed"] == SEED
    for path, entry in {
        "verifier/optscale_verifier.json": "training",
        "predictor_training/made_of.json": "settings",
        "eval/records/optscale_arithmetic/run.json": "generator",
    }.items():
        assert json.loads((folder / path).read_text())[entry]["seed"] == SEED, path
