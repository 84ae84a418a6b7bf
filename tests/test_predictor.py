"""The predictor: valid moments always, the same alone and in company, the same after loading, and able to learn."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, BertTokenizerFast

from optscale_predictor import OptScalePredictor
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.config import PredictorConfig
from optscale_predictor.predictor.data import LengthBuckets, read_targets
from optscale_predictor.predictor.module import moment_loss, strength_of
from optscale_predictor.predictor.training import main, train_predictor

QUESTIONS = ["1+2=", "12+34+56+78=", "9+9=", "10+20+30+40+50+60="]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A BERT of random weights, so that encoders are covered as well as the embedded decoder."""
    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"0123456789+="]
    (folder / "vocab.txt").write_text("\n".join([*words, *(f"##{word}" for word in words[5:])]))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=2 * len(words), **sizes)).save_pretrained(folder)
    return str(folder)


def untrained(base, pooling="mean"):
    torch.manual_seed(0)
    predictor = OptScalePredictor.from_base(PredictorConfig(base, pooling), rank=4)
    for name, weight in predictor.named_parameters():
        if "lora_B" in name:  # zero at the start: LoRA would go untested
            torch.nn.init.normal_(weight, std=0.1)
    return predictor.eval()


@pytest.fixture(scope="module", params=["encoder", "decoder", "decoder, last token"])
def predictor(request, encoder):
    base = encoder if request.param == "encoder" else "embedded:generator"
    return untrained(base, "last" if "last" in request.param else "mean")


def test_a_prediction_does_not_depend_on_its_neighbours(predictor):
    together = predictor.predict(QUESTIONS)
    alone = [predictor.predict([question]) for question in QUESTIONS]
    assert together.mu == pytest.approx([float(one.mu[0]) for one in alone], abs=1e-6)
    assert together.sigma == pytest.approx([float(one.sigma[0]) for one in alone], abs=1e-6)
    assert len({round(float(value), 6) for value in together.mu}) == len(QUESTIONS)


def test_saved_and_loaded_it_predicts_the_same(predictor, tmp_path):
    before = predictor.predict(QUESTIONS)
    predictor.save_pretrained(tmp_path / "checkpoint")
    after = OptScalePredictor.from_pretrained(str(tmp_path / "checkpoint")).predict(QUESTIONS)
    assert np.array_equal(before.mu, after.mu) and np.array_equal(before.sigma, after.sigma)


@given(question=st.text(max_size=80))
def test_any_text_gets_valid_moments(question):
    prior = SHARED.predict([question])
    assert 0 < prior.mu[0] < 1
    assert 0 < prior.sigma[0] <= np.sqrt(prior.mu[0] * (1 - prior.mu[0]))


SHARED = untrained("embedded:generator")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda folder: (folder / "head.safetensors").unlink(), "head.safetensors is missing"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "adapter_model.safetensors is missing"),
        (lambda folder: (folder / "optscale_config.json").unlink(), "not a predictor checkpoint"),
        (lambda folder: (folder / "optscale_config.json").write_text("{"), "cannot read it"),
        (lambda folder: (folder / "head.safetensors").write_bytes(b"garbage!" * 9), "cannot read its weights"),
        (lambda folder: drop_tensor(folder / "adapter_model.safetensors"), "is missing, unknown or of another shape"),
        (lambda folder: newer_format(folder / "optscale_config.json"), "this version reads format 1"),
    ],
)
def test_a_damaged_checkpoint_is_one_line(harm, says, tmp_path):
    SHARED.save_pretrained(tmp_path)
    harm(tmp_path)
    with pytest.raises(InputError, match=says) as raised:
        OptScalePredictor.from_pretrained(str(tmp_path))
    assert "\n" not in str(raised.value)


def drop_tensor(path):
    tensors = load_file(path)
    tensors.pop(min(tensors))
    save_file(tensors, path)


def newer_format(path):
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))


def test_checkpoint_names_nothing_of_this_machine(tmp_path):
    SHARED.save_pretrained(tmp_path)
    for file in tmp_path.iterdir():
        if file.suffix in (".json", ".md"):
            assert str(tmp_path) not in file.read_text() and "weights/generator" not in file.read_text()


def test_loss_gradient_agrees_with_finite_differences():
    predicted = torch.rand(5, 2, dtype=torch.float64, requires_grad=True)
    true, spread = torch.rand(5, 2, dtype=torch.float64), torch.tensor([0.3, 0.1], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: moment_loss(x, true, spread), predicted)


def test_strength_is_the_sample_size_whose_mean_errs_as_much():
    rng = np.random.default_rng(0)
    true = np.stack([rng.uniform(0.2, 0.8, 20_000), np.full(20_000, 0.3)], -1)
    predicted = true.copy()
    predicted[:, 0] += rng.normal(0, 0.3 / np.sqrt(5), 20_000)  # the error of the mean of 5 samples
    assert strength_of(torch.tensor(predicted), torch.tensor(true)) == pytest.approx(5, rel=0.05)


def write_targets(path, count=240):
    """Mean falls with the number of terms: a relation that anyone can learn."""
    rng = np.random.default_rng(0)
    with open(path, "w") as file:
        for _ in range(count):
            terms = rng.integers(2, 8)
            question = "+".join(str(number) for number in rng.integers(1, 100, terms)) + "="
            mean = 1.0 - 0.1 * float(terms)
            file.write(json.dumps({"question": question, "mean": mean, "std": 0.5 * mean * (1 - mean)}) + "\n")


def test_it_learns_what_can_be_learnt(tmp_path):
    write_targets(tmp_path / "targets.jsonl")
    train_predictor(tmp_path / "targets.jsonl", tmp_path / "predictor", epochs=8)
    loaded = OptScalePredictor.from_pretrained(str(tmp_path / "predictor"))
    assert loaded.config.metrics["r2_mean"] > 0.7
    easy, hard = loaded.predict(["11+12=", "11+12+13+14+15+16+17="]).mu
    assert easy > hard + 0.3


def test_the_command_line_trains_and_saves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_targets(tmp_path / "targets.jsonl", 60)
    flags = {"--model.output": "out", "--data.path": "targets.jsonl", "--trainer.max_epochs": "1"}
    flags |= {"--trainer.enable_progress_bar": "false", "--trainer.log_every_n_steps": "1", "--data.batch_size": "16"}
    main(["fit", *(part for pair in flags.items() for part in pair)])
    assert OptScalePredictor.from_pretrained("out").config.metrics["questions"] > 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"question": "a", "mean": 0.5}', "row 1: needs columns"),
        ('{"question": "a", "mean": 0.9, "std": 0.4}', "row 1: no scores in"),
        ("[1]", ":1: expected a JSON object"),
        ('{"question"', ":1: not valid JSON"),
        ("", "no targets in it"),
    ],
)
def test_bad_targets_are_named(line, says, tmp_path):
    (tmp_path / "targets.jsonl").write_text(line)
    with pytest.raises(InputError, match=says):
        read_targets(tmp_path / "targets.jsonl")


def test_questions_that_differ_in_numbers_alone_stay_on_one_side(tmp_path):
    with open(tmp_path / "targets.jsonl", "w") as file:
        for number in range(200):
            row = {"question": f"What is {number} plus {number % 7} {'x' * (number % 20)}?", "mean": 0.5, "std": 0.1}
            file.write(json.dumps(row) + "\n")
    sides = {}
    for target in read_targets(tmp_path / "targets.jsonl", 0.5, group_numbers=True):
        sides.setdefault(target.question.count("x"), set()).add(target.split)
    assert all(len(side) == 1 for side in sides.values()) and len(set.union(*sides.values())) == 2


@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=200), size=st.integers(1, 32), seed=st.integers(0, 9))
def test_buckets_hold_every_row_once(lengths, size, seed):
    batches = list(LengthBuckets(lengths, size, seed))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert len(batches) == len(LengthBuckets(lengths, size, seed))
