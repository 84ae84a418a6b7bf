"""The published MATH checkpoint: it loads as it lies in the repository, and says what its card says it says."""

import json
from pathlib import Path

import pytest

from optscale_predictor import OptScalePredictor
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.model.config import ScoreSource
from optscale_predictor.predictor.provenance import require_pairing

FOLDER = Path(__file__).parent.parent / "checkpoints" / "math_minilm"
EASY = "Solve for $x$: $3x+5=20$."
HARD = (
    "How many ways are there to arrange the letters so that no two vowels are adjacent and the figure shown below is "
    "symmetric? [asy] draw((0,0)--(1,1)); [/asy]"
)


@pytest.fixture(scope="module")
def predictor():
    return OptScalePredictor.from_pretrained(str(FOLDER))


def test_it_tells_easy_from_hard(predictor):
    prior = predictor.predict([EASY, HARD])
    assert prior.mean[0] > prior.mean[1] + 0.02 and prior.std[0] < prior.std[1]
    assert ((prior.strength >= 1) & (prior.strength < 20)).all()


def test_a_level_told_moves_it_the_right_way(predictor):
    easy, hard = (predictor.predict([HARD], labels=[{"level": level}]).mean[0] for level in ("1", "5"))
    assert easy > hard


def test_it_is_for_its_own_generator_and_verifier(predictor):
    with pytest.raises(InputError, match="generator"):
        require_pairing(predictor.config, ScoreSource(generator="another/model"))


def test_its_card_has_the_numbers_that_were_measured():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    figures = json.loads((FOLDER / "assessment.json").read_text(encoding="utf-8"))["figures"]
    assert f"| predictor | {figures['r2_mean']:.3f} ±" in card and "split: test" in card
    assert figures["r2_mean"] > figures["best_baseline_r2_mean"]
