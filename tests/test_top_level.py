"""The names that ``import optscale_predictor`` offers: each is found, none costs anything before it is used."""

import ast
import inspect
import pkgutil
import subprocess
import sys

import pytest

import optscale_predictor


def names_for_type_checkers() -> dict[str, str]:
    """Each name in the block that type checkers read, with the module that it comes from."""
    tree = ast.parse(inspect.getsource(optscale_predictor))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom) and node.module]
    return {name.name: str(node.module) for node in imports for name in node.names}


@pytest.mark.parametrize("name", optscale_predictor.__all__)
def test_every_name_is_found(name: str) -> None:
    assert getattr(optscale_predictor, name) is not None
    assert name in dir(optscale_predictor)


def test_type_checkers_and_python_see_the_same_names() -> None:
    lazy = {name: f"optscale_predictor.{module}" for name, module in optscale_predictor._MODULES.items()}
    assert names_for_type_checkers() == lazy
    assert sorted(lazy) == optscale_predictor.__all__


def test_no_name_is_a_folders_too() -> None:
    """Importing a submodule sets its name on the package, and a function of that name would be gone."""
    submodules = {found.name for found in pkgutil.iter_modules(optscale_predictor.__path__)}
    assert not submodules & {*optscale_predictor.__all__}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'best_of_everything'"):
        optscale_predictor.best_of_everything  # noqa: B018


#: What one fresh interpreter does, in this order: what it has imported stays, so that what imports least comes first.
STEPS = {
    "the package": "import optscale_predictor",
    "a name": "optscale_predictor.Prior",
    "replay": "import optscale_predictor.replays.run_policy; assert optscale_predictor.replay.__name__ == 'replay'",
    "reports": "import optscale_predictor.evaluation.report, optscale_predictor.replays.tuning",
    "answers": "from optscale_predictor import Calibration, TruncatedNormal, extract_answer, num_samples, parse_policy",
}


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """What is imported after each step."""
    code = "\n".join(f"{step}; print(*sys.modules)" for step in ("import sys", *STEPS.values()))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    _, *lines = ran.stdout.splitlines()
    return {name: set(line.split()) for name, line in zip(STEPS, lines, strict=True)}


def test_importing_the_package_loads_nothing_heavy(loaded: dict[str, set[str]]) -> None:
    assert not loaded["the package"] & {"numpy", "scipy", "pyarrow", "torch", "transformers", "lm_eval"}
    assert "numpy" in loaded["a name"]  # by name alone


def test_replay_is_the_function_whatever_was_imported_before(loaded: dict[str, set[str]]) -> None:
    """The step itself looks; a module of its package was imported first."""
    assert "optscale_predictor.replays.run_policy" in loaded["replay"] - loaded["a name"]


def test_reports_need_no_distributions_of_scipys(loaded: dict[str, set[str]]) -> None:
    """Half of what every verb that compares policies imports was for the ranks of an area under a curve."""
    assert not loaded["reports"] & {"scipy.stats", "torch", "matplotlib", "sklearn", "lm_eval"}


def test_answers_and_statistics_need_no_torch(loaded: dict[str, set[str]]) -> None:
    assert not loaded["answers"] & {"torch", "transformers", "lm_eval"}
