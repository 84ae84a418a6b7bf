"""What a run writes down of itself."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.errors import InputError
from optscale_predictor.pools.manifest import read_runs
from optscale_predictor.pools.preparation import fill_pool, generate_pool
from optscale_predictor.pools.preparation.fill_pool import count_missing, missing_requests
from optscale_predictor.pools.schema import MOST_SAMPLES
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


def test_more_samples_than_a_pool_can_number_are_refused_before_any_is_drawn(tmp_path, generator):
    with pytest.raises(InputError, match="num_samples must be <= 16,777,216, got 1,000,000,000"):
        generate_pool(tmp_path / "pool", QUESTIONS, generator, 10**9)
    assert not (tmp_path / "pool").exists()


def brute_force(drawn, num_samples, step):
    """Half-open ranges of samples that are not drawn, sample by sample; a range ends where a request does."""
    ranges = []
    for index in range(num_samples):
        if drawn >> index & 1:
            continue
        if ranges and ranges[-1][1] == index and index % step:
            ranges[-1][1] = index + 1
        else:
            ranges.append([index, index + 1])
    return ranges


@given(st.integers(0, 2**70 - 1), st.integers(1, 64), st.integers(1, 70))
def test_requests_are_for_what_is_missing(drawn, num_samples, step):
    first, there = QUESTIONS[:1], {QUESTIONS[0].id: drawn}
    asked = list(missing_requests(first, there, num_samples, "<{}>".format, step))
    ranges = [[one.first_index, one.first_index + one.num_samples] for one in asked]
    assert ranges == brute_force(drawn, num_samples, step)
    assert sum(one.num_samples for one in asked) == count_missing(first, there, num_samples)
    assert {one.prompt for one in asked} <= {f"<{QUESTIONS[0].text}>"}


def test_the_first_of_many_millions_of_requests_is_there_at_once():
    drawn = {question.id: 1 << 5 for question in QUESTIONS}
    requests = missing_requests(QUESTIONS, drawn, MOST_SAMPLES, str, 1)
    assert [one.first_index for one in islice(requests, 7)] == [0, 1, 2, 3, 4, 6, 7]
    assert count_missing(QUESTIONS, drawn, MOST_SAMPLES) == 4 * (MOST_SAMPLES - 1)


def test_engines_are_given_so_many_requests_at_a_time(tmp_path, generator, monkeypatch):
    class Watched(HuggingFaceGenerator):
        def __init__(self):
            vars(self).update(vars(generator))
            self.given = []

        def generate(self, requests):
            self.given.append(len(requests))
            yield from super().generate(requests)

    watched = Watched()
    monkeypatch.setattr(fill_pool, "_REQUESTS_AT_ONCE", 5)
    pool = generate_pool(tmp_path / "pool", QUESTIONS, watched, 3, samples_per_request=1, progress=False)
    assert watched.given == [5, 5, 2] and set(pool.counts().values()) == {3}
