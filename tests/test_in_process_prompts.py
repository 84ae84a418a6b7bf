"""Prompts of engines in this process: one that is refused costs no other sample; a thought that the prompt opens."""

import asyncio
import json
import shutil

import pytest

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.continuous_batching import ContinuousBatchingGenerator
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.backends.verifiers.model_free import GoldVerifier
from optscale_predictor.errors import RequestRefusedError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool
from optscale_predictor.questions.question import Question

SAMPLING = SamplingParams(max_tokens=12, temperature=0.0)
LONG, EMPTY = Request("long", "1+" * 300, 2), Request("empty", "", 2)
GOOD = [Request("first", "7+5=", 2), Request("second", "23+4+58=", 2)]
THINKING = "{{ messages[-1]['content'] }}{% if add_generation_prompt %}<think>\n{% endif %}"
REFUSING = "{% if messages[-1]['content'] == 'bad' %}{{ raise_exception('no such turn') }}{% endif %}" + THINKING


@pytest.fixture(scope="module")
def loop():
    return HuggingFaceGenerator("embedded:generator", SAMPLING, device="cpu")


def templated(folder, template, kind=HuggingFaceGenerator, **options):
    """The embedded generator with a chat template of the test's."""
    shutil.copytree(resolve_model("embedded:generator"), folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": template}))
    (folder / "chat_template.jinja").write_text(template)
    return kind(str(folder), SAMPLING, device="cpu", **options)


def drawn(generator, requests):
    """What was drawn before the refusal, and the refusal."""
    found = {}
    with pytest.raises(RequestRefusedError) as raised:
        for request, samples in generator.generate(requests):
            found[request.question_id] = samples
    return found, str(raised.value)


@pytest.mark.parametrize("kind", [HuggingFaceGenerator, ContinuousBatchingGenerator])
def test_the_others_are_drawn_and_the_refused_ones_named(kind, loop):
    generator = loop if kind is HuggingFaceGenerator else kind("embedded:generator", SAMPLING, device="cpu")
    found, said = drawn(generator, [GOOD[0], LONG, GOOD[1], EMPTY])
    alone = {request.question_id: samples for request, samples in generator.generate(GOOD)}
    assert {name: [one.text for one in samples] for name, samples in found.items()} == {
        name: [one.text for one in samples] for name, samples in alone.items()
    }
    says = "2 of 4 requests were refused; question 'long': its prompt has 600 tokens, the model's context 512"
    assert said == says
    assert drawn(generator, [EMPTY])[0] == {}


@pytest.mark.parametrize("text", ["1+2=\udcff", "\ud83d", "\ud800" * 3])
def test_a_prompt_that_is_no_unicode_is_refused_and_the_others_are_drawn(text, loop):
    found, said = drawn(loop, [GOOD[0], Request("odd", text, 1), GOOD[1]])
    assert found.keys() == {one.question_id for one in GOOD}
    assert (
        said
        == "1 of 3 requests were refused; question 'odd': its prompt holds half of a surrogate pair, which is no text"
    )


def test_a_pool_gets_every_sample_that_can_be_drawn(loop, tmp_path):
    questions = [Question("first", "7+5="), Question("long", "1+" * 300), Question("second", "23+4+58=")]
    for _ in range(2):  # on the rerun as well
        with pytest.raises(RequestRefusedError, match=r"1 of .* requests were refused; question 'long'"):
            generate_pool(tmp_path / "pool", questions, loop, 3, progress=False)
        assert Pool(tmp_path / "pool").counts() == {"first": 3, "long": 0, "second": 3}


def test_a_refused_question_ends_no_other_live(loop):
    questions = [Question("first", "7+5=", "12"), Question("long", "1+" * 300, "1"), Question("second", "2+2=", "4")]
    scaler, found = OptScale(loop, GoldVerifier(), policy=parse_policy("best_of_n:max_samples=2")), []

    async def run():
        async for answer in scaler.astream(questions):
            found.append(answer.question_id)

    with pytest.raises(RequestRefusedError, match="1 of 3 questions were refused; question 'long'"):
        asyncio.run(run())
    assert sorted(found) == ["first", "second"]


def test_a_conversation_that_the_template_refuses_costs_no_other(tmp_path):
    generator = templated(tmp_path / "model", REFUSING, chat=True)
    found, said = drawn(generator, [GOOD[0], Request("odd", "bad", 1)])
    assert set(found) == {"first"} and "question 'odd'" in said and "no such turn" in said


@pytest.mark.parametrize("kind", [HuggingFaceGenerator, ContinuousBatchingGenerator])
def test_a_thought_that_the_template_opens_can_be_told_from_an_answer(kind, tmp_path):
    generator = templated(tmp_path / "model", THINKING, kind, chat=True)
    ((_, (kept, _)),) = generator.generate([GOOD[0]])
    assert kept.text.startswith("<think>\n") and kept.num_tokens == 12 and kept.finish_reason == "length"
    stripping = generator.with_sampling(SamplingParams(max_tokens=12, temperature=0.0, thinking="strip"))
    ((_, (stripped, _)),) = stripping.generate([GOOD[0]])
    assert stripped.text == "" and generator.usage.empty_samples == 2


def test_a_thought_that_an_assistants_turn_opens_is_put_back(tmp_path):
    generator = templated(tmp_path / "model", THINKING, chat=True)
    turns = (("user", "7+5="), ("assistant", "7+5=<think>\n"))
    ((_, (sample,)),) = generator.generate([Request("q", "", 1, messages=turns)])
    assert sample.text.startswith("<think>")


def test_a_prompt_that_opens_no_thought_puts_nothing_in_front(loop):
    for prompt in ("7+5=", "<think>\n\n</think>\n\n7+5="):
        ((_, (sample,)),) = loop.generate([Request("q", prompt, 1)])
        assert "<think>" not in sample.text
    ((_, (sample,)),) = loop.generate([Request("q", "7+5=<think>", 1)])
    assert sample.text.startswith("<think>")


def test_a_prompt_that_no_tokens_can_hold_is_refused_by_its_length(loop, monkeypatch):
    transcriber = loop._transcriber
    longest = max(map(len, transcriber.tokenizer.get_vocab()))
    monkeypatch.setattr(type(transcriber), "rendered", lambda self, request: pytest.fail("it was tokenised"))
    huge = "1+" * 10_000_000
    says = rf"its prompt has 20,000,\d+ characters; the model's context 512 holds {512 * longest:,} at most"
    for request in (Request("q", huge, 1), Request("q", "", 1, messages=(("user", "hello"), ("user", huge)))):
        with pytest.raises(RequestRefusedError, match=says):
            loop.check(request)


def test_a_long_prompt_that_tokens_may_hold_is_counted_by_its_tokens(loop):
    """Whatever is refused by its length has too many tokens; what is not is tokenised and counted."""
    length = 2**17 + 1
    longest = max(map(len, loop._transcriber.tokenizer.get_vocab()))
    assert length > 512 * longest  # the embedded tokenizer's tokens are short
    for text, says in (("1" * (length - 1), "tokens"), ("1" * length, "characters")):
        with pytest.raises(RequestRefusedError, match=says):
            loop.check(Request("q", text, 1))
