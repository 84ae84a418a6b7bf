"""Tokens of servers: exact whatever a vendor counts where, and an estimate that is said to be one where none can be."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vendor_server import THIRTY_WORDS, VendorServer, connected, counted, draw, message, reply

from optscale_predictor.backends.generators import Request
from optscale_predictor.backends.server_replies import least_tokens, prompt_tokens, told_tokens
from optscale_predictor.cli.main import main
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool
from optscale_predictor.questions.question import Question


@pytest.mark.parametrize(
    ("usage", "generated"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 90}, 80),  # thinking in the total alone
        ({"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 70}, 60),
        ({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}, 20),
        ({"prompt_tokens": 10, "total_tokens": 30}, 20),
        # Thinking within the completion, as OpenAI counts it, and beside it.
        ({**counted(80), "completion_tokens_details": {"reasoning_tokens": 60}}, 80),
        ({"completion_tokens": 80, "completion_tokens_details": {"reasoning_tokens": 60}}, 80),
        ({"completion_tokens": 20, "completion_tokens_details": {"reasoning_tokens": 60}}, 80),
        ({**counted(20), "completion_tokens_details": {"reasoning_tokens": 60}}, 80),
        ({**counted(20), "total_tokens": 90, "completion_tokens_details": {"reasoning_tokens": 60}}, 80),
        ({**counted(20), "completion_tokens_details": None}, 20),
        ({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 20}, 20),  # a total that is wrong
    ],
)
def test_thinking_is_counted_once_wherever_it_stands(usage, generated):
    samples, server, generator = draw(lambda _: reply("12", usage, reasoning_content="7 and 5 make"), requests=2)
    assert [sample.num_tokens for sample in samples] == [generated] * 2
    assert len(server.bodies) == 2 and generator.usage.warnings() == []


def test_thinking_beyond_max_tokens_is_counted_and_an_answer_beyond_it_is_an_error():
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 510}
    assert draw(lambda _: reply("12", usage))[0][0].num_tokens == 500
    server = VendorServer(lambda _: reply("12", counted(500)))
    with connected(server) as generator, pytest.raises(ValueError, match="has 500 tokens, more than were asked for"):
        list(generator.generate([Request("q", "7+5=", 1)]))
    assert len(server.bodies) == 1 and generator.usage.discarded_tokens == 500


def test_several_samples_whose_thinking_is_not_listed_are_asked_for_one_by_one():
    listed = {"logprobs": {"content": [{"token": "12", "logprob": 0.0}] * 20}}

    def answer(body):
        count = body["n"]
        usage = {"prompt_tokens": 10, "completion_tokens": 20 * count, "total_tokens": 10 + 80 * count}
        whole = reply("12", usage, count=count)
        return {**whole, "choices": [{**choice, **listed} for choice in whole["choices"]]}

    samples, server, generator = draw(answer, count=4)
    assert [sample.num_tokens for sample in samples] == [80] * 4
    assert [body["n"] for body in server.bodies] == [4, 1, 1, 1, 1] and generator.usage.discarded_tokens == 320


def test_copies_of_a_greedy_sample_cost_nothing():
    samples, server, _ = draw(lambda _: reply("12", counted(20)), count=4, temperature=0.0)
    assert len(server.bodies) == 1
    assert [(sample.text, sample.num_tokens) for sample in samples] == [("12", 20)] + [("12", 0)] * 3


UNBELIEVABLE = [None, counted(1), counted(0), {"prompt_tokens": 10}]


@pytest.mark.parametrize("usage", UNBELIEVABLE)
def test_a_server_that_tells_no_tokens_is_asked_once_a_sample_and_gets_an_estimate(usage):
    samples, server, generator = draw(lambda _: reply(THIRTY_WORDS, usage), requests=3)
    true = 36  # a token a word and a punctuation mark
    assert len(samples) == 3 and all(true * 0.7 < sample.num_tokens < true * 1.5 for sample in samples)
    assert generator.usage.estimated_samples == 3 and len(server.bodies) == 3
    (line,) = generator.usage.warnings()
    assert "the tokens of 3 samples are estimated from their text" in line


@pytest.mark.parametrize("usage", UNBELIEVABLE)
@pytest.mark.parametrize("count", [1, 4])
def test_tokens_that_a_server_lists_are_believed_before_its_usage(usage, count):
    def answer(body):
        listed = {"logprobs": {"content": [{"token": "", "logprob": 0.0}] * 36}} if body.get("logprobs") else {}
        choices = [{**message(f"{THIRTY_WORDS} {place}"), **listed} for place in range(body["n"])]
        return {**reply(THIRTY_WORDS, usage), "choices": choices}

    samples, server, generator = draw(answer, count=count, requests=6)
    estimated = generator.usage.estimated_samples
    # The first requests, two of which are under way at once, show what the usage is worth.
    assert 1 <= estimated <= 2 if count == 1 else estimated == 0
    assert sum(sample.num_tokens == 36 for sample in samples) == 6 * count - estimated and len(server.bodies) == 6


def test_a_server_that_refuses_log_probabilities_gets_estimates():
    def answer(body):
        refused = 400, {"error": {"message": "logprobs are not available"}}
        return refused if "logprobs" in body else reply(THIRTY_WORDS, None)

    samples, server, generator = draw(answer, count=2, requests=2)
    assert len(samples) == 4 and generator.usage.estimated_samples == 4
    refused = [body["n"] for body in server.bodies if "logprobs" in body]
    # Of one sample, by those under way at once: a refusal costs nothing.
    assert refused.count(2) == 1 and refused.count(1) <= 2


def test_a_pool_says_at_its_end_how_many_tokens_are_estimates(tmp_path, capsys):
    server = VendorServer(lambda _: reply(THIRTY_WORDS, None))
    with connected(server) as generator:
        generate_pool(tmp_path / "pool", [Question("a", "7+5="), Question("b", "7+6=")], generator, 2, progress=False)
        said = capsys.readouterr().err
        assert said.count("\n") == said.count("warning: the tokens of 4 samples are estimated") == 1
        generate_pool(tmp_path / "pool", [Question("a", "7+5="), Question("b", "7+6=")], generator, 2, progress=False)
    assert capsys.readouterr().err == ""  # nothing was drawn
    (run,) = map(json.loads, (tmp_path / "pool" / "runs.jsonl").read_text().splitlines())
    assert run["estimated_samples"] == 4 and run["samples"] == 4
    assert all(tokens > 20 for tokens in Pool(tmp_path / "pool").read()["num_tokens"].to_pylist())
    main(["pool", "info", str(tmp_path / "pool")])
    assert " generated (an estimate for 4 samples), 0 discarded\n" in capsys.readouterr().out


@given(st.text(max_size=300))
def test_no_honest_count_is_doubted_whatever_the_text(text):
    """A vocabulary of whole words, each run of anything else one token: no tokenizer in use makes fewer."""
    runs = sum(1 for word in text.split() for _ in range(1 + len(word.encode("utf-8", "replace")) // 64))
    assert least_tokens(text) <= max(runs, len(make_tokenizer()(text)["input_ids"]), 1)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (" " * 512, 1),
        ("=" * 200, 2),
        ("A" * 64, 1),
        ("0" * 90, 1),
        ("Donaudampfschifffahrtsgesellschaft", 1),
        ("in the case of the", 1),  # vocabularies that cross words
        ("```\n\n\n\n```", 2),
        ("", 0),
    ],
)
def test_long_tokens_of_real_vocabularies_are_believed(text, tokens):
    assert least_tokens(text) <= tokens


def test_thirty_words_are_more_than_one_token():
    assert least_tokens(THIRTY_WORDS) > 1 and least_tokens("a b c d e f g h i j " * 3) > 1


@pytest.mark.parametrize("number", [-1, "20", True, 1.5, [20], 1 << 31, 10**400, float("inf"), 1e300])
def test_a_number_that_is_none_is_no_count(number):
    for read, field in ((told_tokens, "completion_tokens"), (prompt_tokens, "prompt_tokens")):
        with pytest.raises(ValueError, match="a count of tokens is") as error:
            read({field: number})
        assert len(str(error.value)) < 80
