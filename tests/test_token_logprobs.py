"""What is kept of a sample's token log-probabilities, held against the model reading prompt and sample anew."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.token_logprobs import GROUP_SIZES, LogprobSummary, lowest_group
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.pools.schema import LOGPROB_FIELDS

PROMPTS = ["7+5=", "23+4+58=", "91+8+64+13+77=", "12+34+56+78+90+11+22+33+44="]
LOGPROBS = st.lists(st.floats(-30, 0), min_size=1, max_size=60)


@given(LOGPROBS, st.integers(1, 70))
def test_the_lowest_group_is_the_least_of_all_means_of_neighbours(logprobs, size):
    values = np.array(logprobs)
    means = [values[start : start + size].mean() for start in range(max(1, len(values) - size + 1))]
    assert lowest_group(values, size) == pytest.approx(min(means), abs=1e-9)


@given(LOGPROBS, st.booleans())
def test_a_pools_columns_give_the_same_numbers_back(logprobs, certain):
    made = LogprobSummary.of_tokens(logprobs, [2.5] * len(logprobs) if certain else [])
    table = pa.Table.from_pylist([made.as_row()], schema=pa.schema(LOGPROB_FIELDS))
    assert LogprobSummary.of_row(table.to_pylist()[0]) == made
    assert made.mean == pytest.approx(np.mean(logprobs), rel=1e-6) and (made.self_certainty == 2.5) == certain


def test_no_tokens_have_no_summary_and_impossible_ones_a_finite_one():
    assert LogprobSummary.of_tokens([]) is None and LogprobSummary.of_row({"logprob_mean": None}) is None
    for impossible in (-9999.0, -3.4e38, -math.inf):
        found = LogprobSummary.of_tokens([-0.1, impossible, *[-0.1] * 20], [1.0, math.inf])
        assert found.lowest[0] < -1000 and math.isfinite(found.mean) and found.self_certainty is None
    assert LogprobSummary.of_tokens([1e-7]).mean == 0.0  # rounding of a server


@pytest.fixture(scope="module")
def model():
    from transformers import AutoModelForCausalLM

    return load_pretrained(AutoModelForCausalLM, "embedded:generator", "cpu")


def read_anew(model, prompt, tokens):
    """The log-probabilities of every token of the vocabulary at each of the sample's places, [tokens, vocabulary]."""
    asked = make_tokenizer()(prompt)["input_ids"]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([asked + tokens])).logits[0, len(asked) - 1 : -1]
    return log_softmax(logits.double().numpy(), -1)


@pytest.mark.parametrize(
    "sampling",
    [
        {},
        {"temperature": 0.6, "top_p": 0.8},  # not what was sampled from: the model's own
        {"temperature": 2.0, "max_tokens": 40},  # cut off
        {"temperature": 0.0},
        {"stop": ("####",)},
    ],
)
def test_the_numbers_are_those_of_the_model_reading_prompt_and_sample_anew(model, sampling):
    """Whatever shares its batch, and over all that was generated: the end, and the tokens of a stop string."""
    params = SamplingParams(**{"max_tokens": 160, **sampling}, logprobs=True)
    generator = HuggingFaceGenerator("embedded:generator", params, 7, device="cpu")
    tokenizer = make_tokenizer()
    requests = [Request(str(number), prompt, 3) for number, prompt in enumerate(PROMPTS)]
    compared = 0
    for request, samples in generator.generate(requests):
        for sample in samples:
            tokens = tokenizer(sample.text)["input_ids"]
            if sample.finish_reason == "stop":
                stopped = len(tokens) + 1 < sample.num_tokens
                tokens += tokenizer("####")["input_ids"] if stopped else [tokenizer.eos_token_id]
            if len(tokens) < sample.num_tokens:
                continue  # a special token that was drawn within it has no text
            compared += 1
            logprobs = read_anew(model, request.prompt, tokens)
            own = logprobs[np.arange(len(tokens)), tokens]
            assert sample.logprobs.mean == pytest.approx(own.mean(), abs=1e-4)
            for size, lowest in zip(GROUP_SIZES, sample.logprobs.lowest, strict=True):
                windows = np.lib.stride_tricks.sliding_window_view(own, min(size, len(own)))
                assert lowest == pytest.approx(windows.mean(-1).min(), abs=1e-4)
            uniform = 1 / logprobs.shape[-1]
            divergence = (uniform * (np.log(uniform) - logprobs)).sum(-1)  # KL(uniform || p), by its definition
            assert sample.logprobs.self_certainty == pytest.approx(divergence.mean(), rel=1e-4)
    assert compared >= 9


def test_asking_for_them_changes_no_sample_and_they_come_only_where_asked():
    requests = [Request(str(number), prompt, 4) for number, prompt in enumerate(PROMPTS)]
    plain = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=60), device="cpu")
    telling = plain.with_sampling(SamplingParams(max_tokens=60, logprobs=True))
    for (_, without), (_, told) in zip(plain.generate(requests), telling.generate(requests), strict=True):
        assert without == told
        assert all(one.logprobs is None for one in without) and all(one.logprobs is not None for one in told)
    assert "logprobs" not in plain.describe() and telling.describe() == {**plain.describe(), "logprobs": True}


def test_equal_greedy_samples_have_equal_numbers():
    sampling = SamplingParams(temperature=0.0, max_tokens=60, logprobs=True)
    (found,) = HuggingFaceGenerator("embedded:generator", sampling, device="cpu").generate([Request("q", "7+5=", 3)])
    assert len({sample.logprobs for sample in found[1]}) == 1
