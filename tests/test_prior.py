"""Priors: what they expect of a question's scores, against simulation."""

import numpy as np
import pytest
from conjugate_world import draw_members

from optscale_predictor import Prior
from optscale_predictor.errors import InputError


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


def test_a_prior_worth_less_than_a_sample_is_as_wide_as_one_worth_one():
    one = Prior.expecting(0.5, 0.1, 1.0)
    assert float(one.std) == pytest.approx(0.1 * np.sqrt(2)) and float(one.within) == pytest.approx(0.1)
    for strength in (0.0, 0.3):
        weak = Prior.expecting(0.5, 0.1, strength)
        assert float(weak.std) == float(one.std) and float(weak.within) == pytest.approx(0.1)
        assert float(weak.strength) == strength
    four = Prior.expecting(0.5, 0.1, 4.0)
    assert float(four.std) == pytest.approx(0.1 * np.sqrt(5 / 4)) and float(four.within) == pytest.approx(0.1)


def test_what_would_be_wider_than_possible_stops_just_short_of_it():
    """The greatest deviation of a mean of 0.9 is 0.3; never less than what was asked for."""
    assert float(Prior.expecting(0.9, 0.25, 1.0).std) == pytest.approx(0.98 * 0.3)
    assert float(Prior.expecting(0.9, 0.299, 1.0).std) == pytest.approx(0.299)
    assert float(Prior.expecting(0.9, 0.1, 1.0).std) == pytest.approx(0.1 * np.sqrt(2))


@pytest.mark.parametrize(
    ("mean", "std", "strength", "says"),
    [
        (0.0, 0.1, 1.0, r"prior mean must lie in \(0, 1\), got 0.0"),
        (1.0, 0.1, 1.0, r"prior mean must lie in \(0, 1\), got 1.0"),
        (0.5, 0.0, 1.0, r"prior std must lie in \(0, sqrt\(mean \(1 - mean\)\)\], got 0.0"),
        (0.5, 0.501, 1.0, "prior std .* got 0.501"),
        (0.5, 0.1, -0.1, "prior strength must be >= 0 and finite, got -0.1"),
        (0.5, 0.1, np.inf, "prior strength .* got inf"),
        (0.5, 0.1, np.nan, "prior strength .* got nan"),
        ([0.5, 0.6, 1.5], 0.1, 1.0, "prior mean .* got 1.5"),
        (0.5, [0.1, 0.7, 0.8], 1.0, "prior std .* got 0.7"),
    ],
)
def test_what_is_out_of_range_is_named_with_its_value(mean, std, strength, says):
    with pytest.raises(InputError, match=says):
        Prior(mean, std, strength)


def test_ends_of_the_ranges_are_taken():
    prior = Prior([0.5, 1e-9, 1 - 1e-9], [0.5, 1e-9, 1e-9], [0.0, 1.0, 1e9])
    assert len(prior) == 3 and len(Prior(0.5, 0.1, 1.0)) == 1


def parts(prior):
    return [np.asarray(part).tolist() for part in (prior.mean, prior.std, prior.strength)]


def test_priors_broadcast_are_taken_and_tiled():
    prior = Prior([0.2, 0.5, 0.7], 0.1, [1.0, 2.0, 3.0])
    assert parts(prior) == [[0.2, 0.5, 0.7], [0.1] * 3, [1, 2, 3]]
    assert parts(prior.take([2, 0])) == [[0.7, 0.2], [0.1, 0.1], [3, 1]]
    assert parts(prior.tile(2)) == [[0.2, 0.5, 0.7] * 2, [0.1] * 6, [1, 2, 3] * 2]
    assert parts(prior.broadcast_to(3)) == parts(prior)
    one = Prior(0.2, 0.1, 4.0)
    assert parts(one.broadcast_to(2)) == [[0.2, 0.2], [0.1, 0.1], [4, 4]] == parts(one.tile(2))
    assert parts(one.take([0, 0])) == parts(one.tile(2))
    for number in (1, 2, 4):
        with pytest.raises(InputError, match=f"prior has 3 questions, expected 1 or {number}"):
            prior.broadcast_to(number)


def test_a_prior_keeps_its_own_numbers():
    mean = np.array([0.2, 0.5])
    prior = Prior(mean, 0.1, 1.0)
    mean[:] = 0.9
    assert prior.mean.tolist() == [0.2, 0.5]


def test_numbers_of_every_kind_are_kept_as_doubles():
    """Single precision and whole numbers, as models and users bring them."""
    single = np.float32(0.3), np.float32(0.1), np.float32(3)
    for make in (Prior, Prior.expecting):
        prior, same = make(*single), make(*map(float, single))
        assert parts(prior) == parts(same)
        whole = make(0.5, 0.1, 4)
        assert {part.dtype for part in (prior.mean, prior.std, prior.strength, whole.strength)} == {np.dtype("f8")}


@pytest.mark.parametrize("mean", [-0.2, 1.5])
def test_an_expected_mean_that_cannot_be_is_named(mean):
    """And its impossible variance says nothing before: warnings are errors here."""
    with pytest.raises(InputError, match=f"prior mean must lie in .* got {mean}"):
        Prior.expecting(mean, 0.1, 1.0)
