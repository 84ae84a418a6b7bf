"""Answering many questions: what a replay says, for every policy and selection, alone or sharing samples."""

import threading
from dataclasses import replace
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
from answering import graded_pool, of_policies, recorded, said
from fitted_policies import with_folder

from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import POLICIES, BestOfN, parse_policy
from optscale_predictor.policies.selection import SELECTIONS
from optscale_predictor.questions.answers import AnswerGroups, extract_answer
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.estimators import Prior

PRIOR = Prior(0.5, 0.25, 2.0)
SETTINGS = {
    "optscale": ["score_min=0.8", "score_min=0.6,step=double", "score_min=0.7,step=jump,estimate=plugin"],
    "shared_budget": ["tokens=600", "tokens=1500,share=0.3"],
    "optscale_0": ["score_min=0.7", "score_min=0.7,form=jump,peek=3"],
    "optscale_t": ["score_min=0.7,max_samples=12", "score_min=0.7,form=jump,peek=3"],
    "oracle": ["score_min=0.7"],
    "best_of_n": ["max_samples=32", "max_samples=1"],
    "fitted": [f"path=FOLDER,{setting}" for setting in ("price=0.01", "price=0.3", "tokens=60", "accuracy=0.7")],
}
LIVE = [f"{name}:{setting}" for name in POLICIES if name != "clairvoyant" for setting in SETTINGS.get(name, [""])]


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return graded_pool(tmp_path_factory.mktemp("graded") / "pool", untidy=True)


@cache
def replayed(pool, policy):
    """What a replay of the whole pool says."""
    return run_policy(policy, RecordedSamples.from_pool(pool), PRIOR)


def require_same(answers, outcomes, questions):
    """Live answers are those of a replay, question by question and decision by decision."""
    by_id = {answer.question_id: answer for answer in answers}
    assert list(by_id) != [] and by_id.keys() == {question.id for question in questions}
    for place, question in enumerate(questions):
        answer, count = by_id[question.id], int(outcomes.count[place])
        assert (answer.samples, answer.stop_reason) == (count, str(outcomes.reason[place]))
        assert answer.tokens == outcomes.tokens[place]
        assert list(answer.scores) == outcomes.scores[place, :count].tolist()
        assert answer.text.startswith(f"try {outcomes.chosen[place]}:")
        np.testing.assert_equal(answer.confidence, outcomes.confidence[place])
        np.testing.assert_allclose(answer.needed, outcomes.needed[place], rtol=1e-9)
        np.testing.assert_allclose(answer.trace, outcomes.trace[place], rtol=1e-9)


@pytest.mark.parametrize(("text", "in_flight"), [*((text, 5) for text in LIVE), (LIVE[0], 1), (LIVE[0], 1024)])
def test_a_live_run_decides_as_its_replay(pool, text, in_flight):
    policy = parse_policy(with_folder(text))
    scaler = OptScale(*recorded(pool.folder), policy=policy, prior=PRIOR, in_flight=in_flight)
    answers = list(scaler.stream(pool.questions))
    require_same(answers, replayed(pool, policy), pool.questions)


@pytest.mark.parametrize("selection", [*SELECTIONS, "confidence:FOLDER"])
def test_a_live_run_chooses_as_its_replay(pool, selection):
    selection = with_folder(selection)
    policy = parse_policy("optscale:score_min=0.8,max_samples=16")
    scaler = OptScale(*recorded(pool.folder), policy=policy, prior=PRIOR, selection=selection)
    answers = scaler.answer(pool.questions)
    outcomes = run_policy(policy, RecordedSamples.from_pool(pool), PRIOR, selection)
    require_same(answers, outcomes, pool.questions)
    assert [answer.hit for answer in answers] == (outcomes.best >= 0.8).tolist()
    assert np.isfinite(outcomes.confidence).all() == selection.startswith("confidence")
    for answer in answers:
        assert answer.answer == extract_answer(answer.text) is not None  # its own spelling; nothing that was cut off


class WatchedGroups(AnswerGroups):
    """Notes the threads on which answers are compared."""

    threads: ClassVar[list[str]] = []

    def number(self, answer):
        self.threads.append(threading.current_thread().name)
        return super().number(answer)


def test_answers_are_compared_off_the_event_loop_and_only_where_somebody_looks(pool, monkeypatch):
    monkeypatch.setattr("optscale_predictor.inference.deciding.AnswerGroups", WatchedGroups)
    policies = [parse_policy("optscale:score_min=0.8"), BestOfN(8), parse_policy("beacon")]
    OptScale(*recorded(pool.folder), policy=policies, prior=PRIOR).answer(pool.questions)
    assert not WatchedGroups.threads
    OptScale(*recorded(pool.folder), policy=parse_policy("self_consistency:max_samples=8")).answer(pool.questions)
    assert len(WatchedGroups.threads) == 8 * len(pool.questions)  # each answer once
    assert all(name.startswith("optscale-decide") for name in WatchedGroups.threads)


def test_a_bound_that_needs_hindsight_says_so(pool):
    with pytest.raises(InputError, match="clairvoyant"):
        OptScale(*recorded(pool.folder), policy=parse_policy("clairvoyant")).answer(pool.questions)


def test_policies_that_share_samples_decide_as_if_alone(pool):
    texts = [with_folder(text) for text in LIVE if not text.startswith("shared_budget")]
    policies, generator_and_verifier = [parse_policy(text) for text in texts], recorded(pool.folder)
    answers = OptScale(*generator_and_verifier, policy=policies, prior=PRIOR).answer(pool.questions)
    assert [one.question_id for one in answers] == [question.id for question in pool.questions]
    for place, policy in enumerate(policies):
        own = [of_policies(answer)[place] for answer in answers]
        assert {one.policy for one in own} == {str(policy)}
        require_same(own, replayed(pool, policy), pool.questions)
    asked = generator_and_verifier[0].asked()  # each once
    assert asked == {question.id: 32 for question in pool.questions}


def test_a_deep_policy_draws_all_at_once_and_shares(pool):
    generator, verifier = recorded(pool.folder)
    policies = [parse_policy("best_of_n:max_samples=32"), parse_policy("optscale:score_min=0.8"), BestOfN(4)]
    OptScale(generator, verifier, policy=policies).answer(pool.questions)
    assert [request.num_samples for request in generator.requests] == [32] * len(pool.questions)


def test_untraced_answers_are_the_same(pool):
    scaler = OptScale(*recorded(pool.folder), score_min=0.8)
    with_trace, without = (sorted(map(said, scaler.stream(pool.questions, traced=traced))) for traced in (True, False))
    assert with_trace == without


def test_bad_questions_are_refused_before_anything_is_drawn(pool):
    generator, verifier = recorded(pool.folder)
    scaler = OptScale(generator, verifier)
    twice = [pool.questions[0], pool.questions[0]]
    with pytest.raises(InputError, match=r"'q0000' occurs twice"):
        scaler.answer(twice)
    with pytest.raises(InputError, match="1 prompts for 2 questions"):
        scaler.answer(list(pool.questions[:2]), prompts=["x"])
    assert scaler.answer([]) == [] and not generator.requests


def test_settings_that_cannot_work_are_refused(pool):
    parts = recorded(pool.folder)
    with pytest.raises(InputError, match="in_flight must be >= 1, got 0"):
        OptScale(*parts, in_flight=0)
    with pytest.raises(InputError, match="a policy is named twice"):
        OptScale(*parts, policy=[BestOfN(4), BestOfN(4)])
    with pytest.raises(InputError, match="no policies"):
        OptScale(*parts, policy=[])
    with pytest.raises(InputError, match="'shared_budget' spends one budget on all questions and must run alone"):
        OptScale(*parts, policy=[parse_policy("shared_budget"), BestOfN(4)])
    with pytest.raises(InputError, match="'optscale_t' needs a prior"):
        OptScale(*parts, policy=parse_policy("optscale_t"))
    with pytest.raises(InputError, match="'best_of_n' needs a verifier"):
        OptScale(parts[0], None, policy=BestOfN(4))


def test_answers_without_a_verifier(pool):
    policy = parse_policy("self_consistency:max_samples=8")
    answers = OptScale(recorded(pool.folder)[0], None, policy=policy).answer(pool.questions)
    samples = RecordedSamples.from_pool(pool)
    want = run_policy(policy, replace(samples, scores=np.zeros_like(samples.scores)))  # nothing breaks a tie
    assert [answer.text.split(":")[0] for answer in answers] == [f"try {one}" for one in want.chosen.tolist()]
