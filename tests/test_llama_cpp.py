"""A real llama.cpp server, with the model and the program that the environment names: what is measured stays so.

``OPTSCALE_LLAMA_SERVER`` is llama.cpp's ``llama-server`` or the Python of an environment that has ``xllamacpp``;
``OPTSCALE_GGUF`` a model. Without them the tests fail.
"""

import json
import urllib.request

import numpy as np
import pytest
import torch
from llama_cpp_server import gguf_file, serving_llama_cpp

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.engine_samplers import ServerSamplers
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.errors import RequestRefusedError

pytestmark = pytest.mark.full

CONTEXT = 256  # tokens of a slot; llama.cpp rounds up to multiples of it
PROMPT = "Question: Tom has 3 apples and buys 5 more. How many apples does he have?\nAnswer:"


@pytest.fixture(scope="module")
def llama_cpp(tmp_path_factory):
    with serving_llama_cpp(tmp_path_factory.mktemp("llama_cpp"), slots=4, context=CONTEXT) as address:
        yield f"{address}/v1"


def drawn(url, requests, **sampling):
    generator = OpenAIServerGenerator(url, None, SamplingParams(**sampling))
    return {one.question_id: samples for one, samples in generator.generate(requests)}, generator


def settings_in_force(url, **fields):
    """The server's own account of the samplers of a request."""
    body = {"prompt": PROMPT, "max_tokens": 1, "verbose": True, "temperature": 1.0, "top_p": 1.0, **fields}
    asked = urllib.request.Request(
        f"{url}/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=600) as reply:
        return json.load(reply)["__verbose"]["generation_settings"]


def test_its_own_filters_are_on_unless_each_is_switched_off(llama_cpp):
    usual = settings_in_force(llama_cpp)
    assert usual["top_k"] == 40 and usual["min_p"] == pytest.approx(0.05)
    plain = ServerSamplers({"llamacpp"}).fields()
    told = settings_in_force(llama_cpp, **plain)
    assert {name: told[name] for name in plain} == plain


def test_more_samples_than_slots_are_distinct_counted_and_repeatable(llama_cpp):
    requests = [Request("a", PROMPT, 9), Request("b", PROMPT, 2)]
    found, generator = drawn(llama_cpp, requests, max_tokens=8)
    samples = found["a"] + found["b"]
    assert (len(found["a"]), len(found["b"])) == (9, 2)
    assert len({sample.seed for sample in samples}) == 11 and len({sample.text for sample in samples}) > 6
    assert all(1 <= sample.num_tokens <= 8 for sample in samples) and generator.usage.discarded_tokens == 0
    assert generator.describe()["other_samplers"] == "off"
    again, _ = drawn(llama_cpp, requests, max_tokens=8)
    # What runs beside a sample changes the last bits of its numbers, and so, seldom, a token.
    same = [one.text == other.text for name in found for one, other in zip(found[name], again[name], strict=True)]
    assert np.mean(same) > 0.7


def test_stop_strings_are_cut_and_what_fills_the_context_ends_with_length(llama_cpp):
    greedy, _ = drawn(llama_cpp, [Request("a", PROMPT, 1)], temperature=0.0, max_tokens=12)
    whole = greedy["a"][0].text
    stop = whole.split()[-1]
    (sample,) = drawn(llama_cpp, [Request("a", PROMPT, 1)], temperature=0.0, max_tokens=12, stop=(stop,))[0]["a"]
    assert sample.text == whole.partition(stop)[0] and sample.finish_reason == "stop"
    (full,) = drawn(llama_cpp, [Request("a", "one two " * 120, 1)], max_tokens=100)[0]["a"]
    assert full.finish_reason == "length" and full.num_tokens + full.prompt_tokens <= CONTEXT
    with pytest.raises(RequestRefusedError, match="exceeds the available context size"):
        drawn(llama_cpp, [Request("a", "one two " * 140, 1)])


def test_next_tokens_are_drawn_from_the_models_whole_distribution(llama_cpp):
    """As transformers computes it: at temperature 2 the forty likeliest tokens are far from all that is drawn."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = load_pretrained(AutoTokenizer, gguf_file())
    model = load_pretrained(AutoModelForCausalLM, gguf_file(), "cpu").eval()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([tokenizer(PROMPT)["input_ids"]])).logits[0, -1]
    probability = torch.softmax(logits.double() / 2.0, -1)
    likeliest = probability.argsort(descending=True)[:40]
    inside, texts = float(probability[likeliest].sum()), {tokenizer.decode([int(one)]) for one in likeliest}
    samples = drawn(llama_cpp, [Request("q", PROMPT, 200)], temperature=2.0, max_tokens=1)[0]["q"]
    seen = np.mean([sample.text in texts for sample in samples])
    assert 0.05 < inside < 0.95
    assert abs(seen - inside) < 4 * (inside * (1 - inside) / 200) ** 0.5 + 0.02
