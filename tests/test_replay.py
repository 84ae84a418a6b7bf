"""Replay: what is averaged, what the intervals cover, and which split chooses."""

import numpy as np
import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.policies import parse_policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, replay
from optscale_predictor.stats.bootstrap import Bootstrap, Estimate


def pool(questions=40, depth=16, seed=0):
    rng = np.random.default_rng(seed)
    ease = rng.random((questions, 1))
    correct = (rng.random((questions, depth)) < ease).astype(float)
    scores = np.clip(0.3 + 0.5 * correct + 0.15 * rng.standard_normal((questions, depth)), 0, 1)
    answers = np.where(correct == 1, 0, rng.integers(1, 4, scores.shape))
    return RecordedSamples(scores, answers, rng.integers(50, 150, scores.shape).astype(float), correct)


def test_best_of_n_has_its_expected_value_in_closed_form():
    """The best of k of a question's n samples is its j-th worst with probability C(j - 1, k - 1) / C(n, k)."""
    from scipy.special import comb

    recorded, number = pool(), 4
    rank = np.arange(1, 17)
    weight = comb(rank - 1, number - 1) / comb(16, number)
    want = (np.sort(recorded.scores, -1) * weight).sum(-1).mean()
    row = replay([ReplayEntry(parse_policy(f"best_of_n:max_samples={number}"), "x")], recorded, num_orders=300)[0]
    assert row.score.mean == pytest.approx(want, abs=2e-3)
    assert row.samples == Estimate(4.0, 0.0, 4.0, 4.0)
    assert row.tokens.mean == pytest.approx(4 * recorded.tokens.mean(), rel=0.01)
    assert np.isnan(row.hit.mean)


def test_intervals_are_as_wide_as_new_questions_are_different():
    """Over fresh pools of one world the estimates spread as the bootstrap of each says."""
    rows = [
        replay([ReplayEntry(parse_policy("best_of_n:max_samples=2"), "x")], pool(seed=seed), 3)[0] for seed in range(60)
    ]
    means = np.array([row.accuracy.mean for row in rows])
    assert np.mean([row.accuracy.error for row in rows]) == pytest.approx(means.std(), rel=0.35)
    covered = [row.accuracy.low <= means.mean() <= row.accuracy.high for row in rows]
    assert np.mean(covered) > 0.85


def test_bootstrap_of_one_question_sees_its_orders():
    orders = np.array([0.0, 1.0, 0.0, 1.0])[None, :, None]
    found = Bootstrap(4, 1).estimate(orders)[0]
    assert found.mean == 0.5 and found.error == pytest.approx(0.25, abs=0.03)


def test_hit_rate_is_against_the_target():
    recorded = pool()
    entries = [
        ReplayEntry(parse_policy(text), text) for text in ("clairvoyant:score_min=0.9", "best_of_n:max_samples=16")
    ]
    bound, every = replay(entries, recorded, num_orders=2, score_min=0.9)
    assert bound.hit.mean == every.hit.mean == pytest.approx((recorded.scores >= 0.9).any(-1).mean())


def test_a_missing_prior_is_said_before_anything_is_replayed(monkeypatch):
    monkeypatch.setattr("optscale_predictor.replays.replaying.run_policy", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(InputError, match="policy 'oracle' needs a prior"):
        replay([ReplayEntry(parse_policy(text), "x") for text in ("best_of_n", "oracle")], pool())
