"""Continuous batching, for real on the CPU, held against the decoding loop of our own and the model's probabilities."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from optscale_predictor.backends.generators import Request, Sample, SamplingParams
from optscale_predictor.backends.generators.continuous_batching import ContinuousBatchingGenerator
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.errors import InputError
from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.arithmetic import make_questions

PROMPTS = ["7+5=", "23+4+58=", "91+8+64+13+77=", "12+34+56+78+90+11+22+33+44=", "7"]
REQUESTS = [Request(str(index), prompt, 1 + index) for index, prompt in enumerate(PROMPTS)]
GREEDY, HOT = SamplingParams(temperature=0.0), SamplingParams(temperature=1.5, max_tokens=48)


@pytest.fixture(scope="module")
def engine() -> ContinuousBatchingGenerator:
    return ContinuousBatchingGenerator("embedded:generator", SamplingParams(), device="cpu")


@pytest.fixture(scope="module")
def loop() -> HuggingFaceGenerator:
    return HuggingFaceGenerator("embedded:generator", SamplingParams(), device="cpu")


@pytest.fixture(autouse=True)
def untouched_global_randomness(engine: ContinuousBatchingGenerator) -> Iterator[None]:
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(before, torch.random.get_rng_state())


def draw(
    generator: ContinuousBatchingGenerator | HuggingFaceGenerator, params: SamplingParams, requests: list[Request]
) -> dict[str, list[Sample]]:
    return {one.question_id: samples for one, samples in generator.with_sampling(params).generate(requests)}


def test_greedy_samples_are_those_of_the_loop(engine: ContinuousBatchingGenerator, loop: HuggingFaceGenerator) -> None:
    """Forks, a prompt of one token that cannot be forked, and samples that end at different times."""
    ours, theirs = draw(engine, GREEDY, REQUESTS), draw(loop, GREEDY, REQUESTS)
    for request in REQUESTS:
        assert len(ours[request.question_id]) == request.num_samples
        for one, other in zip(ours[request.question_id], theirs[request.question_id], strict=True):
            assert (one.text, one.num_tokens, one.finish_reason) == (other.text, other.num_tokens, other.finish_reason)


def test_the_same_call_gives_the_same_samples_and_another_does_not(engine: ContinuousBatchingGenerator) -> None:
    first = draw(engine, HOT, REQUESTS)
    assert first == draw(engine, HOT, REQUESTS)
    other_seed, later = (
        SamplingParams(temperature=1.5, max_tokens=48, seed=1),
        [Request("3", PROMPTS[3], 4, first_index=4)],
    )
    assert first["3"] != draw(engine, other_seed, REQUESTS)["3"]
    assert {one.text for one in first["3"]} != {one.text for one in draw(engine, HOT, later)["3"]}


def test_samples_of_one_question_are_independent_draws(engine: ContinuousBatchingGenerator) -> None:
    """Shares of the first character against the model's own probabilities, and of pairs against their products."""
    from transformers import AutoModelForCausalLM

    from optscale_predictor.backends.model_loading import load_pretrained

    model = load_pretrained(AutoModelForCausalLM, "embedded:generator", "cpu")
    tokenizer, prompt, num = make_tokenizer(), PROMPTS[3] + "\n", 1024
    params = SamplingParams(temperature=3.0, max_tokens=1)
    (samples,) = draw(engine, params, [Request("q", prompt, num)]).values()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([tokenizer(prompt)["input_ids"]])).logits[0, -1]
    probability = torch.softmax(logits / 3.0, -1)
    likely = tokenizer.decode([int(probability.argmax())])
    chance = float(probability.max())
    hit = np.array([sample.text == likely for sample in samples])
    assert abs(hit.mean() - chance) < 5 * (chance * (1 - chance) / num) ** 0.5
    pairs, both = hit.reshape(-1, 2).all(-1), chance**2
    assert abs(pairs.mean() - both) < 5 * (both * (1 - both) / (num / 2)) ** 0.5


def test_the_nucleus_is_all_that_is_sampled(engine: ContinuousBatchingGenerator, loop: HuggingFaceGenerator) -> None:
    narrow = SamplingParams(temperature=3.0, top_p=0.3, max_tokens=1)
    request = [Request("q", PROMPTS[3] + "\n", 200)]
    ours, theirs = (
        {one.text for one in samples}
        for samples in (draw(engine, narrow, request)["q"], draw(loop, narrow, request)["q"])
    )
    assert ours == theirs
    wide = draw(engine, SamplingParams(temperature=3.0, max_tokens=1), request)["q"]
    assert len({one.text for one in wide}) > len(ours)


def test_token_counts_and_finish_reasons_are_exact(engine: ContinuousBatchingGenerator) -> None:
    tokenizer = make_tokenizer()
    reasons = set()
    for samples in draw(engine, SamplingParams(max_tokens=30), REQUESTS).values():
        for sample in samples:
            written = len(tokenizer(sample.text)["input_ids"])
            reasons.add(sample.finish_reason)
            if sample.finish_reason == "stop":
                assert sample.num_tokens == written + 1
            else:
                assert sample.num_tokens == written == 30
    assert reasons == {"stop", "length"}


def test_log_probabilities_are_those_of_the_loop(
    engine: ContinuousBatchingGenerator, loop: HuggingFaceGenerator
) -> None:
    for temperature in (0.0, 1.0):
        params = SamplingParams(temperature=temperature, max_tokens=40, logprobs=True)
        ours = draw(engine, params, REQUESTS)
        theirs = {(name, one.text): one for name, drawn in draw(loop, params, REQUESTS).items() for one in drawn}
        same = [(one, theirs.get((name, one.text))) for name, drawn in ours.items() for one in drawn]
        pairs = [(one.logprobs, other.logprobs) for one, other in same if other is not None]
        assert len(pairs) > 3
        for mine, other in pairs:
            assert mine is not None and other is not None and mine.self_certainty is None
            assert mine.mean == pytest.approx(other.mean, abs=1e-4)
            assert mine.lowest == pytest.approx(other.lowest, abs=1e-4)


@pytest.mark.parametrize("settings", [{"temperature": 0.5}, {"top_p": 0.9}])
def test_log_probabilities_that_are_not_the_models_own_are_refused(
    engine: ContinuousBatchingGenerator, settings: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="--engine transformers tells them at any"):
        draw(engine, SamplingParams(**settings, logprobs=True), REQUESTS)


def test_stop_strings_end_a_sample_and_what_was_drawn_beyond_is_counted(loop: HuggingFaceGenerator) -> None:
    params = SamplingParams(temperature=0.0, stop=("####",))
    generator = ContinuousBatchingGenerator("embedded:generator", params, device="cpu")
    ours, theirs = draw(generator, params, REQUESTS), draw(loop, params, REQUESTS)
    for name, samples in ours.items():
        assert [(one.text, one.num_tokens) for one in samples] == [(one.text, one.num_tokens) for one in theirs[name]]
        assert all("####" not in one.text and one.finish_reason == "stop" for one in samples)
    assert generator.usage.prompt_tokens == sum(map(len, PROMPTS))
    # At most " 123" and the end follow the stop string.
    assert 0 <= generator.usage.discarded_tokens <= 5 * sum(request.num_samples for request in REQUESTS)
    assert generator.usage.cancelled == 0


def test_leaving_stops_the_engine_and_counts_what_was_lost(engine: ContinuousBatchingGenerator) -> None:
    before = draw(engine, HOT, REQUESTS)
    lost, cancelled = engine.usage.discarded_tokens, engine.usage.cancelled
    left = engine.with_sampling(HOT).generate([Request("long", PROMPTS[3], 64), Request("short", PROMPTS[0], 1)])
    assert next(left)[0].question_id == "short"
    with pytest.raises(InputError, match="drawing already"):
        next(engine.generate(REQUESTS))
    left.close()
    assert engine.usage.cancelled == cancelled + 1
    assert engine.usage.discarded_tokens >= lost + 64
    assert draw(engine, HOT, REQUESTS) == before


@pytest.mark.full
def test_pass_rates_agree_with_the_loop(engine: ContinuousBatchingGenerator, loop: HuggingFaceGenerator) -> None:
    """Question by question: the mean difference, in units of its standard error, and their largest."""
    questions = {one.id: one for one in make_questions(60, 0, "test")}
    requests = [Request(one.id, one.text, 16) for one in questions.values()]
    rates = []
    for generator in (engine, loop):
        drawn = draw(generator, SamplingParams(max_tokens=160), requests)
        assert drawn.keys() == questions.keys()
        rates.append(
            [np.mean([extract_answer(one.text) == questions[id].gold for one in drawn[id]]) for id in questions]
        )
    one, other = np.array(rates)
    spread = np.sqrt(np.mean(one * (1 - one) + other * (1 - other)) / 16 / len(questions))
    assert 0.2 < one.mean() < 0.9
    assert abs(one.mean() - other.mean()) < 4 * spread
    assert np.abs(one - other).max() < 4 * np.sqrt(2 * 0.25 / 16)


def test_what_cannot_be_used_is_one_line(engine: ContinuousBatchingGenerator) -> None:
    with pytest.raises(InputError, match=r"'too long'.*512"):
        draw(engine, HOT, [Request("too long", "1+" * 256, 1)])
    with pytest.raises(InputError, match=r"'nothing'.*empty"):
        draw(engine, HOT, [Request("nothing", "", 1)])
    with pytest.raises(InputError, match="no chat template"):
        ContinuousBatchingGenerator("embedded:generator", HOT, device="cpu", chat=True)
    with pytest.raises(InputError, match="memory_share"):
        ContinuousBatchingGenerator("embedded:generator", HOT, memory_share=1.0)
    assert draw(engine, HOT, []) == {}


def test_a_failing_engine_is_one_line_and_can_be_used_again() -> None:
    """The cache is too small for one sample: the engine's own thread fails, and the next call makes a new one."""
    generator = ContinuousBatchingGenerator("embedded:generator", GREEDY, device="cpu")
    generator._engine._span = 0
    settings = generator._engine._settings

    def starved(sampling: SamplingParams, seed: int) -> object:
        config = settings(sampling, seed)
        config.num_blocks = 1
        return config

    generator._engine._settings = starved  # type: ignore[method-assign]
    with pytest.raises(InputError, match="continuous batching failed: No requests can be scheduled") as raised:
        draw(generator, GREEDY, [Request("q", PROMPTS[3], 2)])
    assert "\n" not in str(raised.value)
    generator._engine._settings = settings  # type: ignore[method-assign]
    assert len(draw(generator, GREEDY, [Request("q", PROMPTS[3], 2)])["q"]) == 2
