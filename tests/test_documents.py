"""The pages for maintainers: the files that they name exist, the diagram is the imports, the worked examples work."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import grimp
import numpy as np
import pytest

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.bound import num_samples

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md", ROOT / "README.md", ROOT / "SECURITY.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    own = set(re.findall(r"`((?:optscale_predictor|tests|benchmarks|data_prep|eval|docs)/[\w./*]+?)`", text))
    linked = {str((page.parent / to).relative_to(ROOT)) for to in re.findall(r"\]\((?!http)([\w./]+)", text)}
    assert own | linked
    assert [name for name in sorted(own | linked) if not list(ROOT.glob(name.rstrip("/")))] == []


def imported_folders():
    """Which folder at the package's root imports which, without the command ``python -m``."""
    graph = grimp.build_graph("optscale_predictor", cache_dir=None)
    found = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            pair = tuple([*name.split("."), ""][1] for name in (module, imported))
            if pair[0] != pair[1] and all(pair) and pair[0] != "__main__":
                found.add(pair)
    return found


def reached_from(arrows, start):
    reached, waiting = set(), [start]
    while waiting:
        for one in arrows[waiting.pop()] - reached:
            reached.add(one)
            waiting.append(one)
    return reached


def test_the_diagram_is_what_the_code_imports():
    """Each arrow is an import, none can be left out without loss, and every import follows arrows."""
    diagram = re.search(r"```mermaid\n(.*?)```", PAGES[0].read_text(encoding="utf-8"), re.DOTALL)[1]
    drawn = set(re.findall(r"(\w+) --> (\w+)", diagram))
    imports = imported_folders()
    assert drawn - imports == set()
    arrows = defaultdict(set)
    for above, below in drawn:
        arrows[above].add(below)
    assert {(above, below) for above, below in imports if below not in reached_from(arrows, above)} == set()
    for above, below in drawn:
        others = defaultdict(set, {name: set(to) for name, to in arrows.items()})
        others[above].discard(below)
        assert below not in reached_from(others, above), f"{above} --> {below} says nothing new"


def test_the_table_of_layers_has_the_order_that_is_checked():
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    checked = layers["contracts"][0]["layers"]
    shown = re.findall(r"(?m)^\| `(\w+)/?` \|", PAGES[0].read_text(encoding="utf-8"))
    assert [name for name in shown if name in checked] == checked


@pytest.fixture(scope="module")
def example():
    """Every name that the worked examples of CONTRIBUTING define."""
    names = {"__name__": "worked_examples"}
    for block in re.findall(r"```python\n(.*?)```", PAGES[1].read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    return names


def test_the_worked_policy_stops_after_two_good_scores(example):
    scores = np.array([[0.95, 0.1, 0.91, 0.92, 0.3], [0.1, 0.2, 0.3, 0.4, 0.5]])
    samples = RecordedSamples(scores, np.zeros_like(scores, int), np.ones_like(scores), np.ones_like(scores))
    outcomes = run_policy(example["TwiceGood"](max_samples=5), samples)
    assert outcomes.count.tolist() == [4, 5] and outcomes.reason.tolist() == ["reached", "budget"]


def test_the_worked_verifier_scores_by_length(example):
    question = Question("a", "7+5=")
    scores = example["Brevity"](half=2).score([Answered(question, "12"), Answered(question, "")])
    assert scores.values.tolist() == [0.5, 1.0]


def test_the_worked_generator_cuts_off_at_its_limit(example):
    generator = example["Echo"](SamplingParams(max_tokens=2))
    ((_, samples),) = generator.generate([Request("a", "one two three", 2)])
    assert [(one.text, one.num_tokens, one.finish_reason) for one in samples] == [("one two", 2, "length")] * 2


def test_the_worked_family_bounds_samples(example):
    """P(score < 0.95) = 0.95 ** power, so N* is the least n with 1 - 0.95 ** (power n) >= alpha."""
    family = example["Power"]([1.0, 3.0])
    assert num_samples(family, 0.95, 0.95).tolist() == [59.0, 20.0]
    assert family.mean() == pytest.approx([0.5, 0.75]) and family.quantile(0.5)[1] == pytest.approx(0.5 ** (1 / 3))
    assert family.logsf(1 - 1e-12)[0] == pytest.approx(np.log(1e-12), rel=1e-4)
