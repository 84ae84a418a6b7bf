"""The judge: against a real HTTP server that speaks the chat protocol, faults included, and a real vLLM.

The full tier starts vLLM with the interpreter that ``OPTSCALE_VLLM_PYTHON`` names; without it the test fails.
"""

import re

import numpy as np
import pytest
from aiohttp import web
from faulty_proxy import FaultyProxy
from judge_server import SHORT, Judge, grade, items_of, judged
from served_world import serving
from synthetic_pool import write_pool
from vendor_server import counted, reply
from vllm_server import serving_vllm

from optscale_predictor.backends.verifiers.judge import JudgeVerifier
from optscale_predictor.backends.verifiers.rubric import Rubric
from optscale_predictor.errors import InputError, ServiceError
from optscale_predictor.pools.preparation import score_pool


def test_scores_are_mapped_linearly_and_tokens_counted():
    scores, judge = judged(grade, ["#0", "#10", "#7.5", "#3"], concurrency=2)
    np.testing.assert_allclose(scores.values, [0, 1, 0.75, 0.3])
    assert not scores.refusals and judge.under_way == 2
    # Prompt and reply, as the server counts them: its prompts are SHORT around question and sample.
    asked = [len(f"Q: How many?\nA: {text}\n") for text in ("#0", "#10", "#7.5", "#3")]
    replied = [len(grade(text, 0)) for text in ("#0", "#10", "#7.5", "#3")]
    assert scores.tokens.tolist() == [one + two for one, two in zip(asked, replied, strict=True)]
    assert scores.tokens.sum() == judge.spent
    assert all(body["temperature"] == 0 and body["seed"] == 0 for body in judge.bodies)


def test_another_range_and_pattern():
    rubric = Rubric("{question}{answer}", pattern=r"mark=(\S+)", low=-1, high=3)
    scores, _ = judged(lambda prompt, _: f"Score: 9 mark={prompt.split('#')[1]}", ["#-1", "#3", "#1", "#4"], rubric)
    np.testing.assert_allclose(scores.values[:3], [0, 1, 0.5])
    assert scores.refusals == {3: "the judge's score is 4, outside -1 to 3"}


def test_a_sample_cannot_fill_slots():
    """Placeholders in a question or a sample are text; so is a format string's brace."""
    rubric = Rubric("[{question}] [{answer}] [{gold}]")
    texts = ["{gold} {question} {answer} {0} {x} }{ #5", r"\g<0> \1 #6"]
    scores, judge = judged(grade, texts, rubric, gold="a secret")
    prompts = sorted(body["messages"][0]["content"] for body in judge.bodies)
    assert prompts == sorted(f"[How many?] [{text}] [a secret]" for text in texts)
    np.testing.assert_allclose(scores.values, [0.5, 0.6])


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("It is quite good.", "the judge's reply holds no score: 'It is quite good.'"),
        ("", "the judge's reply holds no score: ''"),
        ("Score: NUMBER", "the judge's score is 'NUMBER', not a number from 0 to 10"),
        ("Score: 11", "the judge's score is 11, outside 0 to 10"),
        ("Score: -2", "the judge's score is -2, outside 0 to 10"),
        ("Score: 80%", "the judge's score is '80%', not a number from 0 to 10"),
        ("Score: 8/100", "the judge's score is '8/100', not a number from 0 to 10"),
        ("Score: 1,000", "the judge's score is '1,000', not a number from 0 to 10"),
        ("Score: 5\nScore: none", "the judge's score is 'none', not a number from 0 to 10"),
        ("Score: nan", "the judge's score is 'nan', not a number from 0 to 10"),
        ("Score: 9 or rather<cut>", "the judge's reply was cut off at 1024 tokens"),
        ("<think>Score: 9", "the judge's reply holds no score: ''"),
    ],
)
def test_what_is_no_score_refuses_the_sample(reply, reason):
    scores, judge = judged(lambda *_: reply, ["a sample"])
    assert np.isnan(scores.values).all() and scores.refusals == {0: reason}
    assert scores.tokens[0] == judge.spent > 0  # the reply was paid for
    assert len(judge.bodies) == 1  # and is not asked for again: the same would come


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("Score: 8", 0.8),
        ("score:8.", 0.8),
        ("**Score:** 8/10", 0.8),
        ("__Score__: **8**", 0.8),
        ("Score: 8 / 10\n", 0.8),
        ("Score: 3 ... Final score: 8!", 0.8),
        ("<think>Score: 3</think>Score: 8", 0.8),
        ("Score: .5", 0.05),
    ],
)
def test_ways_of_writing_a_score(reply, score):
    scores, _ = judged(lambda *_: reply, ["a sample"])
    assert scores.values[0] == pytest.approx(score)


@pytest.mark.parametrize(
    ("content", "ended", "usage", "score", "tokens"),
    [
        ("Score: 8", "stop", None, 0.8, 0),
        ("Score: 8", "eos_token", counted(20), 0.8, 30),
        ("Score: 8", None, {**counted(20), "total_tokens": 60}, 0.8, 60),
        ([{"type": "thinking", "thinking": "Score: 1"}, {"type": "text", "text": "Score: 8"}], "stop", None, 0.8, 0),
        ("Score: 8 or rather", "max_tokens", counted(20), "the judge's reply was cut off at 1024 tokens", 30),
        (None, "MAX_TOKENS", None, "the judge's reply was cut off at 1024 tokens", 0),
    ],
)
def test_replies_are_read_as_servers_in_use_write_them_and_paid_once(content, ended, usage, score, tokens):
    scores, judge = judged(lambda *_: reply(content, usage, ended), ["a sample"], max_retries=0)
    assert (scores.refusals or {0: scores.values[0]}) == {0: score}
    assert len(judge.bodies) == 1 and scores.tokens.tolist() == [tokens]


def test_votes_are_drawn_with_seeds_of_their_own_and_averaged():
    rubric = Rubric("{question}{answer}", votes=3, temperature=0.7, seed=5)
    scores, judge = judged(lambda _, seed: f"Score: {seed}", ["one", "two"], rubric)
    np.testing.assert_allclose(scores.values, [0.6, 0.6])  # (5 + 6 + 7) / 3 / 10
    assert sorted(body["seed"] for body in judge.bodies) == [5, 5, 6, 6, 7, 7]
    assert {body["temperature"] for body in judge.bodies} == {0.7} and scores.tokens.sum() == judge.spent


def test_votes_without_a_score_are_left_out_up_to_half_of_them():
    rubric = Rubric("{question}{answer}", votes=3, temperature=1)
    scores, judge = judged(lambda _, seed: f"Score: {'?' if seed == 0 else seed}", ["one"], rubric)
    assert scores.values[0] == pytest.approx(0.15) and scores.tokens.sum() == judge.spent
    scores, _ = judged(lambda _, seed: f"Score: {seed if seed == 0 else '?'}", ["one"], rubric)
    assert scores.refusals[0].startswith("2 of 3 votes hold no score: the judge's score is '?'")


def test_without_a_gold_answer_nothing_is_asked():
    scores, judge = judged(grade, ["#1", "#2"], Rubric("{question}{answer}{gold}"), gold=None)
    assert set(scores.refusals.values()) == {"the rubric shows the gold answer, and this question has none"}
    assert not judge.bodies and scores.tokens.tolist() == [0, 0]


def test_through_a_faulty_network_every_sample_has_its_own_score():
    numbers = np.round(np.random.default_rng(0).uniform(0, 10, 120), 3)
    judge = Judge(grade)
    with serving(judge.app()) as url:
        proxy = FaultyProxy(url, share=0.3, delay=0.05)
        with serving(proxy.app()) as through:
            scores = JudgeVerifier("", f"{through}/v1", SHORT).score(items_of([f"#{one}" for one in numbers]))
    np.testing.assert_allclose(scores.values, numbers / 10)
    spoilt = sum(proxy.faults.values()) - proxy.faults["none"]
    assert not scores.refusals and spoilt > 20
    lengths = [len(f"Q: How many?\nA: #{one}\n") + len(grade(f"#{one}", 0)) for one in numbers]
    assert scores.tokens.tolist() == lengths


def test_a_refused_request_refuses_its_sample_alone():
    def says(prompt, seed):
        return (400, {"error": {"message": "too long:\nno room"}}) if "long" in prompt else grade(prompt, seed)

    scores, _ = judged(says, ["#1", "a long one", "#3"])
    np.testing.assert_allclose(scores.values, [0.1, np.nan, 0.3])
    # A pool may be published: the server's address is not in it.
    assert scores.refusals == {1: "the judge's server refuses it: the server answered 400: too long: no room"}


def test_models_are_checked():
    with serving(Judge(grade).app()) as url:
        with pytest.raises(ServiceError, match="serves no model 'other'; it serves: judge-7b"):
            JudgeVerifier("other", f"{url}/v1")
        assert JudgeVerifier("", f"{url}/v1").describe()["model"] == "judge-7b"
    two_models = Judge(grade, models=("one", "two")).app()
    with serving(two_models) as url, pytest.raises(ServiceError, match="must be named; it serves: one, two"):
        JudgeVerifier("", f"{url}/v1")
    with serving(Judge(grade, models=None).app()) as url:
        assert JudgeVerifier("named", f"{url}/v1").describe()["model"] == "named"
        with pytest.raises(ServiceError, match="404"):
            JudgeVerifier("", f"{url}/v1")
    with serving(Judge(grade).app()) as one, serving(Judge(grade).app()) as two:
        both = JudgeVerifier("", f"{one}/v1 {two}/v1", SHORT)
        assert len(both.score(items_of(["#5"] * 8)).values) == 8
    with pytest.raises(InputError, match="base_url is empty"):
        JudgeVerifier("x", " ")


def test_a_server_that_cannot_list_its_models_is_believed_if_one_is_named():
    async def broken(_):
        return web.json_response({"error": {"message": "no list here"}}, status=500)

    app = web.Application()
    app.router.add_get("/v1/models", broken)
    with serving(app) as url:
        assert JudgeVerifier("world", f"{url}/v1").describe()["model"] == "world"
        with pytest.raises(ServiceError, match="500: no list here"):
            JudgeVerifier("", f"{url}/v1")


@pytest.fixture(scope="module")
def chatting_vllm(tmp_path_factory):
    """A real vLLM that serves the embedded generator as if it could chat."""
    folder = tmp_path_factory.mktemp("vllm")
    (folder / "template.jinja").write_text("{{ messages[0]['content'] }}")
    flags = "--chat-template", str(folder / "template.jinja"), "--served-model-name", "world"
    with serving_vllm(folder, "embedded:generator", *flags) as url:
        yield f"{url}/v1"


@pytest.mark.full
def test_a_real_server_that_cannot_judge_refuses_every_sample_with_a_reason(chatting_vllm, tmp_path):
    write_pool(tmp_path / "pool", [[0.5] * 8] * 5, texts=[f"{number}+7=" for number in range(5)])
    rubric = Rubric("{question}\n{answer}#1+1=", max_tokens=100)
    verifier = JudgeVerifier("world", chatting_vllm, rubric)
    pool = score_pool(tmp_path / "pool", verifier, "score_judge", progress=False)
    rows = pool.read(["score_judge", "refusal_judge", "verifier_tokens_judge"])
    assert rows["score_judge"].null_count == rows.num_rows == 40
    assert all(re.match("the judge's reply (holds no score|was cut)", one) for one in rows["refusal_judge"].to_pylist())
    assert min(rows["verifier_tokens_judge"].to_pylist()) > len("1+7=\nan answer#1+1=")


@pytest.mark.full
def test_a_real_server_whose_context_is_too_short_for_the_rubric(chatting_vllm):
    scores = JudgeVerifier("world", chatting_vllm).score(items_of(["7"] * 3))
    assert len(scores.refusals) == 3
    assert all("the judge's server refuses it: the server answered 400: " in one for one in scores.refusals.values())
    with pytest.raises(InputError, match="judge 'world' failed 32 times and never worked"):
        JudgeVerifier("world", chatting_vllm).score(items_of(["7"] * 40))
