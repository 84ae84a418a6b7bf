"""What a run writes down of itself."""

import pytest

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.errors import InputError
from optscale_predictor.pools.manifest import read_runs
from optscale_predictor.pools.preparation import generate_pool
from optscale_predictor.questions.arithmetic import make_questions

QUESTIONS = make_questions(4, 0, "train")


@pytest.fixture(scope="module")
def generator():
    return HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160), device="cpu")


def test_each_run_counts_what_it_spent_itself(tmp_path, generator):
    for samples in (2, 2, 5):
        generate_pool(tmp_path / "pool", QUESTIONS, generator, samples, samples_per_request=8, progress=False)
    first, second = read_runs(tmp_path / "pool")
    asked = sum(len(make_tokenizer()(question.text)["input_ids"]) for question in QUESTIONS)
    assert (first["samples"], second["samples"]) == (8, 12)
    assert first["prompt_tokens"] == second["prompt_tokens"] == asked


def test_an_interrupted_run_is_written_down_with_what_it_drew(tmp_path, generator):
    class Interrupted(HuggingFaceGenerator):
        def __init__(self):
            vars(self).update(vars(generator))

        def generate(self, requests):
            yield from super().generate(requests[:3])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_pool(tmp_path / "pool", QUESTIONS, Interrupted(), 2, progress=False)
    assert [run["samples"] for run in read_runs(tmp_path / "pool")] == [6]
    assert sum(generate_pool(tmp_path / "pool", QUESTIONS, generator, 2, progress=False).counts().values()) == 8


@pytest.mark.parametrize("name", ["num_samples", "shard_samples", "samples_per_request"])
def test_counts_out_of_range_are_named(tmp_path, generator, name):
    settings = {"num_samples": 1, name: 0}
    with pytest.raises(InputError, match=f"{name} must be >= 1, got 0"):
        generate_pool(tmp_path / "pool", QUESTIONS, generator, **settings)
