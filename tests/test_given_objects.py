"""What is easily given in place of an object, from Python: refused at once, by a line that says what is wanted."""

import pytest
from answering import WrittenScores

from optscale_predictor import GeneratorOptions, OptScale, Question
from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.backends.verifiers.training.verifier_card import verifier_cautions
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.training.training_targets import _rows


@pytest.fixture(scope="module")
def generator():
    return GeneratorOptions("embedded:generator").build()


def test_a_function_is_no_verifier(generator):
    with pytest.raises(InputError, match=r'function is no Verifier; VerifierOptions\("python:MODULE:FUNCTION"\)'):
        OptScale(generator, lambda question, text: 0.5)


def test_three_numbers_are_no_prior(generator):
    with pytest.raises(InputError, match=r"tuple is no Prior; Prior\(mean, std, strength\) is one"):
        OptScale(generator, WrittenScores(), prior=(0.8, 0.2, 4))


def test_a_text_is_no_question(generator):
    with pytest.raises(InputError, match=r"questions\[1\] is no Question, got '7\+5='"):
        OptScale(generator, WrittenScores()).answer([Question("a", "1+1="), "7+5="])


def test_a_function_without_its_prefix_is_no_model():
    with pytest.raises(InputError, match="'mine:score': no such folder, and not a hub id; a function is python:MODULE"):
        resolve_model("mine:score")


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_of_targets_names_the_file_in_it(tmp_path, there):
    if there:
        (tmp_path / "targets.parquet").write_bytes(b"")
    with pytest.raises(InputError, match="is a folder; name the file of targets") as raised:
        list(_rows(tmp_path))
    assert str(raised.value).endswith("targets.parquet") is there


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        ({"questions": 200, "auc_within": 0.7, "epoch": 3}, []),
        ({"questions": 2, "auc_within": 0.7, "epoch": 3}, ["too few"]),
        ({"questions": 200, "auc_within": 0.5, "epoch": 0}, ["no better than a coin", "before training"]),
        ({"questions": 200}, []),
    ],
)
def test_a_verifier_that_is_worth_nothing_is_no_success(metrics, says):
    lines = verifier_cautions(metrics)
    assert len(lines) == len(says) and all(text in line for text, line in zip(says, lines, strict=True))
