"""Arrays have the shapes that signatures state: `CHECK_SHAPES=1` (``conftest.py``) checks every call of these tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CHECKED = ("step", "selection", "prior", "estimators", "bootstrap", "tuning", "recorded_samples")
#: Commands, optimisers of SciPy's and what is repeated take most of the time, and call what the others have called.
LEFT_OUT = (
    "not the_command and not lbfgs and not expected_to_have_the_spread and not orders_differ"
    " and not no_direction_goes_up and not ten_thousand and not interval_of_many_questions"
)

WRONG = """
from jaxtyping import install_import_hook
install_import_hook(["optscale_predictor.policies"], "shape_checking.checked")
import numpy as np
from optscale_predictor.policies import Draws
from optscale_predictor.policies.step import visible
draws = Draws(np.zeros((2, 1)), np.zeros((2, 1), int), np.ones((2, 1)), np.ones(2, int), None)
visible(draws, np.array([0, 1]))
print("right")
visible(draws, np.array([[0, 1]]))
"""


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", **environment},
    )


def test_calls_have_the_stated_shapes():
    files = [f"test_{name}.py" for name in CHECKED]
    options = ("-q", "-p", "no:cacheprovider", "-p", "shape_checking", "--hypothesis-profile=shapes", "-k", LEFT_OUT)
    ran = run("-m", "pytest", *options, *files, CHECK_SHAPES="1")
    assert ran.returncode == pytest.ExitCode.OK, ran.stdout[-3000:]


def test_a_wrong_shape_is_found():
    ran = run("-c", WRONG)
    assert ran.returncode == 1 and ran.stdout == "right\n"
    assert "TypeCheckError" in ran.stderr and "questions" in ran.stderr
