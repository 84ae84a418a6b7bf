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


def test_replay_is_the_function_whatever_was_imported_before() -> None:
    code = "import optscale_predictor.replays.run_policy, optscale_predictor; print(optscale_predictor.replay.__name__)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "replay"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'best_of_everything'"):
        optscale_predictor.best_of_everything  # noqa: B018


def loaded_by(code: str, *modules: str) -> list[str]:
    """Which of the modules a fresh interpreter has loaded when it ran the code."""
    code = f"{code}; import sys; print(*(name for name in {modules} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("numpy", "scipy", "pyarrow", "torch", "transformers", "lm_eval")
    assert loaded_by("import optscale_predictor", *heavy) == []
    assert "numpy" in loaded_by("import optscale_predictor; optscale_predictor.Prior", *heavy)  # by name alone


def test_reports_need_no_distributions_of_scipys() -> None:
    """Half of what every verb that compares policies imports was for the ranks of an area under a curve."""
    heavy = ("scipy.stats", "torch", "matplotlib", "sklearn", "lm_eval")
    assert loaded_by("import optscale_predictor.evaluation.report, optscale_predictor.replays.tuning", *heavy) == []


def test_answers_and_statistics_need_no_torch() -> None:
    code = "from optscale_predictor import Calibration, TruncatedNormal, extract_answer, num_samples, parse_policy"
    assert loaded_by(code, "torch", "transformers", "lm_eval") == []
