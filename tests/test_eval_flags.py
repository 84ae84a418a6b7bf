"""Flags of optscale eval: which become arguments of our model, and which are handed on to lm-eval."""

from pathlib import Path

import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.eval_command import TASKS, with_defaults, with_ours


def test_our_flags_become_arguments_of_our_model():
    given = ["--policies", "esc:window=2,max_samples=4 best_of_n", "--tasks", "x", "--output_path", "out"]
    args, record = with_ours(given)
    assert record == str(Path("out") / "records")
    place = args.index("--model_args")
    assert args[place + 1 :] == ["policies=esc:window=2;max_samples=4 best_of_n", f"record={record}"]
    assert with_ours(["--model", "hf", "--output_path", "out"]) == (["--model", "hf", "--output_path", "out"], None)
    with pytest.raises(InputError, match="--model optscale"):
        with_ours(["--model=hf", "--policies", "esc"])
    with pytest.raises(InputError, match="needs a value"):
        with_ours(["--policies"])


def test_flags_are_handed_on():
    assert with_defaults(["--tasks", "x"]) == [
        "run",
        "--tasks",
        "x",
        "--model",
        "optscale",
        "--include_path",
        str(TASKS),
    ]
    assert "optscale" not in with_defaults(["--model", "hf"])
