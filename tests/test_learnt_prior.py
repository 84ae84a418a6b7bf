"""A prior learnt from the scores of finished questions: against the truth behind them, whatever stopped them."""

import numpy as np
import pytest
from conjugate_world import draw_members, draw_scores
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from optscale_predictor import LearntPrior, Prior
from optscale_predictor.errors import InputError
from optscale_predictor.policies import parse_policy
from optscale_predictor.policies.step import require_learning
from optscale_predictor.stats.estimators import ScoreStatistics
from optscale_predictor.stats.estimators.evidence import log_evidence
from optscale_predictor.stats.estimators.learnt_prior import _loss, fit_prior, is_learnt, summarize
from optscale_predictor.stats.estimators.prior import VAGUE
from optscale_predictor.targets.question_scores import constant_prior

TRUTH = (0.4, 0.25, 3.0)  # mean, std, strength


def numbers(prior):
    return [float(prior.mean), float(prior.std), float(prior.strength)]


@pytest.fixture(scope="module")
def scores():
    """800 questions of 12 samples, from the conjugate prior of the truth."""
    rng = np.random.default_rng(1)
    return draw_scores(draw_members(*TRUTH, 800, rng, steps=200), 12, rng, points=400)


def stopped_at(scores, target):
    """Of each question what a policy draws that stops at the first score of at least the target."""
    found = (scores >= target).any(1)
    count = np.where(found, (scores >= target).argmax(1) + 1, scores.shape[1])
    return [row[:number].tolist() for row, number in zip(scores, count, strict=True)]


def test_the_prior_behind_many_questions_is_found(scores):
    mean, std, strength = numbers(fit_prior(summarize(scores.tolist())))
    assert (mean, std) == pytest.approx(TRUTH[:2], abs=0.02)
    assert strength == pytest.approx(TRUTH[2], rel=0.25)


def test_a_policy_that_stops_at_good_scores_does_not_mislead_it(scores):
    """The mean of the questions' means, which is what a constant prior is made of, is far off."""
    target = float(np.quantile(scores, 0.75))
    kept = stopped_at(scores, target)
    mean, std, strength = numbers(fit_prior(summarize(kept)))
    assert (mean, std) == pytest.approx(TRUTH[:2], abs=0.025)
    assert strength == pytest.approx(TRUTH[2], rel=0.35)
    padded = np.full(scores.shape, np.nan)
    for row, own in zip(padded, kept, strict=True):
        row[: len(own)] = own
    assert float(constant_prior(padded).mean) > TRUTH[0] + 0.05


def test_no_prior_nearby_is_better(scores):
    """The evidence times the weak prior has its maximum where the fit says, by a grid that uses no gradient."""
    observed = summarize(scores[:40].tolist())

    def worth(mean, std, strength):
        share = std**2 / (mean * (1 - mean))
        point = np.log([mean / (1 - mean), share / (1 - share), strength])
        weak = ((point - [0, np.log(1 / 2), 0]) / [1.5, 1.5, 0.3]) ** 2  # log odds of a third: 1/2
        return log_evidence(Prior(mean, std, strength), observed).sum() - weak.sum() / 2

    found = numbers(fit_prior(observed))
    best = worth(*found)
    for index in range(3):
        for factor in (0.8, 0.9, 0.97, 1.03, 1.1, 1.25):
            other = [part * (factor if number == index else 1) for number, part in enumerate(found)]
            assert worth(*other) < best + 1e-3
    rng = np.random.default_rng(0)
    for _ in range(100):
        mean, strength = rng.uniform(0.1, 0.9), np.exp(rng.uniform(0, 4))
        assert worth(mean, np.sqrt(rng.uniform(0.02, 0.9) * mean * (1 - mean)), strength) < best + 1e-3


@given(st.tuples(st.floats(-3, 3), st.floats(-3, 2), st.floats(0.1, 4)), st.integers(0, 2**31))
def test_the_gradient_is_that_of_the_loss(point, seed):
    observed = ScoreStatistics.from_scores(np.random.default_rng(seed).random((3, 5)))
    _, gradient = _loss(np.array(point), observed)
    assert gradient == pytest.approx(
        approx_fprime(point, lambda one: _loss(one, observed)[0], 1e-6), abs=2e-3, rel=2e-3
    )


def test_without_scores_it_is_the_vague_prior_and_moves_from_there_smoothly():
    assert fit_prior(summarize([])) is VAGUE and fit_prior(summarize([[], []])) is VAGUE
    good = [0.9, 0.85, 0.95, 0.9]
    means = [numbers(fit_prior(summarize([good] * number)))[0] for number in (0, 1, 2, 8, 64)]
    assert (
        means == sorted(means)
        and means[0] == 0.5
        and 0.6 < means[1] < 0.89
        and means[-1] == pytest.approx(0.9, abs=0.02)
    )
    # One question says nothing of how alike questions are.
    assert numbers(fit_prior(summarize([good])))[2] < 4
    with_empty = fit_prior(summarize([good, [], good]))
    assert numbers(with_empty) == numbers(fit_prior(summarize([good, good])))


@pytest.mark.parametrize("scores", [[[0.0] * 5] * 40, [[1.0]] * 40, [[0.0, 1.0]] * 40, [[0.3]] * 3, [[0.3] * 300] * 40])
def test_scores_at_the_edge_of_what_is_possible_have_a_prior(scores):
    prior = fit_prior(summarize(scores))
    assert 0.0066 < float(prior.mean) < 0.9934 and 1 <= float(prior.strength) <= 32.01
    assert float(prior.mean) == pytest.approx(np.mean([np.mean(one) for one in scores]), abs=0.1)


@pytest.mark.parametrize("alike", [0.6, 2.0, 10.0])
def test_a_verifier_that_says_right_or_wrong_gives_a_prior_too(alike):
    """The scores of a question are 0s and 1s with a probability of its own, from Beta(alike / 2, alike / 2)."""
    rng = np.random.default_rng(0)
    chance = rng.beta(alike / 2, alike / 2, 300)
    scores = (rng.random((300, 6)) < chance[:, None]).astype(np.float64)
    mean, std, strength = numbers(fit_prior(summarize(scores.tolist())))
    assert mean == pytest.approx(scores.mean(), abs=0.03) and 0.45 < std < 0.5
    assert alike / 3 < strength < 4 * alike + 1


@given(st.lists(st.floats(0, 1), max_size=20))
def test_a_question_is_summarized_to_the_bit_whatever_the_order(scores):
    one, other = summarize([scores, []]), summarize([sorted(scores), []])
    for name in ("count", "mean", "variance"):
        assert (getattr(one, name) == getattr(other, name)).all()
    known = ScoreStatistics.from_scores(np.clip(scores, 0.01, 0.99) if scores else [np.nan])
    wanted = [float(known.count), float(known.mean), float(known.variance)]
    assert [one.count[0], one.mean[0], one.variance[0]] == pytest.approx(wanted)
    assert [one.count[1], one.mean[1], one.variance[1]] == [0, 0.5, 0]


@given(st.integers(1, 50), st.integers(0, 6000))
def test_who_learns_from_whom(block, number):
    """Blocks follow one another, and each learns from all but the last before it."""
    learnt = LearntPrior(block)
    blocks = list(learnt.blocks(number))
    ends = [0, *(one.end for one in blocks)]
    assert [one.start for one in blocks] == ends[:-1] and ends[-1] == number
    assert all(one.start < one.end for one in blocks)
    for index, one in enumerate(blocks):
        assert one.known == (blocks[index - 1].start if index else 0)
        assert learnt.known_at(one.start) == learnt.known_at(one.end - 1) == one.known <= learnt.most
        if index + 1 < len(blocks):
            assert one.end - one.start == max(block, one.start // 2)
    assert learnt.most >= 4096 / 1.5 - block and learnt.known_at(10**9) == learnt.most


@given(st.integers(1, 50), st.integers(0, 6000))
def test_of_those_that_have_finished_as_many_are_learnt_from_as_begin_a_block(block, finished):
    learnt = LearntPrior(block)
    known = learnt.known_of(finished)
    assert known <= finished and known in learnt.starts and known <= learnt.most
    later = [start for start in learnt.starts if known < start <= min(finished, learnt.most)]
    assert not later


def test_how_it_is_named():
    assert LearntPrior.parse("learnt") == LearntPrior() == LearntPrior(8)
    assert LearntPrior.parse("learnt:block=3") == LearntPrior(3)
    assert str(LearntPrior(3)) == "learnt:block=3" and LearntPrior.parse(str(LearntPrior())) == LearntPrior()
    assert is_learnt("learnt:block=3") and not is_learnt("learnt_predictor")
    for text in ("learned", "learnt:", "learnt:block", "learnt:block=-1", "learnt:block=2.5", "learnt:size=3", ""):
        with pytest.raises(InputError, match=r"prior must be learnt or learnt:block=NUMBER, got"):
            LearntPrior.parse(text)
    with pytest.raises(InputError, match="block must be >= 1, got 0"):
        LearntPrior.parse("learnt:block=0")


def test_a_policy_that_finishes_all_questions_together_cannot_learn():
    require_learning(parse_policy("optscale"))
    with pytest.raises(InputError, match="'shared_budget' finishes all questions together and cannot learn a prior"):
        require_learning(parse_policy("shared_budget"))
