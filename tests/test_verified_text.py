"""What verifiers are handed: samples without their thinking; one of which nothing is left scores 0 and is not read."""

import sys

import numpy as np
import pytest
from answering import WrittenServer, connect, questions_of, recorded, serving
from tiny_prms import make_qwen, make_reward_model

from optscale_predictor.backends.generators import Sample
from optscale_predictor.backends.verifiers import Answered, score_samples, stream_samples
from optscale_predictor.backends.verifiers.model_free import FunctionVerifier, GoldVerifier
from optscale_predictor.backends.verifiers.process_reward_model import ProcessRewardModel
from optscale_predictor.backends.verifiers.process_verifier import StepSettings
from optscale_predictor.backends.verifiers.reward_model import RewardModel
from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import BestOfN
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.preparation import score_pool
from optscale_predictor.questions.question import Question

SUM = Question("sum", "What is 7 + 5?", "12")
THOUGHT = "<think>\nIs it 13?\n\nOr \\boxed{14}?\n</think>\n\n"
ANSWER = "First we add 7 and 5.\n\n7 + 5 = 12\n\nso the answer is 12."
CUT = "<think>\nIs it 12?\n\nI had better"

MODULE = """
read = []

def length(question, text):
    read.append(text)
    return min(len(text) / 100, 1)

def right(question, text, gold):
    read.append(text)
    return text == gold

def short(questions, texts):
    return [0.5] * (len(texts) - 1)
"""


@pytest.fixture
def users(tmp_path, monkeypatch):
    """A module of a user's; ``read`` in it are the texts that its functions were handed."""
    (tmp_path / "users_reader.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    sys.modules.pop("users_reader", None)
    yield lambda name: FunctionVerifier(f"users_reader:{name}")
    sys.modules.pop("users_reader", None)


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    return ProcessRewardModel(make_qwen(tmp_path_factory.mktemp("prm")), StepSettings("qwen"), device="cpu")


@pytest.fixture(scope="module")
def reward(tmp_path_factory):
    return RewardModel(make_reward_model(tmp_path_factory.mktemp("reward")), device="cpu")


def pool_of(folder, texts, question=SUM, reason="stop"):
    with PoolWriter(folder, [question], {"generator": {"adapter": "made up"}}) as writer:
        writer.append(question.id, 0, [Sample(text, 5, reason, 0) for text in texts])
    return folder


def scores_in(pool, column="score"):
    return [(row[column], row[column.replace("score", "refusal")]) for row in pool.read().to_pylist()]


def test_models_read_the_answer_alone(process, reward):
    thought, bare = Answered(SUM, THOUGHT + ANSWER), Answered(SUM, ANSWER)
    assert thought.text == ANSWER and thought.written.startswith("<think>")
    np.testing.assert_array_equal(process.step_scores(thought), process.step_scores(bare))
    assert len(process.step_scores(thought)) == 3
    for verifier in (process, reward):
        first, second = verifier.score([thought]), verifier.score([bare])
        assert first.values == second.values and first.tokens == second.tokens


def test_a_users_function_reads_the_answer_alone_and_no_blank_one(users, tmp_path):
    pool = score_pool(
        pool_of(tmp_path / "pool", [THOUGHT + "12", CUT, "", "  \n", "12"]), users("length"), progress=False
    )
    assert scores_in(pool) == [
        (pytest.approx(0.02), None),
        (0.0, None),
        (0.0, None),
        (0.0, None),
        (pytest.approx(0.02), None),
    ]
    assert sys.modules["users_reader"].read == ["12", "12"]
    score_pool(pool.folder, users("length"), progress=False)  # nothing is open: none is scored again
    assert sys.modules["users_reader"].read == ["12", "12"]


def test_a_thought_that_was_cut_off_scores_0_with_every_kind(process, reward, tmp_path):
    items = [Answered(SUM, ANSWER), Answered(SUM, CUT, ended=False), Answered(SUM, THOUGHT, ended=False)]
    for verifier in (process, reward, GoldVerifier()):
        scores = score_samples(verifier, items)
        assert scores.values[1:].tolist() == [0, 0] and scores.values[0] == verifier.score(items[:1]).values[0] > 0
        assert not scores.refusals and scores.tokens[1:].tolist() == [0, 0]
        parts = dict(
            pair for where, part in stream_samples(verifier, items) for pair in zip(where, part.values, strict=True)
        )
        assert [parts[index] for index in range(3)] == scores.values.tolist()
    assert score_samples(process, items[1:]).values.tolist() == [0, 0]


def test_where_the_gold_answer_is_needed_and_not_known_a_blank_sample_is_no_zero(users):
    unknown = [Answered(Question("q", "a?"), text) for text in ("12", CUT)]
    scores = score_samples(GoldVerifier(), unknown)
    assert np.isnan(scores.values).all() and set(scores.refusals.values()) == {"its question has no gold answer"}
    assert score_samples(users("right"), unknown).values.tolist() == [0, 0]
    assert sys.modules["users_reader"].read == ["12", ""]  # the function decides


def test_a_cut_off_sample_is_right_only_where_its_answer_is_marked(tmp_path):
    texts = ["7 + 5 is 12", r"It is \boxed{12}, since"]
    for reason, right in (("length", [0, 1]), ("stop", [1, 1])):
        pool = score_pool(pool_of(tmp_path / reason, texts, reason=reason), GoldVerifier(), progress=False)
        assert scores_in(pool) == [(float(one), None) for one in right]
        assert pool.read(["correct"])["correct"].to_pylist() == [bool(one) for one in right]


def test_scores_that_are_not_one_a_sample_are_an_error_still(users):
    items = [Answered(SUM, text) for text in ("1", CUT, "2")]
    for call in (score_samples, lambda *given: list(stream_samples(*given))):
        with pytest.raises(InputError, match="returned 1 scores for 2 samples"):
            call(users("short"), items)


def test_the_map_of_unbounded_rewards_is_fitted_on_what_is_read(reward, tmp_path):
    texts = [f"7 + 5 = {number}" for number in range(8)]
    with_blank = pool_of(tmp_path / "blank", [text for one in texts for text in (one, CUT)])
    reward.score_map = None
    score_pool(with_blank, reward, progress=False)
    found = Pool(with_blank).scores["score"]["score_map"]
    assert found["samples"] == 8
    reward.score_map = None
    score_pool(pool_of(tmp_path / "bare", texts), reward, progress=False)
    assert Pool(tmp_path / "bare").scores["score"]["score_map"] == found
    assert [score for score, _ in scores_in(Pool(with_blank))][1::2] == [0.0] * 8
    reward.score_map = None


def test_a_live_run_with_a_process_reward_model_draws_no_thought_again(process):
    """A sample without steps is refused, and a refused one drawn anew: eight rounds later the run had failed."""
    server = WrittenServer(text=lambda *_: CUT)
    with serving(server.app()) as url:
        (answer,) = OptScale(connect(url), process, policy=BestOfN(4)).answer(questions_of(1))
    assert (answer.samples, answer.generated_samples, answer.scores, answer.answer) == (4, 4, (0.0,) * 4, None)


def test_what_is_recorded_of_a_blank_sample_holds(tmp_path):
    """And of two samples with one answer each keeps the score that it has."""
    made = {"score": {"adapter": "made up"}}
    with PoolWriter(tmp_path / "pool", [SUM], {"generator": {"adapter": "made up"}}, scores=made) as writer:
        kept = [(CUT, 0.25), (THOUGHT + "12", 0.5), ("12", 0.75)]
        columns = [(("score", score), ("refusal", None), ("verifier_tokens", 1)) for _, score in kept]
        samples = [Sample(text, 5, "stop", 0, one) for (text, _), one in zip(kept, columns, strict=True)]
        writer.append(SUM.id, 0, samples)
    (answer,) = OptScale(*recorded(tmp_path / "pool"), policy=BestOfN(3)).answer([SUM])
    assert answer.scores == (0.25, 0.5, 0.75)
