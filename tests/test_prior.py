"""Priors: what they expect of a question's scores, against simulation."""

import numpy as np
import pytest
from conjugate_world import draw_members

from optscale_predictor import Prior


@pytest.mark.parametrize(("mean", "std", "strength"), [(0.5, 0.05, 3.0), (0.5, 0.1, 8.0), (0.7, 0.05, 1.5)])
def test_a_question_is_expected_to_have_the_spread_that_was_asked_for(mean, std, strength):
    prior = Prior.expecting(mean, std, strength)
    assert float(prior.within) == pytest.approx(std)
    members = draw_members(float(prior.mean), float(prior.std), strength, 4000, np.random.default_rng(0))
    assert np.sqrt(np.mean(members.std() ** 2)) == pytest.approx(std, rel=0.06)
    assert np.std(members.mean()) == pytest.approx(std / np.sqrt(strength), rel=0.08)


def test_no_prior_is_wider_than_its_mean_allows():
    prior = Prior.expecting([0.9, 0.5], [0.29, 0.5], [1.0, 1.0])
    assert np.all(prior.std <= np.sqrt(prior.mean * (1 - prior.mean)))
    assert prior.std[1] == 0.5


def test_a_sure_prior_is_as_wide_as_the_scores():
    assert float(Prior.expecting(0.6, 0.2, 1e9).std) == pytest.approx(0.2)
