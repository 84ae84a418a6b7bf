"""The in-process generator: independent samples, exact counts, nothing that depends on the batch."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from optscale_predictor.backends.generators import Request, Sample, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator, end_tokens
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.errors import InputError

PROMPTS = ["7+5=", "23+4+58=", "91+8+64+13+77=", "12+34+56+78+90+11+22+33+44="]
HOT = SamplingParams(temperature=2.0, max_tokens=64)  # samples vary however sure the model is


@cache
def loaded(batch_size: int) -> HuggingFaceGenerator:
    return HuggingFaceGenerator("embedded:generator", SamplingParams(), batch_size, device="cpu")


def draw(
    requests: list[Request], batch_size: int = 512, params: SamplingParams | None = None
) -> dict[str, list[Sample]]:
    generator = loaded(batch_size).with_sampling(params or SamplingParams())
    return {request.question_id: samples for request, samples in generator.generate(requests)}


def requests_of(num_samples: int, first_index: int = 0) -> list[Request]:
    return [Request(str(index), prompt, num_samples, first_index) for index, prompt in enumerate(PROMPTS)]


@pytest.fixture(autouse=True)
def untouched_global_randomness() -> Iterator[None]:
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(before, torch.random.get_rng_state())


def test_same_requests_give_same_samples_and_other_seeds_do_not() -> None:
    short, other = SamplingParams(max_tokens=40), SamplingParams(max_tokens=40, seed=1)
    first = draw(requests_of(8), params=short)
    assert first == draw(requests_of(8), params=short)
    assert first != draw(requests_of(8), params=other)
    assert first != draw(requests_of(8, first_index=8), params=short)


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

    from optscale_predictor.backends.model_loading import load_pretrained

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

    from optscale_predictor.backends.model_loading import load_pretrained

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


def test_a_prompt_is_read_once_whatever_the_number_of_its_samples() -> None:
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=4), device="cpu")
    read: list[tuple[int, ...]] = []
    forward = generator._model.forward

    def counted(**inputs: Any) -> Any:
        read.append(tuple(inputs["input_ids"].shape))
        return forward(**inputs)

    generator._model.forward = counted
    list(generator.generate(requests_of(16)))
    assert read[0] == (len(PROMPTS), max(map(len, PROMPTS)))
    assert all(tokens == 1 and rows <= 16 * len(PROMPTS) for rows, tokens in read[1:])
    assert generator.usage.prompt_tokens == sum(map(len, PROMPTS))


def test_a_short_prompt_has_its_whole_room_beside_a_long_one() -> None:
    hottest = SamplingParams(temperature=50.0, max_tokens=40)  # past 40 tokens one in ten times
    drawn = draw([Request("short", "7+5=", 64), Request("long", "1+" * 250, 64)], params=hottest)
    assert max(sample.num_tokens for sample in drawn["short"]) == 40
    assert max(sample.num_tokens for sample in drawn["long"]) == 12


def test_thinking_is_stripped_from_the_text_and_counted(tmp_path: Path) -> None:
    """The embedded generator with a tokenizer that calls its plus sign the end of a thought."""
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    from optscale_predictor.backends.model_loading import load_pretrained

    load_pretrained(AutoModelForCausalLM, "embedded:generator", "cpu").save_pretrained(tmp_path)
    written = make_tokenizer().backend_tokenizer.to_str()
    renamed = Tokenizer.from_str(written.replace('"+"', '"</think>"'))
    PreTrainedTokenizerFast(tokenizer_object=renamed, eos_token="</s>", pad_token="<pad>").save_pretrained(tmp_path)
    kept, stripped = (
        dict(
            HuggingFaceGenerator(str(tmp_path), SamplingParams(2.0, thinking=way), device="cpu").generate(
                requests_of(8)
            )
        )
        for way in ("keep", "strip")
    )
    assert kept.keys() == stripped.keys()
    whole, bare = ([one for samples in found.values() for one in samples] for found in (kept, stripped))
    assert any("</think>" in sample.text for sample in whole)
    for one, other in zip(whole, bare, strict=True):
        assert other.text == (one.text.rpartition("</think>")[2].lstrip() if "</think>" in one.text else one.text)
        assert other.num_tokens == one.num_tokens


def make_model(folder: Path, kind: str) -> str:
    """A tiny model of another architecture, its weights large enough that what it says depends on what it read."""
    import transformers

    sizes: dict[str, Any] = {"vocab_size": 18, "hidden_size": 32, "pad_token_id": 0, "bos_token_id": 1}
    llama = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 64}
    llama |= {"max_position_embeddings": 256, "initializer_range": 0.4}
    linear = {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 16}
    settings = {
        "Mistral": {**llama, "sliding_window": 8},
        "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256, "initializer_range": 0.4},
        "Bloom": {"n_layer": 2, "n_head": 2, "initializer_range": 0.4},
        "Lfm2": {**llama, "layer_types": ["conv", "full_attention"]},
        "Qwen3Next": {
            **llama,
            **linear,
            "head_dim": 16,
            "linear_value_head_dim": 16,
            "layer_types": ["linear_attention", "full_attention"],
            "num_experts": 0,
            "mlp_only_layers": [0, 1],
        },
        "Mamba": {"num_hidden_layers": 2, "state_size": 8, "initializer_range": 0.4},
    }[kind]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**sizes, **settings, eos_token_id=[1, 7, 16])
    model = getattr(transformers, "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM")(config)
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ["Mistral", "GPT2", "Bloom", "Lfm2", "Qwen3Next", "Mamba"])
def test_greedy_agrees_with_generate_whatever_the_model_remembers_by(kind: str, tmp_path: Path) -> None:
    """Sliding windows, learnt and no positions, convolutions, linear attention, and a cache that cannot be kept."""
    params = SamplingParams(temperature=0.0, max_tokens=24)
    with torch.random.fork_rng():  # some models initialise their weights before they load them
        generator = HuggingFaceGenerator(make_model(tmp_path, kind), params, device="cpu")
    prompts = [*PROMPTS, "1+2=", "98+76+5=", "55+44+33+22+11=", "9+9+9="]
    requests = [Request(str(index), prompt, 1 + index % 3) for index, prompt in enumerate(prompts)]
    drawn = {request.question_id: samples for request, samples in generator.generate(requests)}
    tokenizer, lengths = make_tokenizer(), set()
    for request in requests:
        tokens = torch.tensor([tokenizer(request.prompt)["input_ids"]])
        output = generator._model.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=24
        )[0, tokens.shape[1] :]
        lengths.add(len(output))
        for sample in drawn[request.question_id]:
            assert sample.text == tokenizer.decode(output, skip_special_tokens=True)
            assert sample.num_tokens == len(output)
    assert len(lengths) > 2  # rows left the batch at different times


def test_chat_puts_the_prompt_into_the_models_template(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from optscale_predictor.backends.model_loading import load_pretrained

    load_pretrained(AutoModelForCausalLM, "embedded:generator", "cpu").save_pretrained(tmp_path)
    tokenizer = make_tokenizer()
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}=\n{% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    greedy = SamplingParams(temperature=0.0)
    chat = HuggingFaceGenerator(str(tmp_path), greedy, device="cpu", chat=True)
    ((_, (sample,)),) = chat.generate([Request("q", "23+4+58", 1)])
    (plain,) = draw([Request("q", "23+4+58=\n", 1)], params=greedy)["q"]
    assert sample == plain
    assert chat.describe()["chat"] is True
    with pytest.raises(InputError, match="no chat template"):
        HuggingFaceGenerator("embedded:generator", greedy, device="cpu", chat=True)


@pytest.mark.parametrize("named", [1e999, -1e308, "x", [1, "x"], [None], True, {"a": 1}, 2**64])
def test_an_end_that_is_no_token_is_one_line(named: object) -> None:
    """``generation_config.json`` of a folder that anybody may have written."""
    model = SimpleNamespace(name_or_path="folder", generation_config=SimpleNamespace(eos_token_id=named))
    with pytest.raises(InputError, match=r"^model 'folder': generation_config\.json: 'eos_token_id' must be a token"):
        end_tokens(model)


@pytest.mark.parametrize(("named", "ends"), [(None, []), (3, [3]), ([3, 5], [3, 5]), (-1, [-1])])
def test_ends_are_read(named: object, ends: list[int]) -> None:
    assert end_tokens(SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=named))) == ends
