"""At temperature 0 a question's samples are one and the same: it is drawn once, and its copies cost nothing."""

import pytest
from answering import WrittenScores, WrittenServer, connect, questions_of, said, serving
from served_optscale import ask, metrics_of, scaler_of, served

from optscale_predictor.errors import RequestRefusedError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import Pool
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.estimators import Prior

PRIOR = Prior(0.5, 0.25, 2.0)
POLICIES = ["optscale:score_min=0.99,step=one", "optscale:score_min=0.99,step=auto", "best_of_n:max_samples=4"]


def scaler_over(url, policies):
    generator = connect(url)
    generator.sampling = type(generator.sampling)(temperature=0.0, max_tokens=16)
    return OptScale(generator, WrittenScores(), policy=[parse_policy(text) for text in policies], prior=PRIOR)


@pytest.mark.parametrize("owner", ["vllm", "llamacpp"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_question_is_one_request_for_one_sample(policy, owner):
    server, questions = WrittenServer(owner=owner), questions_of(5)
    with serving(server.app()) as url:
        scaler = scaler_over(url, [policy])
        answers = scaler.answer(questions)
    assert [body["n"] for body in server.bodies] == [1] * 5
    assert sum(scaler.verifier.batches) == 5  # a copy is not read again
    for answer in answers:
        assert answer.samples > 1 and set(answer.scores) == {answer.score}
        assert answer.tokens == answer.generated_tokens == answer.chosen_tokens > 0
        assert [(first, count) for _, first, count in answer.requests] == [(0, 1)]
        assert answer.cancelled_samples == 0 and answer.schedule == ()


def test_a_pool_a_replay_and_a_run_again_say_the_same(tmp_path):
    server, questions = WrittenServer(), questions_of(5)
    with serving(server.app()) as url:
        answers = scaler_over(url, POLICIES[:1]).answer(questions, pool=tmp_path / "pool")
        again = scaler_over(url, POLICIES[:1]).answer(questions, pool=tmp_path / "pool")
        assert list(map(said, again)) == list(map(said, answers)) and len(server.bodies) == 5
        # Another policy goes on with copies of what is there.
        scaler_over(url, ["best_of_n:max_samples=40"]).answer(questions, pool=tmp_path / "pool")
    assert len(server.bodies) == 5
    rows = Pool(tmp_path / "pool").read(["sample_index", "num_tokens", "text", "score"]).to_pylist()
    assert len(rows) == 5 * 40 and all((row["num_tokens"] == 0) == (row["sample_index"] > 0) for row in rows)
    replayed = run_policy(parse_policy(POLICIES[0]), RecordedSamples.from_pool(Pool(tmp_path / "pool")), PRIOR)
    assert replayed.count.tolist() == [answer.samples for answer in answers]
    assert replayed.tokens.tolist() == [answer.tokens for answer in answers]


def test_a_verifier_that_refuses_the_one_sample_is_not_asked_for_others():
    server = WrittenServer(text=lambda prompt, seed, place: "refused")
    with serving(server.app()) as url, pytest.raises(RequestRefusedError, match="refuses sample after sample"):
        scaler_over(url, POLICIES[:1]).answer(questions_of(1))
    assert len(server.bodies) == 1


def test_a_client_that_asks_for_temperature_0_pays_for_one_sample():
    """Many clients send it by default, lm-eval's own among them."""
    generator = WrittenServer()
    with serving(generator.app()) as url:
        scaler = scaler_of(url, "optscale:score_min=0.99,step=one")
        with served(scaler, conversations=False) as server, server.client() as client:
            usage = ask(client, "1+1=", temperature=0).usage
            figures = metrics_of(server)
    assert len(generator.bodies) == 1 and usage.completion_tokens == usage.model_extra["chosen_tokens"] > 0
    assert figures["optscale_tokens_total",] == usage.completion_tokens
