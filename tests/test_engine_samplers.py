"""Samples are independent draws from the model's own distribution, whatever server is asked; what is not, is said."""

import numpy as np
import pytest
import written_llama_cpp
from served_world import serving
from vendor_server import THIRTY_WORDS, VendorServer, counted, message, reply

from optscale_predictor.backends.generators import Request, SamplingParams, ServerOptions
from optscale_predictor.backends.generators.engine_samplers import ServerSamplers, filters_in
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.options import GeneratorOptions
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.manifest import name_differences
from optscale_predictor.pools.merging import merge_pools
from optscale_predictor.pools.preparation import generate_pool
from optscale_predictor.predictor.provenance import first_difference, source_of_pool
from optscale_predictor.questions.question import Question

OFF = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0}


def draw(server, count=1, requests=1, extra_body=None, chat=False, **sampling):
    """Samples of several requests, one after the other, and the generator."""
    options = ServerOptions(max_retries=0, extra_body=extra_body or {})
    asked = [Request(str(number), "7+5=", count) for number in range(requests)]
    with serving(server.app()) as url:
        generator = OpenAIServerGenerator(f"{url}/v1", None, SamplingParams(**sampling), chat, 1, options)
        samples = [one for request in asked for _, drawn in generator.generate([request]) for one in drawn]
    return samples, generator


def shares(samples):
    """How often each word was drawn."""
    words = [int(sample.text.removeprefix("w")) for sample in samples]
    return np.bincount(words, minlength=written_llama_cpp.WORDS) / len(words)


def require_drawn_from(samples, expected):
    """The words' cumulated shares are those of a distribution (Kolmogorov-Smirnov, far out)."""
    distance = np.abs(np.cumsum(shares(samples)) - np.cumsum(expected)).max()
    assert distance < 2.2 / len(samples) ** 0.5


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 0.7)])
def test_llama_cpp_draws_from_the_models_own_distribution(temperature, top_p):
    server = VendorServer(written_llama_cpp.answer, owner="llamacpp")
    samples, generator = draw(server, 50, 16, temperature=temperature, top_p=top_p, max_tokens=1)
    tempered = written_llama_cpp.PROBABILITY ** (1 / temperature)
    tempered /= tempered.sum()
    kept = np.where(np.cumsum(tempered) - tempered < top_p, tempered, 0.0)  # the temperature first, as everywhere else
    require_drawn_from(samples, kept / kept.sum())
    assert generator.describe()["other_samplers"] == "off"
    # More samples than it has slots: one by one, each with a seed of its own, and nothing thrown away.
    assert {body["n"] for body in server.bodies} == {1} and len({body["seed"] for body in server.bodies}) == 800
    assert generator.usage.discarded_tokens == 0 and all(sample.num_tokens == 1 for sample in samples)


def test_what_its_defaults_would_have_done_is_another_distribution():
    """The written server tells filtered samples from others: else the test above would show nothing."""
    filtered = written_llama_cpp.next_word({**written_llama_cpp.DEFAULTS, "temperature": 1.0, "top_p": 1.0})
    assert np.abs(np.cumsum(filtered) - np.cumsum(written_llama_cpp.PROBABILITY)).max() > 0.1
    top_p_first = {**written_llama_cpp.DEFAULTS, "temperature": 0.5, "top_k": 0, "top_p": 0.7, "min_p": 0}
    swapped = written_llama_cpp.next_word(top_p_first)
    tempered = written_llama_cpp.PROBABILITY**2 / (written_llama_cpp.PROBABILITY**2).sum()
    kept = np.where(np.cumsum(tempered) - tempered < 0.7, tempered, 0.0)
    assert np.abs(np.cumsum(swapped) - np.cumsum(kept / kept.sum())).max() > 0.15


def test_a_filter_that_is_asked_for_is_in_force_named_and_stated(capsys):
    server = VendorServer(written_llama_cpp.answer, owner="llamacpp")
    samples, generator = draw(server, 30, 8, {"top_k": 3, "cache_prompt": False}, max_tokens=1)
    kept = np.where(np.arange(written_llama_cpp.WORDS) < 3, written_llama_cpp.PROBABILITY, 0.0)
    require_drawn_from(samples, kept / kept.sum())
    assert generator.describe()["other_samplers"] == {"top_k": 3}
    said = [line for line in capsys.readouterr().err.splitlines() if "model's own distribution" in line]
    assert len(said) == 1 and said[0].endswith("extra_body asks for top_k 3")


@pytest.mark.parametrize("owner", ["vllm", "sglang"])
def test_servers_that_filter_by_the_models_folder_are_told_not_to(owner):
    """vLLM and SGLang fill in what a request leaves out from the folder's ``generation_config.json``."""
    server = VendorServer(lambda body: reply("12", counted(2), count=body["n"]), owner=owner)
    _, generator = draw(server, 4, chat=True)
    for body in server.bodies:
        assert {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}.items() <= body.items()
        assert {"presence_penalty": 0.0, "frequency_penalty": 0.0}.items() <= body.items()
    assert generator.describe()["other_samplers"] == "off"


def refusing(*fields, naming=True):
    """What a strict server answers: it refuses these fields, by name or without."""

    def answer(body):
        refused = [name for name in fields if name in body]
        if not refused:
            return reply("12", counted(2), count=body["n"])
        said = f"Unrecognized request argument supplied: {refused[0]}" if naming else "Bad request"
        return 400, {"error": {"message": said, "type": "invalid_request_error"}}

    return answer


@pytest.mark.parametrize(
    ("fields", "naming", "left"),
    [
        ((), True, OFF),
        (("repeat_penalty",), True, {name: value for name, value in OFF.items() if name != "repeat_penalty"}),
        (tuple(OFF), True, {}),
        (tuple(OFF), False, {}),
        (("min_p",), False, {}),
    ],
)
def test_a_server_of_unknown_kind_keeps_what_it_takes_and_is_not_asked_twice(fields, naming, left, capsys):
    server = VendorServer(refusing(*fields, naming=naming))
    samples, generator = draw(server, requests=5, chat=True)
    assert len(samples) == 5
    sent = [{name: body[name] for name in OFF if name in body} for body in server.bodies]
    assert sent[-4:] == [left] * 4 and len(sent) == 5 + (len(fields) if naming else bool(fields))
    assert generator.describe()["other_samplers"] == "unknown"
    said = [line for line in capsys.readouterr().err.splitlines() if "the server refuses" in line]
    assert len(said) == bool(fields) and all(name in line for line in said for name in fields if naming)


def test_a_request_that_is_refused_anyway_blames_no_field_and_leaves_them_on(capsys):
    def answer(body):
        wrong = body["messages"][0]["content"] == "wrong"
        return (400, {"error": {"message": "no such thing"}}) if wrong else reply("12", counted(2))

    server = VendorServer(answer)
    with serving(server.app()) as url:
        generator = OpenAIServerGenerator(f"{url}/v1", None, SamplingParams(), True, 1)
        for prompt, left in (("wrong", {}), ("7+5=", OFF), ("wrong", OFF)):
            try:
                list(generator.generate([Request(prompt, prompt, 1)]))
            except RequestRefusedError as error:
                assert "no such thing" in str(error) and prompt == "wrong"
            assert {name: value for name, value in server.bodies[-1].items() if name in OFF} == left
    assert len(server.bodies) == 4  # once they were taken, what is refused is refused for another reason
    assert "the server refuses" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("owners", "extra", "said"),
    [
        ({"vllm"}, {}, "off"),
        ({"llamacpp"}, {"top_k": -1, "min_p": 0, "chat_template_kwargs": {}}, "off"),
        ({"optscale"}, {}, "off"),
        ({"openai"}, {}, "unknown"),
        ({"vllm", "llamacpp"}, {}, "unknown"),
        ({"openai"}, {"top_k": 20}, {"top_k": 20, "others": "unknown"}),
        ({"vllm"}, {"repetition_penalty": 1.05, "min_p": None}, {"repetition_penalty": 1.05}),
    ],
)
def test_what_is_known_of_the_samplers_is_stated(owners, extra, said):
    samplers = ServerSamplers(owners, extra)
    assert samplers.describe() == said
    assert not samplers.fields().keys() & extra.keys()  # a user's own value goes first


def test_every_value_that_switches_a_sampler_off_counts_as_off():
    for owners in ({"vllm"}, {"sglang"}, {"llamacpp"}, {"any"}):
        assert filters_in(ServerSamplers(owners).fields()) == {}


def copying(body):
    """A server that draws once and lists the sample ``n`` times."""
    text = f"{THIRTY_WORDS} {body['seed']}"
    listed = {"logprobs": {"content": [{"token": "", "logprob": 0.0}] * 40}}
    choices = [{**message(text), **listed} for _ in range(body["n"])]
    return {"choices": choices, "usage": counted(40 * body["n"])}


def test_a_sample_that_a_server_lists_several_times_is_never_taken_for_several(capsys):
    server = VendorServer(copying)
    samples, generator = draw(server, 6, 3, chat=True)
    assert len({sample.text for sample in samples}) == 18
    assert [body["n"] for body in server.bodies] == [6, *[1] * 17]
    assert generator.usage.discarded_tokens == 5 * 40
    assert sum(sample.num_tokens for sample in samples) == 18 * 40
    assert capsys.readouterr().err.count("gives one sample n times") == 1


def test_a_question_with_one_answer_alone_makes_no_server_suspect(capsys):
    server = VendorServer(lambda body: copying({**body, "seed": 0}))
    samples, generator = draw(server, 3, 8, chat=True)
    assert len(samples) == 24
    # Looked at in four requests, then believed.
    assert [body["n"] for body in server.bodies] == [3, 1] * 4 + [3] * 4
    assert generator.usage.discarded_tokens == 4 * 40 and "n times" not in capsys.readouterr().err


def test_manifests_state_the_samplers_of_every_engine():
    for engine in ("transformers", "continuous", "vllm"):
        assert GeneratorOptions("embedded:generator", engine=engine).describe()["other_samplers"] == "off"


def pool_of(url, folder, samples=1, name="a"):
    generator = OpenAIServerGenerator(f"{url}/v1", None, SamplingParams(), True, 1)
    return generate_pool(folder, [Question(name, "7+5=", "12")], generator, samples, progress=False)


def test_a_pool_is_not_mixed_of_samplers(tmp_path):
    for owner in ("vllm", "vendor"):
        server = VendorServer(lambda body: reply("12", counted(2), count=body["n"]), owner=owner)
        with serving(server.app()) as url:
            if owner == "vllm":
                made = pool_of(url, tmp_path / "pool").manifest["settings"]["generator"]
                assert made["other_samplers"] == "off"
                continue
            with pytest.raises(InputError, match=r"generator\.other_samplers was 'off', now 'unknown'"):
                pool_of(url, tmp_path / "pool", 2)


def older(settings):
    """Settings as a pool's manifest had them before the samplers were stated."""
    generator = {name: value for name, value in settings["generator"].items() if name != "other_samplers"}
    return {**settings, "generator": generator}


def test_an_older_pool_goes_on_where_it_was_never_filtered():
    ours = {"generator": dict(GeneratorOptions("embedded:generator").describe()), "prompt": "{question}"}
    assert name_differences(older(ours), ours) == name_differences(ours, older(ours)) == []
    served = {**ours, "generator": {**ours["generator"], "adapter": "openai_server"}}
    assert name_differences(older(served), served) == ["generator.other_samplers was 'not recorded', now 'off'"]


def test_older_and_newer_pools_merge(tmp_path, monkeypatch):
    from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator

    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=8), device="cpu")
    full = dict(generator.describe())
    for name, said in (("old", older({"generator": full})["generator"]), ("new", full)):
        monkeypatch.setattr(generator, "describe", lambda said=said: said)
        generate_pool(tmp_path / name, [Question(name, "7+5=", "12")], generator, 1, progress=False)
    merge_pools([tmp_path / "old", tmp_path / "new"], tmp_path / "both")
    assert Pool(tmp_path / "both").manifest["settings"]["generator"]["other_samplers"] == "off"


def test_a_predictor_of_unfiltered_samples_is_not_used_on_filtered_ones():
    def source(other):
        drawn = {"adapter": "openai_server", "model": "m", "other_samplers": other}
        return source_of_pool({"settings": {"generator": drawn}, "scores": {}})

    assert "other_samplers" in str(first_difference(source("off"), source({"top_k": 20})))
    for unknown in ("unknown", {"top_k": 20, "others": "unknown"}):
        assert first_difference(source("off"), source(unknown)) is None


def test_the_command_names_a_filter(tmp_path, capsys):
    server = VendorServer(lambda body: reply("12", counted(2), count=body["n"]), owner="vllm")
    (tmp_path / "questions.jsonl").write_text('{"question": "7+5="}\n')
    with serving(server.app()) as url:
        drawing = ["generate", str(tmp_path / "pool"), "--questions", str(tmp_path / "questions.jsonl")]
        flags = ["--num_samples", "2", "--base_url", f"{url}/v1", "--chat", "true"]
        main([*drawing, *flags, "--server.extra_body", '{"top_k": 20, "min_p": 0.05}'])
    assert capsys.readouterr().err.count("extra_body asks for top_k 20, min_p 0.05") == 1
    settings = Pool(tmp_path / "pool").manifest["settings"]["generator"]
    assert settings["other_samplers"] == {"top_k": 20, "min_p": 0.05}
