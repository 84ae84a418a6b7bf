"""Votes over a pool whose samples spell one answer in several ways, live and replayed."""

from dataclasses import replace

import numpy as np
import pytest

from optscale_predictor.backends.generators import Sample
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_engines import RecordedGenerator, RecordedVerifier
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, replay
from optscale_predictor.replays.run_policy import run_policy

HALVES = [r"\frac12", "0.5", r"\dfrac12", "1/2"]


def pool_of(folder, *questions):
    """A scored pool of questions whose right answer is one half, from the answers that their samples box."""
    asked = [Question(f"q{number}", f"{number}?", r"\frac{1}{2}") for number in range(len(questions))]
    with PoolWriter(folder, asked, {}, scores={"score": {"adapter": "made up"}}) as writer:
        for question, answers in zip(asked, questions, strict=True):
            samples = [
                Sample(rf"try {index}: \boxed{{{answer}}}", 10, "stop", index, columns=columns)
                for index, answer in enumerate(answers)
                for columns in [(("score", 0.5), ("refusal", None), ("verifier_tokens", 0))]
            ]
            writer.append(question.id, 0, samples)
    return Pool(folder)


def by_spelling(recorded, answers):
    """The same samples, every spelling a vote of its own."""
    codes = np.array([[sorted(set(row)).index(answer) for answer in row] for row in answers])
    return replace(recorded, answer_source=codes)


def test_four_spellings_of_seven_samples_win_the_vote(tmp_path):
    answers = [HALVES[0], "7", HALVES[1], "7", HALVES[2], "7", HALVES[3]]
    pool = pool_of(tmp_path / "pool", answers)
    recorded, policy = RecordedSamples.from_pool(pool), parse_policy("self_consistency:max_samples=7")
    assert recorded.answers.tolist() == [[0, 1, 0, 1, 0, 1, 0]]
    right, split = (
        replay([ReplayEntry(policy, "x")], one, 3)[0] for one in (recorded, by_spelling(recorded, [answers]))
    )
    assert right.accuracy.mean == 1.0 and split.accuracy.mean == 0.0
    generator = RecordedGenerator(str(pool.folder))
    for verifier in (RecordedVerifier(generator), None):
        (answer,) = OptScale(generator, verifier, policy=policy).answer(pool.questions)
        assert answer.answer == HALVES[0] and answer.text == r"try 0: \boxed{\frac12}"  # as it is spelled there


@pytest.mark.parametrize(("text", "count"), [("asc_beta", 4), ("asc_dirichlet", 4), ("esc", 5), ("dsc:easy=1", 4)])
def test_rules_that_stop_on_agreement_see_it_through_the_spelling(tmp_path, text, count):
    from optscale_predictor import Prior

    answers = [[HALVES[(first + index) % 4] for index in range(12)] for first in range(4)]
    pool = pool_of(tmp_path / "pool", *answers)
    recorded, prior = RecordedSamples.from_pool(pool), Prior(0.5, 0.2, 1.0)
    policy = parse_policy(f"{text}{',' if ':' in text else ':'}max_samples=12")
    found, split = (run_policy(policy, one, prior) for one in (recorded, by_spelling(recorded, answers)))
    assert found.count.tolist() == [count] * 4 and set(found.reason) == {"confident"}
    assert split.count.tolist() == [12] * 4 and set(split.reason) == {"budget"}
    generator = RecordedGenerator(str(pool.folder))
    live = OptScale(generator, RecordedVerifier(generator), policy=policy, prior=prior).answer(pool.questions)
    assert [answer.samples for answer in live] == found.count.tolist()


def test_other_orders_of_a_pool_keep_its_groups(tmp_path):
    answers = [HALVES[0], "7", HALVES[1], "8", r"50\%", "7.0"]
    recorded = RecordedSamples.from_pool(pool_of(tmp_path / "pool", answers, answers[::-1]))
    reordered = recorded.reorder(np.random.default_rng(0))
    for part, name in ((reordered, "reordered"), (RecordedSamples.concatenate([reordered, recorded]), "joined")):
        sizes = [sorted(np.bincount(row).tolist()) for row in part.answers]
        assert sizes == [[1, 2, 3]] * len(sizes), name
    assert recorded.take(np.array([1])).answers.tolist() == [[0, 1, 2, 1, 0, 1]]


def test_answers_are_compared_only_where_somebody_looks():
    scores = np.linspace(0, 1, 24).reshape(3, 8)
    recorded = RecordedSamples(scores, lambda: pytest.fail("it looked"), np.ones((3, 8)), np.ones((3, 8)))
    texts = ("optscale:score_min=0.8", "best_of_n:max_samples=4", "optscale_0", "beacon", "cost_aware")
    replay([ReplayEntry(parse_policy(text), text) for text in texts], recorded, num_orders=2)
    for entry in (
        ReplayEntry(parse_policy("asc_beta"), "x"),
        ReplayEntry(parse_policy("best_of_n"), "x", selection="majority"),
    ):
        with pytest.raises(pytest.fail.Exception, match="it looked"):
            replay([entry], recorded, num_orders=1)
