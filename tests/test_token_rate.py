"""Tokens a second are shown before the first sample of a batch is done; the clock is the test's own."""

import io
import re

import pytest
from tqdm import tqdm

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.pools.preparation import generate_pool, token_rate
from optscale_predictor.pools.preparation.token_rate import TokenRate
from optscale_predictor.questions.arithmetic import make_questions

QUESTIONS = make_questions(5, 0, "train")


@pytest.fixture(scope="module")
def generator():
    return HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160), device="cpu")


def shown(out):
    return [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) tokens/s", out.getvalue())]


def test_the_first_figure_comes_seconds_after_the_first_token_and_then_now_and_again():
    seconds, out = 0.0, io.StringIO()
    rate = TokenRate(tqdm(total=10, file=out, mininterval=1e9, miniters=1e9), clock=lambda: seconds)
    for _ in range(31):
        seconds += 1.0
        rate.add(100)
        if seconds < token_rate.FIRST_SECONDS:
            assert not shown(out)
    assert token_rate.FIRST_SECONDS <= 10
    assert shown(out) == [100]
    seconds += token_rate.FIRST_SECONDS
    rate.add(300)
    assert shown(out)[-1] == round(3400 / seconds)


def test_finished_samples_count_where_the_engine_tells_of_no_token_and_not_twice_where_it_does():
    seconds, out = 0.0, io.StringIO()
    rate = TokenRate(tqdm(total=10, file=out, mininterval=1e9, miniters=1e9), clock=lambda: seconds)
    rate.add(1000)
    seconds = 10.0
    rate.at_least(500)
    assert shown(out) == [100]
    seconds = 100.0
    rate.at_least(2000)
    assert shown(out) == [100, 20]


def test_an_engine_in_process_tells_of_each_token_before_the_batch_is_done(generator):
    told, drawn = [], 0
    rate = type(
        "Rate", (TokenRate,), {"__init__": lambda self: None, "add": lambda self, tokens: told.append(tokens)}
    )()
    with rate.watching(generator):
        for _, samples in generator.generate([Request(one.id, one.text, 4) for one in QUESTIONS]):
            assert len(told) > 5 and told[0] == 20
            drawn += sum(sample.num_tokens for sample in samples)
    assert sum(told) == drawn
    list(generator.generate([Request("one", QUESTIONS[0].text, 1)]))
    assert sum(told) == drawn  # nobody watches any longer


def test_a_pool_s_first_batch_shows_its_rate_while_it_has_no_sample(tmp_path, generator, monkeypatch, capsys):
    """Each look at the clock takes a second: the machine's speed does not come into it."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(token_rate.TokenRate.__init__, "__defaults__", (lambda: float(next(seconds)),))
    generate_pool(tmp_path / "pool", QUESTIONS, generator, 4)
    lines = re.split(r"[\r\n]", capsys.readouterr().err)
    first = next(line for line in lines if "tokens/s" in line)
    assert ": 0 of 20 samples" in first
    # 20 rows go on together at first: 20 tokens at each look.
    assert " 20 tokens/s" in first and "left" not in first
