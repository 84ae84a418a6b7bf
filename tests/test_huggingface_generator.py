"""The in-process generator: independent samples, exact counts, nothing that depends on the batch."""

from collections.abc import Iterator

import pytest
import torch

from optscale_predictor.errors import InputError
from optscale_predictor.generators import Request, Sample, SamplingParams
from optscale_predictor.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.world.tokenizer import make_tokenizer

PROMPTS = ["7+5=", "23+4+58=", "91+8+64+13+77=", "12+34+56+78+90+11+22+33+44="]
HOT = SamplingParams(temperature=2.0)  # samples vary however sure the model is


def draw(
    requests: list[Request], batch_size: int = 512, params: SamplingParams | None = None
) -> dict[str, list[Sample]]:
    generator = HuggingFaceGenerator("embedded:generator", params or SamplingParams(), batch_size, device="cpu")
    return {request.question_id: samples for request, samples in generator.generate(requests)}


def requests_of(num_samples: int, first_index: int = 0) -> list[Request]:
    return [Request(str(index), prompt, num_samples, first_index) for index, prompt in enumerate(PROMPTS)]


@pytest.fixture(autouse=True)
def untouched_global_randomness() -> Iterator[None]:
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(before, torch.random.get_rng_state())


def test_same_requests_give_same_samples_and_other_seeds_do_not() -> None:
    first = draw(requests_of(8))
    assert first == draw(requests_of(8))
    assert first != draw(requests_of(8), params=SamplingParams(seed=1))
    assert first != draw(requests_of(8, first_index=8))


def test_every_request_comes_back_once_with_its_samples() -> None:
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(), batch_size=5, device="cpu")
    asked = requests_of(7)
    answered = list(generator.generate(asked))
    assert sorted(request.question_id for request, _ in answered) == [request.question_id for request in asked]
    assert all(len(samples) == 7 for _, samples in answered)
    assert list(generator.generate([])) == []


def test_samples_of_one_question_differ() -> None:
    samples = draw([Request("long", PROMPTS[3], 32)], params=HOT)["long"]
    assert len({sample.text for sample in samples}) > 16


def test_a_request_larger_than_the_batch_does_not_repeat_samples_batch_by_batch() -> None:
    texts = [sample.text for sample in draw([Request("long", PROMPTS[3], 48)], 16, HOT)["long"]]
    batches = [texts[start : start + 16] for start in (0, 16, 32)]
    assert batches[0] != batches[1] and batches[1] != batches[2] and batches[0] != batches[2]


def test_token_counts_are_those_of_the_text_and_its_end() -> None:
    tokenizer = make_tokenizer()
    for samples in draw(requests_of(8), params=SamplingParams(max_tokens=40)).values():
        for sample in samples:
            written = len(tokenizer(sample.text)["input_ids"])
            assert sample.finish_reason in ("stop", "length")
            if sample.finish_reason == "stop":
                assert sample.num_tokens == written + 1
            else:
                assert sample.num_tokens == written == 40


def test_padding_changes_no_greedy_sample() -> None:
    greedy = SamplingParams(temperature=0.0)
    together = draw(requests_of(1), params=greedy)
    for request in requests_of(1):
        assert draw([request], params=greedy)[request.question_id] == together[request.question_id]


def test_greedy_agrees_with_transformers_own_generate() -> None:
    from transformers import AutoModelForCausalLM

    from optscale_predictor.models import load_pretrained

    model = load_pretrained(AutoModelForCausalLM, "embedded:generator", "cpu")
    tokenizer = make_tokenizer()
    for request in requests_of(1):
        tokens = torch.tensor([tokenizer(request.prompt)["input_ids"]])
        output = model.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=256
        )
        expected = tokenizer.decode(output[0, tokens.shape[1] :], skip_special_tokens=True)
        (sample,) = draw([request], params=SamplingParams(temperature=0.0))[request.question_id]
        assert sample.text == expected


def test_sampled_first_characters_follow_the_models_probabilities() -> None:
    from transformers import AutoModelForCausalLM

    from optscale_predictor.models import load_pretrained

    model = load_pretrained(AutoModelForCausalLM, "embedded:generator", "cpu")
    tokenizer = make_tokenizer()
    prompt = PROMPTS[3] + "\n"
    num = 2000
    hot = SamplingParams(temperature=3.0, max_tokens=1)
    samples = draw([Request("q", prompt, num)], num, hot)["q"]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([tokenizer(prompt)["input_ids"]])).logits[0, -1]
    probability = torch.softmax(logits / 3.0, -1)
    for token in probability.topk(4).indices.tolist():
        share = sum(sample.text == tokenizer.decode([token]) for sample in samples) / num
        spread = float((probability[token] * (1 - probability[token]) / num) ** 0.5)
        assert abs(share - float(probability[token])) < 5 * spread


def test_stop_strings_end_a_sample_and_are_cut() -> None:
    samples = draw(requests_of(4), params=SamplingParams(stop=("####",)))
    for request in requests_of(4):
        for sample in samples[request.question_id]:
            assert "####" not in sample.text
            assert sample.finish_reason == "stop"


def test_a_prompt_that_fills_the_context_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"'too long'.*512"):
        draw([Request("too long", "1+" * 256, 1)])
    with pytest.raises(InputError, match="'nothing'"):
        draw([Request("nothing", "", 1)])


def test_a_sample_stops_at_the_context() -> None:
    prompt = "1+" * 254
    (sample,) = draw([Request("q", prompt, 1)], params=SamplingParams(temperature=0.0))["q"]
    assert sample.num_tokens <= 512 - len(prompt)


def test_a_missing_model_is_an_input_error() -> None:
    with pytest.raises(InputError, match="embedded:nothing"):
        HuggingFaceGenerator("embedded:nothing", SamplingParams())
    with pytest.raises(InputError, match="batch_size"):
        HuggingFaceGenerator("embedded:generator", SamplingParams(), batch_size=0)
