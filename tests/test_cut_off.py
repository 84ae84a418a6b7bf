"""Samples that were cut off before they gave an answer: no vote, no target reached, returned for want of better."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from optscale_predictor import Prior
from optscale_predictor.backends.generators import Sample
from optscale_predictor.evaluation.report.fixed_curve import fixed_number_curve
from optscale_predictor.evaluation.report.replayed_runs import replay_pool
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import Draws, parse_policy
from optscale_predictor.policies.selection import select
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_engines import RecordedGenerator, RecordedVerifier
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, replay
from optscale_predictor.replays.run_policy import run_policy

CUT, ENDED, MARKED = ("</think> so it must be", "length"), ("</think> I do not know", "stop"), ("#### 4", "length")
RIGHT, WRONG = ("#### 4", "stop"), ("#### 5", "stop")
PRIOR = Prior(0.6, 0.2, 2.0)


def pool_of(folder, *questions):
    """A scored pool of questions whose right answer is 4, from their samples' (end, score)."""
    asked = [Question(f"q{number}", f"{number}?", "4") for number in range(len(questions))]
    with PoolWriter(folder, asked, {}, scores={"score": {"adapter": "made up"}}) as writer:
        for question, samples in zip(asked, questions, strict=True):
            columns = [(("score", score), ("refusal", None), ("verifier_tokens", 0)) for _, score in samples]
            writer.append(
                question.id,
                0,
                [
                    Sample(f"try {place}: {text}", 10, finish_reason, place, columns=columns[place])
                    for place, ((text, finish_reason), _) in enumerate(samples)
                ],
            )
    return Pool(folder)


def live(pool, policy, selection=None):
    generator = RecordedGenerator(str(pool.folder))
    scaler = OptScale(generator, RecordedVerifier(generator), policy=policy, prior=PRIOR, selection=selection)
    return scaler.answer(pool.questions)


QUESTIONS = [
    [(CUT, 0.99), (RIGHT, 0.6), (WRONG, 0.5), (RIGHT, 0.4)],  # cut off, and scored highest
    [(CUT, 0.99), (CUT, 0.98), (CUT, 0.97), (WRONG, 0.1)],  # all cut off but one
    [(CUT, 0.3), (CUT, 0.9), (CUT, 0.2), (CUT, 0.1)],  # nothing else
    [(MARKED, 0.9), (WRONG, 0.6), (CUT, 0.99), (WRONG, 0.2)],  # cut off behind its answer
    [(CUT, 0.99), (ENDED, 0.3), (ENDED, 0.4), (CUT, 0.2)],  # ended without an answer, and no vote at all
]


@pytest.mark.parametrize(
    ("policy", "selection", "chosen"),
    [
        ("best_of_n", None, [1, 3, 1, 0, 2]),
        ("self_consistency", None, [1, 3, 1, 1, 2]),
        ("best_of_n", "weighted_majority", [1, 3, 1, 0, 2]),
    ],
)
def test_it_is_returned_only_where_there_is_nothing_else(tmp_path, policy, selection, chosen):
    pool, rule = pool_of(tmp_path / "pool", *QUESTIONS), parse_policy(f"{policy}:max_samples=4")
    outcomes = run_policy(rule, RecordedSamples.from_pool(pool), selection=selection)
    assert outcomes.chosen.tolist() == chosen
    answers = live(pool, rule, selection)
    assert [answer.text.split(":")[0] for answer in answers] == [f"try {place}" for place in chosen]
    assert [answer.answer for answer in answers] == ["4", "5", None, "4" if policy == "best_of_n" else "5", None]
    assert answers[2].finish_reason == "length"


@pytest.mark.parametrize("text", ["optscale:score_min=0.9,floor=0", "oracle:score_min=0.9,floor=0"])
def test_it_does_not_reach_the_target(tmp_path, text):
    """A question does not stop as reached on a sample that is then not returned."""
    questions = [
        [(CUT, 0.99), (WRONG, 0.5), (RIGHT, 0.95), (WRONG, 0.5)],
        [(CUT, 0.99), (WRONG, 0.5), (CUT, 0.98), (WRONG, 0.6)],
        [(RIGHT, 0.95), (CUT, 0.99), (WRONG, 0.5), (WRONG, 0.5)],
    ]
    pool, policy = pool_of(tmp_path / "pool", *questions), parse_policy(f"{text},max_samples=4,alpha=0.9999")
    recorded = RecordedSamples.from_pool(pool)
    outcomes, answers = run_policy(policy, recorded, PRIOR), live(pool, policy)
    for count, reason, best in (
        (outcomes.count.tolist(), outcomes.reason.tolist(), outcomes.best.tolist()),
        ([one.samples for one in answers], [one.stop_reason for one in answers], [one.score for one in answers]),
    ):
        assert (count, reason, best) == ([3, 4, 1], ["reached", "budget", "reached"], [0.95, 0.6, 0.95])
    assert [one.hit for one in answers] == [True, False, True]
    best_of_n, bound = (
        replay([ReplayEntry(parse_policy(rule), "x")], recorded, num_orders=2, score_min=0.9)[0]
        for rule in ("best_of_n:max_samples=4", "clairvoyant:score_min=0.9,max_samples=4")
    )
    assert best_of_n.hit.mean == bound.hit.mean == pytest.approx(2 / 3, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["beacon:cost=0.02", "pandora:cost=0.01", "cost_aware:price=1", "shared_budget:tokens=60"]
)
def test_it_is_not_the_best_so_far(text):
    """Whether the next sample is worth its cost is asked against what can be returned."""
    scores = np.array([[0.95, *np.linspace(0.3, 0.6, 31)[np.arange(31) * 11 % 31]]] * 2)
    usable = np.ones(scores.shape, np.bool_)
    usable[1, 0] = False
    recorded = RecordedSamples(scores, np.zeros(scores.shape, np.int64), np.full(scores.shape, 10.0), scores, usable)
    outcomes = run_policy(parse_policy(f"{text},max_samples=32"), recorded, PRIOR)
    assert outcomes.count[1] > outcomes.count[0]
    assert outcomes.chosen[0] == 0 != outcomes.chosen[1]


@pytest.mark.parametrize("text", ["beacon:cost=0.01", "pandora:min_samples=5", "cost_aware:price=1", "shared_budget"])
def test_a_question_of_which_nothing_can_be_returned_goes_on(text):
    scores = np.linspace(0.3, 0.9, 12)[None]
    nothing = np.zeros(scores.shape, np.bool_)
    recorded = RecordedSamples(scores, nothing - 1, np.full(scores.shape, 1.0), scores, nothing)
    outcomes = run_policy(replace(parse_policy(text), max_samples=12), recorded, PRIOR)
    assert outcomes.count == [12] and outcomes.chosen == [11] and outcomes.best == [-np.inf]


def test_the_estimate_still_learns_from_it():
    """Its score is a draw of the verifier's scores like any other."""
    scores, count = np.array([[0.9, 0.2, 0.4]]), np.array([3])
    policy = parse_policy("optscale:score_min=0.95")
    needed = [
        policy.decide(Draws(scores, np.zeros((1, 3), np.int64), scores, count, PRIOR, usable=usable)).needed
        for usable in (np.array([[True, True, True]]), np.array([[False, True, True]]))
    ]
    assert needed[0] == needed[1]


def test_the_curve_of_best_of_k_prefers_what_ended(tmp_path):
    """Brute force over every order of the samples."""
    questions = [[*row, (WRONG, 0.35)] for row in QUESTIONS]
    pool = pool_of(tmp_path / "pool", *questions)
    run = replay_pool(pool, [parse_policy("best_of_n:max_samples=5")], orders=1)
    curve = fixed_number_curve([run], [question.id for question in pool.questions])
    recorded = RecordedSamples.from_pool(pool)
    orders = np.array(list(permutations(range(5))))
    for place in range(len(questions)):
        scores, usable, correct = (part[place][orders] for part in (recorded.scores, recorded.usable, recorded.correct))
        for number in range(1, 6):
            drawn = np.where(np.arange(5) < number, scores, np.nan)
            count = np.full(len(orders), number)
            chosen = select("best_score", Draws(drawn, orders, drawn, count, None, usable=usable))
            picked = np.arange(len(orders)), chosen
            assert curve.score[place, number - 1] == pytest.approx(scores[picked].mean())
            assert curve.correct[place, number - 1] == pytest.approx(correct[picked].mean())
